//! Everything that can be made to happen, as one closed list.

use serde::{Deserialize, Serialize};

use crate::model::{Action, Cause, NumberStatus, RefreshStatus};

/// What happens next. Over HTTP the name is the path (`POST /control/expire`) and the fields are
/// the JSON body.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// Adds a bank.
    Institution {
        /// Its display name.
        name: String,
    },
    /// A holder links accounts: one authorization, and one `account.created` for each account.
    Link(Link),
    /// The permission of an authorization runs out: `access_expired`, `relink_required`.
    Expire {
        /// The authorization.
        authorization: String,
    },
    /// A change at the bank breaks an authorization: `institution_requirement`.
    Break {
        /// The authorization.
        authorization: String,
    },
    /// The bank refuses access: `access_denied`, `relink_required`.
    Deny(Target),
    /// The holder takes the permission back at the bank: as a denial, and tokenized account
    /// numbers are deactivated.
    Revoke {
        /// The authorization.
        authorization: String,
    },
    /// The bank reports an account closed: `account_closed`, action `none`.
    Close {
        /// The account.
        account: String,
    },
    /// An account can no longer be found: `account_unavailable`, action `none`.
    Unavailable {
        /// The account.
        account: String,
    },
    /// Any other deactivation.
    Deactivate {
        /// What becomes inactive.
        target: Target,
        /// Why; also values that Stripe does not have today.
        cause: Cause,
        /// Whether a relink helps.
        action: Action,
    },
    /// The link of an account ends for good.
    Disconnect {
        /// The account.
        account: String,
    },
    /// The bank healed by itself.
    Reactivate(Target),
    /// Stripe warns 30 days ahead: one event for each active account and one for the
    /// authorization, all with action `relink_required`.
    Warn {
        /// The authorization.
        authorization: String,
        /// Unix seconds.
        expected_deactivation_date: i64,
        /// Why; `access_expired` if absent.
        #[serde(default)]
        cause: Option<Cause>,
    },
    /// The expected date of an authorization and its active accounts is set, moved or removed.
    MoveDate {
        /// The authorization.
        authorization: String,
        /// Unix seconds; absent removes it.
        #[serde(default)]
        expected_deactivation_date: Option<i64>,
        /// Whether a relink would move the date; `none` if absent, as long before the date.
        #[serde(default)]
        action: Option<Action>,
        /// Why; `access_expired` if absent.
        #[serde(default)]
        cause: Option<Cause>,
    },
    /// The holder goes through a relink.
    Relink(Relink),
    /// A data refresh ends.
    Refresh {
        /// The account.
        account: String,
        /// Which data.
        feature: Feature,
        /// How it ends; succeeded if absent.
        #[serde(default)]
        status: RefreshStatus,
    },
    /// The account number becomes a tokenized one with this status. A transactable number that
    /// expires within 30 days is announced as about to expire, anything else as updated.
    #[serde(alias = "tokenize")]
    Numbers {
        /// The account.
        account: String,
        /// The number's status.
        status: NumberStatus,
        /// Unix seconds.
        #[serde(default)]
        expected_expiry_date: Option<i64>,
    },
}

/// An account, or all accounts of an authorization and the authorization itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One account.
    Account(String),
    /// All of an authorization.
    Authorization(String),
}

impl From<&str> for Target {
    /// An authorization by its prefix `fcauth_`, else an account.
    fn from(id: &str) -> Target {
        if id.starts_with("fcauth_") {
            Target::Authorization(id.into())
        } else {
            Target::Account(id.into())
        }
    }
}

/// What a holder links.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// `cus_…` or `acct_…`; absent makes a new customer.
    pub holder: Option<String>,
    /// Id or name of the bank, a [`TestBank`](crate::TestBank) among them; a new name makes a new
    /// bank, absent takes a default one.
    pub institution: Option<String>,
    /// The accounts; none makes one checking account.
    pub accounts: Vec<LinkAccount>,
    /// The permissions; none takes balances, payment_method and transactions.
    pub permissions: Vec<String>,
    /// The connected account they belong to, if other than the configured one.
    pub stripe_account: Option<String>,
}

impl Link {
    /// A link of as many accounts as asked for, checking and savings in turn, with last4 from
    /// 1001 upwards.
    pub fn of(holder: &str, institution: &str, accounts: usize) -> Link {
        let accounts = (0..accounts).map(|n| match n % 2 {
            0 => LinkAccount::new(&format!("{:04}", 1001 + n), "checking", "Everyday Checking"),
            _ => LinkAccount::new(&format!("{:04}", 1001 + n), "savings", "Rainy Day Savings"),
        });
        Link {
            holder: Some(holder.into()),
            institution: Some(institution.into()),
            accounts: accounts.collect(),
            ..Link::default()
        }
    }
}

/// One account to link.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkAccount {
    /// The last four digits, if the bank gives them.
    #[serde(default)]
    pub last4: Option<String>,
    /// Stripe's subcategory; checking if absent.
    #[serde(default = "checking")]
    pub subcategory: String,
    /// The name the holder sees; from the subcategory if absent.
    #[serde(default)]
    pub display_name: Option<String>,
}

impl LinkAccount {
    /// An account with all that is usually known.
    pub fn new(last4: &str, subcategory: &str, display_name: &str) -> LinkAccount {
        LinkAccount {
            last4: Some(last4.into()),
            subcategory: subcategory.into(),
            display_name: Some(display_name.into()),
        }
    }
}

fn checking() -> String {
    "checking".into()
}

/// How a relink goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relink {
    /// The authorization; may be absent if `session` names one.
    pub authorization: Option<String>,
    /// The accounts the holder selects; they come back whatever their cause. Absent: all that
    /// need a relink and all that are active.
    pub accounts: Option<Vec<String>>,
    /// The relink makes a new authorization, to which the accounts move.
    pub new_authorization: bool,
    /// The relink makes new accounts instead of repairing the old ones.
    pub new_account_ids: bool,
    /// Only the first account gets its `reactivated`; the others come back silently, so that
    /// only a read can tell.
    pub silent_siblings: bool,
    /// Sends `session.updated`, from a new session if `session` names none.
    pub send_session: bool,
    /// The pending session that this completes.
    pub session: Option<String>,
    /// How it ends.
    pub outcome: Outcome,
}

/// How a relink ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The accounts come back.
    #[default]
    Succeeded,
    /// The holder got in, but not to the expected account: nothing comes back.
    NoAccount,
    /// The holder did not get in: nothing comes back.
    NoAuthorization,
    /// It failed for another reason: nothing comes back.
    Failed,
    /// The holder gave up: nothing comes back.
    Cancelled,
}

/// A kind of data that can be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Balances.
    Balance,
    /// Owners.
    Ownership,
    /// Transactions.
    Transactions,
    /// Inferred balances, preview only.
    InferredBalances,
}

/// What a verb touched, by id, in the order it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The institution, if the verb was about one.
    pub institution: Option<String>,
    /// The authorization; after a relink the one that holds now.
    pub authorization: Option<String>,
    /// The accounts touched.
    pub accounts: Vec<String>,
    /// The events made.
    pub events: Vec<String>,
    /// The session, if the verb completed one.
    pub session: Option<String>,
}
