//! What one source said of one object at one time.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AuthorizationId, SessionId};
use crate::time::Second;

/// Where an observation comes from; at one second a read beats an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Source {
    /// The object in an event's body, stamped with the event's `created`.
    #[serde(rename = "e")]
    Event,
    /// The answer to a read, stamped with the response's `Date`.
    #[serde(rename = "r")]
    Read,
}

/// When and from what an observation was made; later ones win.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp(
    /// The second of Stripe's clock.
    pub Second,
    /// Event or read.
    pub Source,
);

impl Stamp {
    /// An event's stamp.
    pub fn event(created: i64) -> Self {
        Self(Second(created), Source::Event)
    }

    /// A read's stamp.
    pub fn read(date: i64) -> Self {
        Self(Second(date), Source::Read)
    }
}

/// An account's status. The order is the winner's rank when two events share one second:
/// the graver news stands until the read that is asked for has answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(schemars::JsonSchema)]
pub enum Status {
    /// Data can be refreshed.
    Active,
    /// It cannot; a relink may help, [`Action`] tells.
    Inactive,
    /// The link has ended for good.
    Disconnected,
}

impl Status {
    /// Stripe's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Disconnected => "disconnected",
        }
    }
}

/// What the customer can do about it: an open list, unknown words are kept as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "Arc<str>", into = "Arc<str>")]
pub enum Action {
    /// A relink repairs the account, or moves its date out.
    RelinkRequired,
    /// Nothing to ask the customer for.
    None,
    /// A word that did not exist when this was written; treated as "details unknown".
    Other(Arc<str>),
}

impl Action {
    /// Stripe's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::RelinkRequired => "relink_required",
            Self::None => "none",
            Self::Other(text) => text,
        }
    }
}

impl From<Arc<str>> for Action {
    fn from(text: Arc<str>) -> Self {
        match &*text {
            "relink_required" => Self::RelinkRequired,
            "none" => Self::None,
            _ => Self::Other(text),
        }
    }
}

impl From<Action> for Arc<str> {
    fn from(action: Action) -> Self {
        match action {
            Action::Other(text) => text,
            known => known.as_str().into(),
        }
    }
}

/// Why, in Stripe's words (`access_expired`, `account_closed`, …): an open list, only passed on.
pub type Cause = Arc<str>;

/// Cause and action of an inactive account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct InactiveDetails {
    /// Why.
    pub cause: Option<Cause>,
    /// What helps.
    pub action: Action,
}

/// An expected deactivation of something that is still active.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// When.
    pub date: Second,
    /// What helps: `relink_required` only once a relink would move the date out.
    pub action: Action,
    /// Why; an authorization has none.
    pub cause: Option<Cause>,
}

/// What a body says in `status_details`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Details {
    /// Nothing: the key is absent, or does not belong to the status.
    Absent,
    /// `status_details.inactive`.
    Inactive(InactiveDetails),
    /// Of an active object: `status_details.active`, or `None` where it is empty.
    Active(Option<Forecast>),
}

/// One entry of `account_numbers`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AccountNumber {
    /// `tokenized_account_number`, as against the real one.
    pub tokenized: bool,
    /// `transactable`, `deactivated`, `expired`, `pending`, or a newer word.
    pub status: Arc<str>,
    /// When it stops working.
    pub expected_expiry: Option<Second>,
}

/// The customer behind an account: Stripe's `account_holder`.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Holder {
    /// `customer` or `account`, or a newer word.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// `cus_…`, `acct_…`, or what else names the holder.
    pub id: Arc<str>,
}

/// What describes an account; `None`: this body did not carry it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Description {
    /// The customer.
    pub holder: Option<Holder>,
    /// `fcinst_…`; preview versions only.
    pub institution: Option<Arc<str>>,
    /// The bank's name, for people.
    pub institution_name: Option<Arc<str>>,
    /// The last four digits.
    pub last4: Option<Arc<str>>,
    /// The account's name at the bank.
    pub display_name: Option<Arc<str>>,
    /// `checking`, `savings`, …
    pub subcategory: Option<Arc<str>>,
    /// `balances`, `ownership`, `payment_method`, `transactions`; sorted.
    pub permissions: Option<Vec<Arc<str>>>,
    /// When the account was linked.
    pub created: Option<Second>,
}

/// What one source said of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountObservation {
    /// Which.
    pub account: AccountId,
    /// When and from what.
    pub stamp: Stamp,
    /// Its status, where the source tells.
    pub status: Option<Status>,
    /// Cause, action, date.
    pub details: Details,
    /// Its authorization, where the source tells.
    pub authorization: Option<AuthorizationId>,
    /// Its numbers, where the source tells; sorted.
    pub numbers: Option<Vec<AccountNumber>>,
    /// The rest.
    pub description: Description,
    /// The source is a reference without a body (a thin event) whose type alone does not say
    /// what has become of the account: it has to be read.
    pub must_read: bool,
}

impl AccountObservation {
    /// An observation that says nothing but that the account exists.
    pub fn of(account: AccountId, stamp: Stamp) -> Self {
        Self {
            account,
            stamp,
            status: None,
            details: Details::Absent,
            authorization: None,
            numbers: None,
            description: Description::default(),
            must_read: false,
        }
    }
}

/// What one source said of an authorization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorizationObservation {
    /// Which.
    pub authorization: AuthorizationId,
    /// When and from what.
    pub stamp: Stamp,
    /// Its status, where known words tell.
    pub status: Option<Status>,
    /// Its details; an authorization has no cause.
    pub details: Details,
    /// The customer; only preview versions carry it.
    pub holder: Option<Holder>,
    /// `fcinst_…`; preview versions only.
    pub institution: Option<Arc<str>>,
    /// The bank's name.
    pub institution_name: Option<Arc<str>>,
}

/// How a relink attempt ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelinkOutcome {
    /// The authorization was repaired.
    Repaired,
    /// The customer got in, but another authorization was made.
    NewAuthorization(AuthorizationId),
    /// Not relinked: `no_account`, `no_authorization`, `other`, or a newer word.
    Failed(Arc<str>),
    /// The customer gave up.
    Cancelled,
    /// Nobody has told of its end in time. No source says so; it is concluded.
    Abandoned,
}

impl fmt::Display for RelinkOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repaired => f.write_str("succeeded"),
            Self::NewAuthorization(by) => write!(f, "made {by}"),
            Self::Failed(reason) => write!(f, "failed ({reason})"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Abandoned => f.write_str("abandoned"),
        }
    }
}

/// What one source said of a relink session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionObservation {
    /// Which.
    pub session: SessionId,
    /// When and from what.
    pub stamp: Stamp,
    /// The authorization it was to repair.
    pub authorization: AuthorizationId,
    /// How it went; `None` while it goes on.
    pub outcome: Option<RelinkOutcome>,
    /// The accounts it returned, each an observation of its own with the session's stamp.
    pub accounts: Vec<AccountObservation>,
    /// Whether these are all of them.
    pub complete: bool,
}
