//! What the API takes and answers. Times are Unix seconds; the OpenAPI document is made of these.

use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Case};
use relink_core::id::AccountId;
use relink_core::observation::{Holder, RelinkOutcome};
use relink_core::register::value;
use relink_engine::store::HistoryRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ended::Ended;

/// An authorization.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationBody {
    /// `fcauth_…`; null while an account's authorization is unknown.
    pub(crate) id: Option<String>,
    /// The Connect account it belongs to; null: the platform's own.
    pub(crate) stripe_account: Option<String>,
    /// Live mode, or a sandbox.
    pub(crate) livemode: bool,
    /// `relink_required`, `unverified`, `expiring`, `numbers_due`, `unrepairable`, `active` or
    /// `disconnected`.
    pub(crate) health: String,
    /// The customer.
    pub(crate) holder: Option<Holder>,
    /// The bank's name.
    pub(crate) institution_name: Option<String>,
    /// The first date at which something is expected to stop working.
    pub(crate) expected_deactivation: Option<i64>,
    /// The open case.
    pub(crate) case: Option<CaseBody>,
    /// Its accounts.
    pub(crate) accounts: Vec<AccountBody>,
}

/// An outage for which the customer is asked.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseBody {
    /// Its id, as in commands.
    pub(crate) id: String,
    /// `inactive`, `upcoming` or `numbers`.
    pub(crate) reason: String,
    /// When it was opened.
    pub(crate) opened_at: i64,
    /// When the last prompt was sent.
    pub(crate) prompted_at: Option<i64>,
    /// When the first account stops working; null where it has already.
    pub(crate) deadline: Option<i64>,
    /// Relink attempts, the latest last.
    pub(crate) attempts: Vec<AttemptBody>,
}

/// A relink attempt.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttemptBody {
    /// `fcsess_…`
    pub(crate) session: String,
    /// When it ended, or else was first seen.
    pub(crate) at: i64,
    /// `repaired`, `new_authorization`, `failed`, `cancelled`, `abandoned` where nobody told of
    /// its end in time; null while it goes on.
    pub(crate) outcome: Option<String>,
}

/// An account.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountBody {
    /// `fca_…`
    pub(crate) id: String,
    /// Its authorization; null while that is unknown.
    pub(crate) authorization: Option<String>,
    /// `active`, `inactive` or `disconnected`; null while nothing has told.
    pub(crate) status: Option<String>,
    /// Why it is inactive or will be, in Stripe's words.
    pub(crate) cause: Option<String>,
    /// What helps, in Stripe's words.
    pub(crate) action: Option<String>,
    /// When it is expected to become inactive.
    pub(crate) expected_deactivation: Option<i64>,
    /// The last four digits.
    pub(crate) last4: Option<String>,
    /// Its name at the bank.
    pub(crate) display_name: Option<String>,
    /// `checking`, `savings`, …
    pub(crate) subcategory: Option<String>,
    /// What the customer permitted.
    pub(crate) permissions: Vec<String>,
    /// Grows with every change of its status.
    pub(crate) account_version: u64,
}

/// A page of authorizations.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageBody {
    /// In the order of their ids.
    pub(crate) data: Vec<AuthorizationBody>,
    /// Give it as `cursor` to get the next page; null: this was the last.
    pub(crate) next_cursor: Option<String>,
}

/// What has happened, the latest first.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryBody {
    /// At most as many as asked for.
    pub(crate) data: Vec<HappenedBody>,
}

/// Something that happened.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HappenedBody {
    /// The event, observation or timer.
    pub(crate) input: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Its own time.
    pub(crate) at: i64,
    /// When it was decided, by our clock.
    pub(crate) decided_at: i64,
    /// The account, where it is about one.
    pub(crate) account: Option<String>,
    /// The verdict.
    pub(crate) verdict: String,
    /// What changed, in words.
    pub(crate) note: String,
    /// The commands it led to, by id.
    pub(crate) commands: Vec<String>,
}

/// What a relink session shall be for.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewSessionBody {
    /// The one account that has to come back; absent: any of the authorization's.
    pub(crate) account: Option<String>,
    /// What to ask the customer for; absent: what the accounts permit now.
    pub(crate) permissions: Option<Vec<String>>,
    /// Which kinds of accounts may be chosen; absent or empty: all.
    pub(crate) subcategories: Vec<String>,
}

/// A session that was made.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionBody {
    /// `fcsess_…`
    pub(crate) id: String,
    /// Give it to Stripe.js in the customer's browser and keep it nowhere; it is not stored here
    /// and not answered again.
    pub(crate) client_secret: String,
}

/// A session that is over, as its customer's browser said.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompleteBody {
    /// The authorization for which it was made.
    pub(crate) authorization: String,
}

/// How a session ended, as Stripe says.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndedBody {
    /// `fcsess_…`
    pub(crate) session: String,
    /// `repaired`, `new_authorization`, `no_account`, `no_authorization`, `other`, `cancelled` or
    /// `pending`.
    pub(crate) outcome: String,
    /// The authorization that holds now; null where the relink failed.
    pub(crate) authorization: Option<String>,
    /// Accounts that work again.
    pub(crate) back: Vec<String>,
    /// Accounts that do not and could.
    pub(crate) left_out: Vec<String>,
    /// Accounts that no relink brings back.
    pub(crate) unrepairable: Vec<String>,
}

fn text(text: impl AsRef<str>) -> String {
    text.as_ref().to_owned()
}

impl From<&Aggregate> for AuthorizationBody {
    fn from(aggregate: &Aggregate) -> Self {
        let (state, scope) = (&aggregate.state, &aggregate.key.scope);
        Self {
            id: aggregate.key.home.authorization().map(|id| text(id.as_str())),
            stripe_account: scope.stripe_account.as_deref().map(text),
            livemode: scope.livemode,
            health: text(state.summary.health.as_str()),
            holder: aggregate.holder().cloned(),
            institution_name: aggregate.institution_name().map(text),
            expected_deactivation: state.summary.expected_deactivation.map(|date| date.0),
            case: state.case.as_ref().map(CaseBody::from),
            accounts: aggregate.accounts.iter().map(AccountBody::from).collect(),
        }
    }
}

impl From<&Case> for CaseBody {
    fn from(case: &Case) -> Self {
        let attempts = case.attempts.iter().map(|attempt| AttemptBody {
            session: text(attempt.session.as_str()),
            at: attempt.at.0,
            outcome: attempt.outcome.as_ref().map(|outcome| {
                text(match outcome {
                    RelinkOutcome::Repaired => "repaired",
                    RelinkOutcome::NewAuthorization(_) => "new_authorization",
                    RelinkOutcome::Failed(_) => "failed",
                    RelinkOutcome::Cancelled => "cancelled",
                    RelinkOutcome::Abandoned => "abandoned",
                })
            }),
        });
        Self {
            id: text(case.id.as_str()),
            reason: text(case.reason.as_str()),
            opened_at: case.opened_at.0.div_euclid(1000),
            prompted_at: case.prompted_at.map(|at| at.0.div_euclid(1000)),
            deadline: case.deadline.map(|date| date.0),
            attempts: attempts.collect(),
        }
    }
}

impl From<(&AccountId, &Account)> for AccountBody {
    fn from((id, account): (&AccountId, &Account)) -> Self {
        let (inactive, forecast) = (account.inactive_details(), account.forecast());
        let cause = inactive.and_then(|details| details.cause.as_ref());
        let cause = cause.or(forecast.and_then(|forecast| forecast.cause.as_ref()));
        let action = inactive.map(|details| &details.action);
        let action = action.or(forecast.map(|forecast| &forecast.action));
        let permissions = value(&account.permissions).into_iter().flatten();
        Self {
            id: text(id.as_str()),
            authorization: account.authorization().map(|id| text(id.as_str())),
            status: account.status().map(|status| text(status.as_str())),
            cause: cause.map(text),
            action: action.map(|action| text(action.as_str())),
            expected_deactivation: forecast.map(|forecast| forecast.date.0),
            last4: value(&account.last4).map(text),
            display_name: value(&account.display_name).map(text),
            subcategory: value(&account.subcategory).map(text),
            permissions: permissions.map(text).collect(),
            account_version: account.version,
        }
    }
}

impl From<&HistoryRow> for HappenedBody {
    fn from(row: &HistoryRow) -> Self {
        Self {
            input: text(row.input.as_str()),
            kind: text(&row.kind),
            at: row.at.0,
            decided_at: row.decided_at.0.div_euclid(1000),
            account: row.account.as_ref().map(|id| text(id.as_str())),
            verdict: text(&row.verdict),
            note: row.note.clone(),
            commands: row.commands.iter().map(|id| text(id.as_str())).collect(),
        }
    }
}

impl From<&Ended> for EndedBody {
    fn from(ended: &Ended) -> Self {
        let ids = |ids: &[AccountId]| ids.iter().map(|id| text(id.as_str())).collect();
        Self {
            session: text(ended.session.as_str()),
            outcome: text(ended.outcome.as_str()),
            authorization: ended.authorization.as_ref().map(|id| text(id.as_str())),
            back: ids(&ended.back),
            left_out: ids(&ended.left_out),
            unrepairable: ids(&ended.unrepairable),
        }
    }
}
