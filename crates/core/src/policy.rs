//! What an operator can choose.

use crate::time::Span;

/// Most accounts an authorization may have; the next one is refused.
///
/// A customer rarely has ten. The limit bounds the lock, the row set and the message that one
/// event can cause.
pub const ACCOUNTS_MAX: usize = 200;

/// Most commands that one observation of one account can lead to: a status change (2), a
/// replacement (1), verifies by cause (5), and per authorization touched a case's step (2) and a
/// reconciliation (1), with room to spare. Checked in debug builds.
pub const COMMANDS_MAX: usize = 16;

/// The choices that `decide` obeys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How long a new case waits for its siblings before the prompt; zero: not at all.
    pub settle: Span,
    /// Observations of different status this close together leave doubt, in seconds.
    pub doubt_window_s: i64,
    /// Reminders before a known date, the longest first.
    pub reminders_before: Vec<Span>,
    /// Reminders after the prompt where something is broken already, the shortest first.
    pub reminders_after: Vec<Span>,
    /// From the last reminder to the escalation.
    pub escalate_after: Span,
    /// How long an expected date may have passed before it is read back.
    pub forecast_grace: Span,
    /// How long a verify may stay unanswered before it is asked for again; doubles each time.
    pub verify_patience: Span,
    /// How often one verify is asked for at the most.
    pub verify_asks_max: u32,
    /// Whether tokenized account numbers that stop working make a case.
    pub watch_numbers: bool,
    /// How long before its expiry a tokenized number is due: Stripe's own hosted relink offers
    /// renewal within 30 days.
    pub numbers_ahead: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            settle: Span::seconds(5),
            doubt_window_s: 5,
            reminders_before: [14, 7, 3, 1].map(Span::days).to_vec(),
            reminders_after: [3, 7, 14].map(Span::days).to_vec(),
            escalate_after: Span::days(1),
            forecast_grace: Span::minutes(60),
            verify_patience: Span::minutes(15),
            verify_asks_max: 5,
            watch_numbers: true,
            numbers_ahead: Span::days(30),
        }
    }
}
