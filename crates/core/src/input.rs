//! What happened: everything `decide` can be asked about.

use std::fmt;
use std::sync::Arc;

use crate::id::{AccountId, AuthorizationId, HomeKey, InputId, Scope};
use crate::observation::{AccountObservation, AuthorizationObservation, SessionObservation};
use crate::time::Second;

/// Something that happened, with its name and its source's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// The event's, observation's or timer's id: the key of deduplication.
    pub id: InputId,
    /// Whose objects.
    pub scope: Scope,
    /// The event's type, for history and metrics.
    pub kind: Arc<str>,
    /// The event's `created` or the read's `Date`: the day under which it is filed.
    pub at: Second,
    /// What.
    pub happened: Happened,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happened {
    /// An account was seen.
    AccountObserved(Box<AccountObservation>),
    /// An authorization was seen.
    AuthorizationObserved(Box<AuthorizationObservation>),
    /// A relink session was started, or ended.
    SessionObserved(Box<SessionObservation>),
    /// A read of an account was answered with "no such object".
    AccountMissing(AccountId),
    /// A read of an authorization was answered with "no such object" or is not to be had.
    AuthorizationMissing(AuthorizationId),
    /// Something fell due for an aggregate.
    TimerDue(HomeKey),
    /// An event that carries nothing Relink acts on; the ledger still counts it.
    Ignored(Ignored),
}

/// Why an event was ignored: a closed list that feeds log, metric and history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ignored {
    /// A Financial Connections type that this version does not know.
    UnknownType,
    /// The outcome of a data refresh without the account's state (thin-only types).
    RefreshOutcome,
    /// A session that was not made to relink, or whose status is no word we know.
    NotARelink,
    /// Which payment methods an account supports is not Relink's concern (thin form).
    PaymentMethodTypes,
    /// Stripe answered that the object does not exist.
    ObjectMissing,
    /// It was parked, and a person dropped it.
    Dropped,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::UnknownType,
        Self::RefreshOutcome,
        Self::NotARelink,
        Self::PaymentMethodTypes,
        Self::ObjectMissing,
        Self::Dropped,
    ];

    /// The reason's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::RefreshOutcome => "refresh_outcome",
            Self::NotARelink => "not_a_relink",
            Self::PaymentMethodTypes => "payment_method_types",
            Self::ObjectMissing => "object_missing",
            Self::Dropped => "dropped",
        }
    }
}

/// Why a decision waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Deferred {
    /// The account is inactive and nothing said why: a verify is asked for, no prompt until then.
    DetailsUnknown,
    /// A thin event named the account without its state: a verify is asked for.
    StateUnknown,
}

impl Deferred {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::DetailsUnknown, Self::StateUnknown];

    /// The reason's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DetailsUnknown => "details_unknown",
            Self::StateUnknown => "state_unknown",
        }
    }
}

/// Why a decision did what it did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// It taught something new.
    Applied,
    /// It confirmed what was known.
    Unchanged,
    /// Its id was seen before.
    Duplicate,
    /// Later news is already known; it changed nothing but history.
    Stale,
    /// Applied, but the conclusion waits.
    Deferred(Deferred),
    /// Not Relink's concern.
    Ignored(Ignored),
}

impl Verdict {
    /// The verdict's name as it stands in the ledger, metrics and logs, with its reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Deferred(Deferred::DetailsUnknown) => "deferred(details_unknown)",
            Self::Deferred(Deferred::StateUnknown) => "deferred(state_unknown)",
            Self::Ignored(Ignored::UnknownType) => "ignored(unknown_type)",
            Self::Ignored(Ignored::RefreshOutcome) => "ignored(refresh_outcome)",
            Self::Ignored(Ignored::NotARelink) => "ignored(not_a_relink)",
            Self::Ignored(Ignored::PaymentMethodTypes) => "ignored(payment_method_types)",
            Self::Ignored(Ignored::ObjectMissing) => "ignored(object_missing)",
            Self::Ignored(Ignored::Dropped) => "ignored(dropped)",
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Applied, Self::Unchanged, Self::Duplicate, Self::Stale];
        let deferred = Deferred::ALL.map(Self::Deferred);
        plain.into_iter().chain(deferred).chain(Ignored::ALL.map(Self::Ignored))
    }

    /// Reads what [`Verdict::as_str`] says.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|one| one.as_str() == name)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_found_by_its_name() {
        for verdict in Verdict::all() {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        }
        assert_eq!(Verdict::parse("applied?"), None);
    }
}
