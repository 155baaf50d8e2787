//! What can go wrong: a closed list.

/// A kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// Stripe sends a webhook twice.
    Duplicate,
    /// A webhook is held back while later ones pass.
    Reorder,
    /// A webhook does not arrive, and Stripe tries again.
    Drop,
    /// A webhook never arrives, and Stripe gives up: only its list of events tells.
    Lose,
    /// Stripe makes two events, with ids of their own, of one change.
    Twin,
    /// A connection to the broker breaks while deliveries are settled: all in hand come again.
    AcknowledgementLost,
    /// The broker takes nothing.
    BrokerRefuses,
    /// The broker takes a message, and its answer is lost.
    ConfirmLost,
    /// The broker is away for a while.
    BrokerAway,
    /// A call of the database fails and changes nothing.
    DatabaseError,
    /// A call of the database works, and its answer is lost.
    DatabaseAnswerLost,
    /// The database is away for a while.
    DatabaseAway,
    /// A process is killed, anywhere between two calls.
    Crash,
    /// Stripe's API refuses with 429.
    StripeLimits,
    /// Stripe's API answers 500.
    StripeFails,
    /// Stripe's API does not answer.
    StripeHangs,
    /// Stripe's API does something, and its answer is lost.
    StripeAnswerLost,
    /// Stripe's API answers a read from before its own latest event.
    StaleRead,
    /// A process's clock jumps by minutes.
    ClockJump,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Duplicate,
        Self::Reorder,
        Self::Drop,
        Self::Lose,
        Self::Twin,
        Self::AcknowledgementLost,
        Self::BrokerRefuses,
        Self::ConfirmLost,
        Self::BrokerAway,
        Self::DatabaseError,
        Self::DatabaseAnswerLost,
        Self::DatabaseAway,
        Self::Crash,
        Self::StripeLimits,
        Self::StripeFails,
        Self::StripeHangs,
        Self::StripeAnswerLost,
        Self::StaleRead,
        Self::ClockJump,
    ];

    /// The name, for the trace and the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Drop => "drop",
            Self::Lose => "lose",
            Self::Twin => "twin",
            Self::AcknowledgementLost => "acknowledgement-lost",
            Self::BrokerRefuses => "broker-refuses",
            Self::ConfirmLost => "confirm-lost",
            Self::BrokerAway => "broker-away",
            Self::DatabaseError => "database-error",
            Self::DatabaseAnswerLost => "database-answer-lost",
            Self::DatabaseAway => "database-away",
            Self::Crash => "crash",
            Self::StripeLimits => "stripe-limits",
            Self::StripeFails => "stripe-fails",
            Self::StripeHangs => "stripe-hangs",
            Self::StripeAnswerLost => "stripe-answer-lost",
            Self::StaleRead => "stale-read",
            Self::ClockJump => "clock-jump",
        }
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// The highest probability, wherever it can happen, that still lets something get through.
    pub(crate) fn highest(self) -> f64 {
        match self {
            Self::Duplicate | Self::Reorder | Self::Drop => 0.5,
            Self::Lose | Self::Twin | Self::StaleRead => 0.2,
            Self::AcknowledgementLost | Self::BrokerRefuses | Self::ConfirmLost => 0.2,
            Self::DatabaseError | Self::DatabaseAnswerLost => 0.15,
            Self::Crash => 0.02,
            Self::StripeLimits | Self::StripeFails => 0.3,
            Self::StripeHangs | Self::StripeAnswerLost => 0.15,
            // For each minute of the run.
            Self::BrokerAway | Self::DatabaseAway | Self::ClockJump => 0.3,
        }
    }
}
