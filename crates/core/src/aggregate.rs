//! One authorization with its accounts, its case and what is asked and due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::command::{About, Because, CaseOutcome, Reason};
use crate::id::{AccountId, AuthorizationId, CaseId, HomeKey, SessionId};
use crate::observation::{
    Action, AuthorizationObservation, Details, Forecast, Holder, RelinkOutcome, Status,
};
use crate::register::{Joined, Register, join, value};
use crate::time::{Second, Span, Time};

/// How an authorization is: derived from its accounts, the first that holds.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// An account is inactive and a relink repairs it.
    RelinkRequired,
    /// An account is inactive, or was only referred to, and nobody said why.
    Unverified,
    /// A deactivation is expected that a relink would move out.
    Expiring,
    /// A tokenized account number has stopped working or is about to.
    NumbersDue,
    /// What is inactive cannot be repaired.
    Unrepairable,
    /// All is well.
    #[default]
    Active,
    /// Every account is disconnected, or has moved away.
    Disconnected,
}

impl Health {
    /// All of them, in the order of precedence.
    pub const ALL: [Self; 7] = [
        Self::RelinkRequired,
        Self::Unverified,
        Self::Expiring,
        Self::NumbersDue,
        Self::Unrepairable,
        Self::Active,
        Self::Disconnected,
    ];

    /// The name for rows, metrics and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RelinkRequired => "relink_required",
            Self::Unverified => "unverified",
            Self::Expiring => "expiring",
            Self::NumbersDue => "numbers_due",
            Self::Unrepairable => "unrepairable",
            Self::Active => "active",
            Self::Disconnected => "disconnected",
        }
    }

    /// Why a case is open at this health, if it is.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::RelinkRequired => Some(Reason::Inactive),
            Self::Expiring => Some(Reason::Upcoming),
            Self::NumbersDue => Some(Reason::Numbers),
            _ => None,
        }
    }
}

/// One outage of one authorization, from opening to closing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Where it was opened and a running number; kept when a provisional home is resolved.
    pub id: CaseId,
    /// Why the customer is asked; follows the health.
    pub reason: Reason,
    /// When it was opened. Never moves.
    pub opened_at: Time,
    /// When what it is for was first told, by Stripe's clock: figures only, nothing is decided by
    /// it. Moves once, when something that was announced has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Second>,
    /// When the prompt is due, while one is.
    pub prompt_due: Option<Time>,
    /// When the last prompt was sent.
    pub prompted_at: Option<Time>,
    /// When the last reminder was sent.
    pub reminded_at: Option<Time>,
    /// Whether the last prompt was escalated.
    pub escalated: bool,
    /// How many prompts were sent.
    pub prompts: u32,
    /// How many reminders were sent.
    pub reminders: u32,
    /// The date that reminders lead up to.
    pub deadline: Option<Second>,
    /// The accounts that prompts have named.
    pub named: BTreeSet<AccountId>,
    /// Relink attempts, the latest last; at most [`ATTEMPTS_MAX`] are kept.
    pub attempts: Vec<Attempt>,
}

/// How many attempts a case remembers: enough to see a pattern, bounded against a loop.
pub const ATTEMPTS_MAX: usize = 20;

/// How long an attempt may go on before it counts as abandoned.
///
/// Stripe names no lifetime of a session's client secret; a relink takes minutes. Two hours leave
/// room for a bank's slow letter of confirmation, and the page's own completion lives as long:
/// after it the customer has to start anew. An end that is told later still counts.
pub const ATTEMPT_LIFETIME: Span = Span::minutes(120);

/// A relink attempt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// The session.
    pub session: SessionId,
    /// When it ended, or else was first seen, by Stripe's clock.
    pub at: Second,
    /// How; `None` while nothing was told of its end.
    pub outcome: Option<RelinkOutcome>,
}

impl Attempt {
    /// Whether somebody told how it ended.
    fn is_told(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| *outcome != RelinkOutcome::Abandoned)
    }

    /// When it counts as abandoned; `None` once it has ended.
    ///
    /// A span this long makes the difference between Stripe's clock and ours harmless.
    fn abandoned_at(&self) -> Option<Time> {
        self.outcome.is_none().then(|| self.at.as_time().after(ATTEMPT_LIFETIME))
    }
}

impl Case {
    /// How long ago what it is for was first told. Two clocks meet here, and may disagree.
    pub(crate) fn age(&self, now: Time) -> Span {
        let began_at = self.began_at.map_or(self.opened_at, Second::as_time);
        now.since(began_at).max(Span::ZERO)
    }

    /// Takes note of what a session has come to; tells whether that is news.
    pub(crate) fn note_attempt(&mut self, attempt: Attempt) -> bool {
        match self.attempts.iter_mut().find(|known| known.session == attempt.session) {
            Some(known) if known.is_told() => return false,
            Some(known) if attempt.outcome.is_none() => {
                // First seen: in whichever order it is told.
                known.at = known.at.min(attempt.at);
                return false;
            }
            Some(known) => *known = attempt,
            None => self.attempts.push(attempt),
        }
        if self.attempts.len() > ATTEMPTS_MAX {
            self.attempts.remove(0);
        }
        true
    }

    /// Whether it has seen that session.
    pub(crate) fn knows(&self, session: &SessionId) -> bool {
        self.attempts.iter().any(|known| known.session == *session)
    }

    /// When the next attempt counts as abandoned.
    pub(crate) fn next_abandoned(&self) -> Option<Time> {
        self.attempts.iter().filter_map(Attempt::abandoned_at).min()
    }

    /// Calls abandoned what was started and not ended in time; tells how many.
    pub(crate) fn abandon(&mut self, now: Time) -> usize {
        let due = |one: &&mut Attempt| one.abandoned_at().is_some_and(|due| due <= now);
        let overdue = self.attempts.iter_mut().filter(due);
        overdue.map(|one| one.outcome = Some(RelinkOutcome::Abandoned)).count()
    }
}

/// A case that is over: news of a relink may still come and say what ended it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosedCase {
    /// As it was.
    pub case: Case,
    /// When it closed.
    pub at: Time,
    /// How.
    pub outcome: CaseOutcome,
}

/// A read that was asked for and not answered yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verify {
    /// A read stamped at or after this second answers it.
    pub wanted: Second,
    /// Why.
    pub because: Because,
    /// When it was asked for the last time.
    pub asked_at: Time,
    /// How often it was asked for.
    pub asked: u32,
}

/// Evidence that another authorization took over; the order is by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Takeover {
    /// The first second at which it was seen to have taken over.
    pub at: Second,
    /// The other authorization.
    pub by: AuthorizationId,
    /// The account that stands for the old one there; `None`: the account itself moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<AccountId>,
}

impl Takeover {
    /// Whether this evidence stays when the other one comes up for the same account: of two
    /// accounts that stand for it the one linked first counts. That the account itself moved
    /// outweighs both, and where the same account stands for it, the later word does.
    pub(crate) fn stands_before(&self, other: &Self) -> bool {
        match (&self.replaced_by, &other.replaced_by) {
            (Some(known), Some(newer)) => known != newer && (self.at, known) <= (other.at, newer),
            _ => false,
        }
    }
}

/// The `reconcile_accounts` that takeovers call for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reconcile {
    /// When the next one is due.
    pub due: Option<Time>,
    /// How many were sent.
    pub sent: u32,
}

/// What queries and the scheduler need to know without reading the rest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Derived from the accounts.
    pub health: Health,
    /// The customer, from the authorization or else its accounts.
    pub holder: Option<Holder>,
    /// The bank's name, likewise.
    pub institution_name: Option<Arc<str>>,
    /// The first date at which something is expected to stop working.
    pub expected_deactivation: Option<Second>,
    /// When the scheduler has to look again.
    pub next_due: Option<Time>,
}

/// All of an aggregate but its accounts; stored as one document.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The authorization's own status.
    pub status: Option<Register<Status>>,
    /// The authorization's own forecast: changed only by its own events and reads.
    pub forecast: Option<Register<Option<Forecast>>>,
    /// The customer, where a body of the authorization carried it.
    pub holder: Option<Register<Holder>>,
    /// The bank's name, likewise.
    pub institution_name: Option<Register<Arc<str>>>,
    /// What shows that another authorization took over, by the account that was taken over or
    /// the session that did it.
    pub takeovers: BTreeMap<Arc<str>, Takeover>,
    /// What the takeover calls for.
    pub reconcile: Reconcile,
    /// The open case.
    pub case: Option<Case>,
    /// The case that was open before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_case: Option<ClosedCase>,
    /// How many cases were opened here.
    pub cases: u32,
    /// The latest second at which a relink succeeded: what was said before may be out of date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relinked_at: Option<Second>,
    /// Unanswered reads of accounts.
    pub verifies: BTreeMap<AccountId, Verify>,
    /// The unanswered read of the authorization.
    pub authorization_verify: Option<Verify>,
    /// How many verify commands were sent.
    pub verifies_sent: u32,
    /// Accounts whose read contradicted a fresh event: when to read them again.
    pub rechecks: BTreeMap<AccountId, Time>,
    /// Dates that have passed and were read back; the authorization's under its own id.
    pub checked_dates: BTreeMap<Arc<str>, Second>,
    /// For queries.
    pub summary: Summary,
}

/// An authorization, or the provisional home of one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// Which.
    pub key: HomeKey,
    /// All but the accounts.
    pub state: State,
    /// Its accounts.
    pub accounts: BTreeMap<AccountId, Account>,
}

impl Aggregate {
    /// Nothing known yet.
    pub fn new(key: HomeKey) -> Self {
        Self { key, state: State::default(), accounts: BTreeMap::new() }
    }

    /// The authorization's forecast, where it is active.
    pub fn forecast(&self) -> Option<&Forecast> {
        value(&self.state.forecast)?.as_ref()
    }

    /// Takeovers that still hold.
    fn takeovers(&self) -> impl Iterator<Item = &Takeover> {
        self.state.takeovers.iter().filter(|(of, one)| !self.refutes(of, one)).map(|(_, one)| one)
    }

    /// Whether the account works here, or did after it was thought replaced: it was not.
    pub(crate) fn refutes(&self, of: &str, takeover: &Takeover) -> bool {
        let worked = self.accounts.get(of).is_some_and(|account| {
            account.status() == Some(Status::Active)
                || account.active.is_some_and(|active| active.0 > takeover.at)
        });
        takeover.replaced_by.is_some() && worked
    }

    /// The authorization that took over last, from all or some of the accounts.
    pub fn taken_over_by(&self) -> Option<&AuthorizationId> {
        self.takeovers().max().map(|takeover| &takeover.by)
    }

    /// Whether another authorization took over as a whole: it did, and nothing works here.
    pub fn is_superseded(&self) -> bool {
        let works = |account: &Account| account.status() == Some(Status::Active);
        self.takeovers().next().is_some() && !self.accounts.values().any(works)
    }

    /// Whether an account's outage needs no relink any more: it was replaced, or the whole
    /// authorization was, and it has not worked here since.
    pub fn is_moot(&self, id: &AccountId, account: &Account) -> bool {
        let own = self.state.takeovers.get(id.as_str());
        let since = match own.filter(|own| !self.refutes(id.as_str(), own)) {
            Some(replaced) => Some(replaced.at),
            None if self.is_superseded() => self.takeovers().map(|one| one.at).min(),
            None => None,
        };
        let worked = |since| account.active.is_some_and(|active| active.0 > since);
        account.is_inactive() && since.is_some_and(|since| !worked(since))
    }

    /// A provisional home whose account has moved out: nothing is left to keep.
    pub fn is_void(&self) -> bool {
        self.key.home.is_provisional() && self.accounts.is_empty()
    }

    /// The customer, wherever a body carried it.
    pub fn holder(&self) -> Option<&Holder> {
        let of_accounts = self.accounts.values().filter_map(|account| account.holder.as_ref());
        of_accounts.chain(&self.state.holder).max().map(|Register(_, holder)| holder)
    }

    /// The bank's name, wherever a body carried it.
    pub fn institution_name(&self) -> Option<&Arc<str>> {
        let of_accounts =
            self.accounts.values().filter_map(|account| account.institution_name.as_ref());
        of_accounts.chain(&self.state.institution_name).max().map(|Register(_, name)| name)
    }

    /// What every command says of whom it concerns.
    pub fn about(&self) -> About {
        About {
            stripe_account: self.key.scope.stripe_account.clone(),
            livemode: self.key.scope.livemode,
            authorization: self.key.home.authorization().map(|id| Arc::from(id.as_str())),
            holder: self.holder().cloned(),
            institution_name: self.institution_name().cloned(),
        }
    }

    /// Merges what a source said of the authorization itself; tells whether a value changed and
    /// whether all of it was older than what is known.
    pub fn merge(&mut self, seen: &AuthorizationObservation) -> (bool, bool) {
        let mut joined = Vec::with_capacity(4);
        if let Some(status) = seen.status {
            joined.push(join(&mut self.state.status, seen.stamp, status));
        }
        let forecast = match (&seen.details, seen.status) {
            (Details::Active(forecast), _) => Some(forecast.clone()),
            // Something that is no longer active expects nothing.
            (_, Some(Status::Inactive | Status::Disconnected)) => Some(None),
            _ => None,
        };
        if let Some(forecast) = forecast {
            joined.push(join(&mut self.state.forecast, seen.stamp, forecast));
        }
        if let Some(holder) = &seen.holder {
            joined.push(join(&mut self.state.holder, seen.stamp, holder.clone()));
        }
        if let Some(name) = &seen.institution_name {
            joined.push(join(&mut self.state.institution_name, seen.stamp, name.clone()));
        }
        let changed = joined.iter().any(|one| matches!(one, Joined::Changed | Joined::Tied));
        let stale = !joined.is_empty() && joined.iter().all(|one| *one == Joined::Older);
        (changed, stale)
    }

    /// Whether the authorization's own forecast asks for a relink.
    pub fn is_expiring(&self) -> bool {
        self.forecast().is_some_and(|forecast| forecast.action == Action::RelinkRequired)
    }
}
