//! What the scheduler asks the database for every few seconds, to show it as metrics.

use relink_core::time::{Span, Time};

/// Everything that has passed its date.
pub const OVERDUE: i64 = -1;
/// Everything from this week on. Two months are what a team plans for; beyond them dates move.
pub const LATER: i64 = 8;

/// How far back outages of one institution are counted: those of a bank that breaks come within
/// minutes.
pub const OUTAGES_SINCE: Span = Span::minutes(15);
/// Most outages that are looked at: more than any alert needs to know, and a bound on what a wave
/// of them costs.
pub const OUTAGES_MAX: i64 = 50_000;

/// Numbers that cost little, also with a million authorizations: each is read off an index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outlook {
    /// Authorizations by health; homes without an authorization are not among them. May be older
    /// than the rest.
    pub authorizations: Vec<(String, i64)>,
    /// Open cases by reason.
    pub open_cases: Vec<(String, i64)>,
    /// Rows in the outbox.
    pub outbox_depth: i64,
    /// When the oldest of them was decided.
    pub outbox_oldest: Option<Time>,
    /// Parked messages that the store keeps and nobody has asked to put back.
    pub parked: i64,
    /// Authorizations by the week from now in which something of them is expected to stop working:
    /// from 0, or [`OVERDUE`], or [`LATER`].
    pub expected: Vec<(i64, i64)>,
    /// Of the cases that outages have opened since [`OUTAGES_SINCE`], as many as the institution
    /// with the most of them has.
    pub at_one_institution: i64,
    /// How many of the days after today have a partition, by table; empty without partitions.
    pub days_ahead: Vec<(&'static str, i64)>,
}
