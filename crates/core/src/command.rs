//! Follow-up commands: what a platform shall do, in the imperative.
//!
//! These types are the public contract: their JSON is the `data` of a CloudEvent, and the
//! published schemas are generated from them. A changed body is a new version beside the old.
//! All times are Unix seconds, as in Stripe's own objects.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, CaseId, CommandId, SessionId};
use crate::observation::{Holder, Status};
use crate::time::Second;

/// A command with its identity.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// Stable: the same conclusion always has the same id, so consumers dedupe by it.
    pub id: CommandId,
    /// The authorization, or the account while its authorization is unknown.
    pub subject: Arc<str>,
    /// The case or the input that led to it.
    pub correlation: Arc<str>,
    /// What shall be done.
    pub body: Body,
}

/// What shall be done: a closed list.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// Ask the customer to relink.
    PromptRelink(PromptRelink),
    /// Ask again.
    RemindRelink(RemindRelink),
    /// Stop asking.
    WithdrawRelink(WithdrawRelink),
    /// Asking did not help; a person should look.
    EscalateRelink(EscalateRelink),
    /// Stop using the account's data.
    PauseData(PauseData),
    /// Its data can be used again.
    ResumeData(ResumeData),
    /// Fetch what was missed.
    RefreshData(RefreshData),
    /// Ask for another account: this one cannot come back.
    ReplaceAccount(ReplaceAccount),
    /// Read accounts back: events left doubt.
    VerifyAccounts(VerifyAccounts),
    /// Match old and new accounts.
    ReconcileAccounts(ReconcileAccounts),
}

impl Body {
    /// Every command's name, in the order of the contract.
    pub const NAMES: [&'static str; 10] = [
        "prompt_relink",
        "remind_relink",
        "withdraw_relink",
        "escalate_relink",
        "pause_data",
        "resume_data",
        "refresh_data",
        "replace_account",
        "verify_accounts",
        "reconcile_accounts",
    ];

    /// The command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PromptRelink(_) => "prompt_relink",
            Self::RemindRelink(_) => "remind_relink",
            Self::WithdrawRelink(_) => "withdraw_relink",
            Self::EscalateRelink(_) => "escalate_relink",
            Self::PauseData(_) => "pause_data",
            Self::ResumeData(_) => "resume_data",
            Self::RefreshData(_) => "refresh_data",
            Self::ReplaceAccount(_) => "replace_account",
            Self::VerifyAccounts(_) => "verify_accounts",
            Self::ReconcileAccounts(_) => "reconcile_accounts",
        }
    }

    /// The account, where a command is about one.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::PauseData(body) => Some(&body.account),
            Self::ResumeData(body) => Some(&body.account),
            Self::RefreshData(body) => Some(&body.account),
            Self::ReplaceAccount(body) => Some(&body.account),
            _ => None,
        }
    }

    /// What every command says of whom it concerns.
    pub fn about(&self) -> &About {
        match self {
            Self::PromptRelink(body) => &body.about,
            Self::RemindRelink(body) => &body.prompt.about,
            Self::WithdrawRelink(body) => &body.about,
            Self::EscalateRelink(body) => &body.about,
            Self::PauseData(body) => &body.about,
            Self::ResumeData(body) => &body.about,
            Self::RefreshData(body) => &body.about,
            Self::ReplaceAccount(body) => &body.about,
            Self::VerifyAccounts(body) => &body.about,
            Self::ReconcileAccounts(body) => &body.about,
        }
    }
}

/// Whom a command concerns; part of every command's data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct About {
    /// The Connect account (`acct_…`) the objects belong to; null: the platform's own.
    pub stripe_account: Option<Arc<str>>,
    /// Live mode, or a sandbox.
    pub livemode: bool,
    /// The authorization (`fcauth_…`); null while it is unknown.
    pub authorization: Option<Arc<str>>,
    /// The customer behind it; null where no body has carried it yet.
    pub holder: Option<Holder>,
    /// The bank's name, for people.
    pub institution_name: Option<Arc<str>>,
}

/// Why the customer is asked.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A tokenized account number has stopped working or is about to.
    Numbers,
    /// A deactivation is expected.
    Upcoming,
    /// An account is inactive and a relink repairs it.
    Inactive,
}

impl Reason {
    /// The reason's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Upcoming => "upcoming",
            Self::Inactive => "inactive",
        }
    }
}

/// How soon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Something is broken already.
    Now,
    /// Nothing is broken before `deadline`.
    BeforeDate,
}

/// An account as a prompt names it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PromptedAccount {
    /// `fca_…`
    pub id: AccountId,
    /// The last four digits.
    pub last4: Option<Arc<str>>,
    /// The account's name at the bank.
    pub display_name: Option<Arc<str>>,
    /// `checking`, `savings`, …
    pub subcategory: Option<Arc<str>>,
    /// Its status.
    pub status: Status,
    /// Why, in Stripe's words.
    pub cause: Option<Arc<str>>,
    /// What helps, in Stripe's words.
    pub action: Option<Arc<str>>,
    /// When it is expected to become inactive, Unix seconds.
    pub expected_deactivation: Option<Second>,
}

/// `relink.prompt_relink.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PromptRelink {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The case.
    pub case: CaseId,
    /// Why.
    pub reason: Reason,
    /// How soon.
    pub urgency: Urgency,
    /// When the first account stops working, Unix seconds; null where it has already.
    pub deadline: Option<Second>,
    /// Why, in Stripe's words; of the first account named.
    pub cause: Option<Arc<str>>,
    /// The accounts that need the relink.
    pub accounts: Vec<PromptedAccount>,
    /// Where the customer can relink; absent when no portal is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relink_url: Option<Arc<str>>,
}

/// `relink.remind_relink.v1`: a prompt with its place in the ladder of reminders.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RemindRelink {
    /// What is asked.
    #[serde(flatten)]
    pub prompt: PromptRelink,
    /// Which reminder this is, from 1.
    pub stage: u32,
    /// How many there are.
    pub stages: u32,
}

/// How a case ended.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CaseOutcome {
    /// A relink attempt succeeded.
    Relinked,
    /// It healed otherwise.
    Recovered,
    /// The accounts are on another authorization now.
    Moved,
    /// Every account was disconnected.
    Disconnected,
    /// No relink can help any more.
    Unrepairable,
}

impl CaseOutcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Relinked, Self::Recovered, Self::Moved, Self::Disconnected, Self::Unrepairable];

    /// The outcome's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relinked => "relinked",
            Self::Recovered => "recovered",
            Self::Moved => "moved",
            Self::Disconnected => "disconnected",
            Self::Unrepairable => "unrepairable",
        }
    }
}

/// `relink.withdraw_relink.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WithdrawRelink {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The case whose prompts are withdrawn.
    pub case: CaseId,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// The accounts that the prompts had named.
    pub accounts: Vec<AccountId>,
}

/// `relink.escalate_relink.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EscalateRelink {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The case.
    pub case: CaseId,
    /// When the case was opened, Unix seconds of our clock.
    pub opened_at: Second,
    /// How many prompts and reminders were sent.
    pub prompts: u32,
}

/// `relink.pause_data.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PauseData {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The account.
    pub account: AccountId,
    /// Why, in Stripe's words; `disconnected` for a link that has ended; null while unknown.
    pub cause: Option<Arc<str>>,
    /// What helps, in Stripe's words; null while unknown.
    pub action: Option<Arc<str>>,
    /// Grows with every change of this account's status; ignore a command with a lower one.
    pub account_version: u64,
}

/// `relink.resume_data.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ResumeData {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The account.
    pub account: AccountId,
    /// Grows with every change of this account's status; ignore a command with a lower one.
    pub account_version: u64,
}

/// `relink.refresh_data.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RefreshData {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The account.
    pub account: AccountId,
    /// What to refresh: of `balance`, `ownership`, `transactions`, those its permissions allow.
    pub features: Vec<Arc<str>>,
}

/// `relink.replace_account.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReplaceAccount {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The account that cannot come back.
    pub account: AccountId,
    /// Why, in Stripe's words; `disconnected` for a link that has ended.
    pub cause: Option<Arc<str>>,
}

/// Why a verify is asked for.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Observations close in time contradict each other.
    Doubt,
    /// An account is inactive and nothing said why, or a reference came without a body.
    UnknownDetails,
    /// A sibling was reactivated.
    Siblings,
    /// A relink session ended well: what it repaired is more than its event tells.
    Session,
    /// A forecast may have been moved or met: its date has passed, or a relink may have moved it.
    Forecast,
    /// Nobody has named the account's authorization yet.
    UnknownAuthorization,
}

/// `relink.verify_accounts.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VerifyAccounts {
    /// Whom it concerns.
    #[serde(flatten)]
    pub about: About,
    /// The accounts to read back.
    pub accounts: Vec<AccountId>,
    /// Why.
    pub because: Because,
    /// Whether the authorization itself has to be read back, too.
    pub read_authorization: bool,
    /// The session (`fcsess_…`) to read back; absent where none ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// An old and a new account that are the same at the bank.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pair {
    /// The account as it was known.
    pub old: AccountId,
    /// The account under the new authorization; the same id where Stripe kept it.
    pub new: AccountId,
}

/// Old and new accounts that fit each other in more than one way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Doubtful {
    /// The old ones.
    pub old: Vec<AccountId>,
    /// The new ones.
    pub new: Vec<AccountId>,
}

/// `relink.reconcile_accounts.v1`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReconcileAccounts {
    /// Whom it concerns; `authorization` is the new one.
    #[serde(flatten)]
    pub about: About,
    /// The authorization that was left.
    pub from_authorization: Arc<str>,
    /// One to one.
    pub pairs: Vec<Pair>,
    /// Old accounts that nothing replaces.
    pub unmatched_old: Vec<AccountId>,
    /// New accounts that replace nothing.
    pub unmatched_new: Vec<AccountId>,
    /// Where a person has to choose.
    pub doubtful: Vec<Doubtful>,
}
