//! How an attempt ended, for the page and the API alike.

use std::collections::BTreeSet;

use relink_core::account::Account;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, AuthorizationId, SessionId};
use relink_core::observation::{
    AccountObservation, Action, Details, RelinkOutcome, SessionObservation, Status,
};

/// What came of a session, as Stripe tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) session: SessionId,
    pub(crate) outcome: Outcome,
    /// The authorization that holds now, where Stripe named one.
    pub(crate) authorization: Option<AuthorizationId>,
    /// Accounts of those wanted that work again.
    pub(crate) back: Vec<AccountId>,
    /// Those that do not and could.
    pub(crate) left_out: Vec<AccountId>,
    /// Those that no relink brings back.
    pub(crate) unrepairable: Vec<AccountId>,
}

/// How it ended: a closed list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Outcome {
    /// The authorization was repaired; some accounts may have been left out.
    Repaired,
    /// The customer got in, and another authorization was made.
    NewAuthorization,
    /// The customer got in, and the expected account was not there.
    NoAccount,
    /// The customer did not get in.
    NoAuthorization,
    /// It failed for another reason.
    Other,
    /// The customer gave up.
    Cancelled,
    /// It has not ended.
    Pending,
}

impl Outcome {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Repaired,
        Self::NewAuthorization,
        Self::NoAccount,
        Self::NoAuthorization,
        Self::Other,
        Self::Cancelled,
        Self::Pending,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::NewAuthorization => "new_authorization",
            Self::NoAccount => "no_account",
            Self::NoAuthorization => "no_authorization",
            Self::Other => "other",
            Self::Cancelled => "cancelled",
            Self::Pending => "pending",
        }
    }

    fn of(outcome: &RelinkOutcome) -> Self {
        match outcome {
            RelinkOutcome::Repaired => Self::Repaired,
            RelinkOutcome::NewAuthorization(_) => Self::NewAuthorization,
            RelinkOutcome::Cancelled => Self::Cancelled,
            // Stripe never says so: of its sessions this one has not ended.
            RelinkOutcome::Abandoned => Self::Pending,
            RelinkOutcome::Failed(reason) => match &**reason {
                "no_account" => Self::NoAccount,
                "no_authorization" => Self::NoAuthorization,
                _ => Self::Other,
            },
        }
    }
}

/// What becomes of one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Back,
    LeftOut,
    Unrepairable,
}

impl Ended {
    /// Holds what a session returned against the accounts that were wanted back.
    pub(crate) fn new(
        aggregate: &Aggregate,
        wanted: &BTreeSet<AccountId>,
        seen: &SessionObservation,
    ) -> Self {
        let outcome = seen.outcome.as_ref().map_or(Outcome::Pending, Outcome::of);
        let authorization = match &seen.outcome {
            Some(RelinkOutcome::Repaired) => Some(seen.authorization.clone()),
            Some(RelinkOutcome::NewAuthorization(by)) => Some(by.clone()),
            _ => None,
        };
        let (back, left_out, unrepairable) = (Vec::new(), Vec::new(), Vec::new());
        let session = seen.session.clone();
        let mut ended = Self { session, outcome, authorization, back, left_out, unrepairable };
        for id in wanted {
            let told = seen.accounts.iter().find(|one| one.account == *id);
            let fate = match (told, aggregate.accounts.get(id)) {
                (Some(told), _) => fate(told),
                (None, Some(known)) if known.is_beyond_repair() => Fate::Unrepairable,
                // Its own event was here first.
                (None, Some(known)) if outcome == Outcome::Repaired && works_again(known) => {
                    Fate::Back
                }
                (None, _) => Fate::LeftOut,
            };
            ended.file(id.clone(), fate);
        }
        ended
    }

    fn file(&mut self, id: AccountId, fate: Fate) {
        match fate {
            Fate::Back => self.back.push(id),
            Fate::LeftOut => self.left_out.push(id),
            Fate::Unrepairable => self.unrepairable.push(id),
        }
    }

    /// Takes in a read of an account that the session did not return: siblings may come back
    /// without being chosen.
    pub(crate) fn correct(&mut self, told: &AccountObservation) {
        let Some(position) = self.left_out.iter().position(|id| *id == told.account) else {
            return;
        };
        let id = self.left_out.remove(position);
        self.file(id, fate(told));
    }
}

/// Whether an account that was broken works, and is not only about to end.
fn works_again(known: &Account) -> bool {
    known.status() == Some(Status::Active) && known.inactive.is_some() && !known.is_expiring()
}

fn fate(told: &AccountObservation) -> Fate {
    match (told.status, &told.details) {
        (Some(Status::Disconnected), _) => Fate::Unrepairable,
        (Some(Status::Inactive), Details::Inactive(details)) if details.action == Action::None => {
            Fate::Unrepairable
        }
        (Some(Status::Inactive), _) => Fate::LeftOut,
        // A forecast that a relink would still move is one that this relink did not move.
        (_, Details::Active(Some(forecast))) if forecast.action == Action::RelinkRequired => {
            Fate::LeftOut
        }
        _ => Fate::Back,
    }
}
