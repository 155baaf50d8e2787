//! The objects the simulator holds, independent of any version's shape.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::verb::Feature;

/// The status of an account or authorization; `disconnected` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Active,
    Inactive,
    Disconnected,
}

/// Why an account is inactive or expected to become so. An open list at Stripe, hence `Other`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The bank refused the last attempt.
    AccessDenied,
    /// The permission ran out.
    AccessExpired,
    /// The bank reports the account closed.
    AccountClosed,
    /// The account can no longer be found.
    AccountUnavailable,
    /// A change at the bank broke existing links.
    InstitutionRequirement,
    /// Unknown or ambiguous.
    Unspecified,
    /// A value that Stripe does not have today.
    #[serde(untagged)]
    Other(String),
}

/// Whether a relink can help. An open list at Stripe, hence `Other`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing to ask of the holder now.
    None,
    /// A relink repairs, or moves the expected date out.
    RelinkRequired,
    /// A value that Stripe does not have today.
    #[serde(untagged)]
    Other(String),
}

/// The status of an account number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberStatus {
    /// Payments can use it.
    Transactable,
    /// The bank or the holder took it back.
    Deactivated,
    /// It ran out.
    Expired,
    /// It is being fetched.
    Pending,
}

/// How a data refresh stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshStatus {
    /// Under way.
    Pending,
    /// Data arrived.
    #[default]
    Succeeded,
    /// Data did not arrive.
    Failed,
}

/// Who an account belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Customer(String),
    Account(String),
}

impl Holder {
    /// A connected account by its prefix, else a customer.
    pub(crate) fn of(id: &str) -> Holder {
        if id.starts_with("acct_") {
            Holder::Account(id.into())
        } else {
            Holder::Customer(id.into())
        }
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Holder::Customer(id) | Holder::Account(id) => id,
        }
    }
}

/// A bank.
#[derive(Debug, Clone)]
pub(crate) struct Institution {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Cause and action of an inactive account.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inactive {
    pub(crate) cause: Cause,
    pub(crate) action: Action,
}

/// An expected deactivation of an active account or authorization.
#[derive(Debug, Clone)]
pub(crate) struct Forecast {
    pub(crate) date_unix_s: i64,
    pub(crate) cause: Cause,
    pub(crate) action: Action,
}

/// One set of credentials at one institution.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) id: String,
    pub(crate) stripe_account: Option<String>,
    pub(crate) holder: Holder,
    pub(crate) institution: Institution,
    /// The accounts it covers, in the order they were linked. Stripe never lists them.
    pub(crate) accounts: Vec<String>,
    pub(crate) status: Status,
    pub(crate) inactive: Option<Action>,
    pub(crate) forecast: Option<Forecast>,
}

/// One refresh of one kind of data.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    pub(crate) status: RefreshStatus,
    pub(crate) attempted_unix_s: i64,
    /// Only transaction refreshes have one.
    pub(crate) id: Option<String>,
}

/// One account number.
#[derive(Debug, Clone)]
pub(crate) struct AccountNumber {
    pub(crate) tokenized: bool,
    pub(crate) status: NumberStatus,
    pub(crate) expires_unix_s: Option<i64>,
}

/// The refreshes of an account, by feature.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refreshes {
    pub(crate) balance: Option<Refresh>,
    pub(crate) ownership: Option<Refresh>,
    pub(crate) transactions: Option<Refresh>,
    pub(crate) inferred_balances: Option<Refresh>,
}

/// One bank account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    /// Orders accounts of the same second in lists.
    pub(crate) sequence: u64,
    pub(crate) created_unix_s: i64,
    pub(crate) stripe_account: Option<String>,
    pub(crate) holder: Holder,
    pub(crate) authorization: String,
    pub(crate) institution: Institution,
    pub(crate) last4: Option<String>,
    pub(crate) display_name: String,
    pub(crate) subcategory: String,
    pub(crate) permissions: Vec<String>,
    /// The data that Stripe refreshes about once a day.
    pub(crate) subscriptions: BTreeSet<Feature>,
    pub(crate) status: Status,
    pub(crate) inactive: Option<Inactive>,
    pub(crate) forecast: Option<Forecast>,
    pub(crate) number: AccountNumber,
    /// Minor units, once a balance refresh succeeded, with its time.
    pub(crate) balance: Option<(i64, i64)>,
    pub(crate) ownership: Option<String>,
    pub(crate) refreshes: Refreshes,
}

impl Account {
    /// Stripe's category, which follows from the subcategory.
    pub(crate) fn category(&self) -> &'static str {
        match self.subcategory.as_str() {
            "checking" | "savings" => "cash",
            "credit_card" | "line_of_credit" | "mortgage" => "credit",
            _ => "other",
        }
    }

    /// What the account can pay with; nothing without a transactable number.
    pub(crate) fn payment_methods(&self) -> &'static [&'static str] {
        let pays = self.permissions.iter().any(|p| p == "payment_method")
            && self.category() == "cash"
            && self.number.status == NumberStatus::Transactable;
        if pays { &["us_bank_account"] } else { &[] }
    }
}

/// How a session ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionResult {
    pub(crate) account: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) failure_reason: Option<&'static str>,
}

/// One run of the linking flow.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) stripe_account: Option<String>,
    pub(crate) holder: Option<Holder>,
    pub(crate) permissions: Vec<String>,
    pub(crate) relink_authorization: Option<String>,
    pub(crate) relink_account: Option<String>,
    pub(crate) hosted: Option<String>,
    pub(crate) return_url: Option<String>,
    /// Where the simulator's page is reached; absent: there is no page.
    pub(crate) host: Option<String>,
    pub(crate) status: &'static str,
    pub(crate) accounts: Vec<String>,
    pub(crate) result: Option<SessionResult>,
    pub(crate) client_secret: String,
}
