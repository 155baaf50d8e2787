//! Deliberate bugs, for the tests that prove that the simulation finds them.
//!
//! Without the feature `bugs` – in every build but that of those tests – none can be planted, and
//! the compiler leaves their places out.

/// A bug that somebody could have written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bug {
    /// Ingress answers before the bus has confirmed.
    AnswerBeforeConfirm,
    /// A worker acknowledges before the transaction is committed.
    AcknowledgeBeforeCommit,
    /// A transient error counts as an attempt.
    RetryCountedOnTransient,
    /// After a transient error nothing is handed back.
    HandBackForgotten,
    /// The ledger is not looked into before deciding.
    LedgerNotLookedInto,
    /// Commands leave the outbox before they are published.
    OutboxDeletedBeforeConfirm,
    /// What the bus did not take passes for taken.
    PublishErrorIgnored,
    /// The relay does not sweep.
    RelayAsleep,
    /// Whatever arrives last wins, however old it is.
    LateNewsWins,
    /// `<=` for `<` in the rule of stamps: of two values of one second the first one stays.
    FirstOfASecondStays,
    /// Events that contradict each other within a few seconds leave no doubt.
    NoDoubt,
    /// The siblings of an account that came back are not asked for.
    NoSiblingVerify,
    /// A read that contradicts a fresh event is not read again.
    NoSecondRead,
    /// A repeated observation sets the clock of the reminders back.
    ReminderClockReset,
    /// A closed case is not withdrawn.
    WithdrawalForgotten,
    /// A case prompts each time it is looked at.
    PromptRepeated,
    /// A change of status does not raise the account's version.
    VersionNotRaised,
    /// Catching up takes every listed event for known.
    CatchUpBlind,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::AnswerBeforeConfirm,
        Self::AcknowledgeBeforeCommit,
        Self::RetryCountedOnTransient,
        Self::HandBackForgotten,
        Self::LedgerNotLookedInto,
        Self::OutboxDeletedBeforeConfirm,
        Self::PublishErrorIgnored,
        Self::RelayAsleep,
        Self::LateNewsWins,
        Self::FirstOfASecondStays,
        Self::NoDoubt,
        Self::NoSiblingVerify,
        Self::NoSecondRead,
        Self::ReminderClockReset,
        Self::WithdrawalForgotten,
        Self::PromptRepeated,
        Self::VersionNotRaised,
        Self::CatchUpBlind,
    ];
}

#[cfg(feature = "bugs")]
mod garden {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug on this thread, or pulls it up.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this bug is planted on this thread.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "bugs")]
pub use garden::{is_planted, plant};

/// Whether this bug is planted: never, in this build.
#[cfg(not(feature = "bugs"))]
#[inline]
pub const fn is_planted(_bug: Bug) -> bool {
    false
}
