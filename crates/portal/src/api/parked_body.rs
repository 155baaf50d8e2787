//! What the API takes and answers about parked messages. Times are Unix seconds.

use std::sync::Arc;

use relink_bus::parked::ParkedMessage;
use relink_engine::parked::{masked, shown};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A parked message.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedBody {
    /// The name under which it is parked.
    pub(crate) id: String,
    /// Its own id: `evt_…`, or a command's.
    pub(crate) message: Option<String>,
    /// `lifecycle`, `upcoming` or `followup`.
    pub(crate) queue: String,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// Why it is parked, such as `unparsable`.
    pub(crate) reason: String,
    /// The error that parked it.
    pub(crate) error: String,
    /// How many times it has been parked.
    pub(crate) times: u32,
    /// How many rungs of the retry ladder it had climbed.
    pub(crate) attempts: u32,
    /// When its event was made.
    pub(crate) created: Option<i64>,
    /// When it failed for the first time.
    pub(crate) first_failed_at: Option<i64>,
    /// When it was parked.
    pub(crate) parked_at: Option<i64>,
}

/// How many are parked alike.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedCountBody {
    /// `lifecycle`, `upcoming` or `followup`.
    pub(crate) queue: String,
    /// Why they are parked.
    pub(crate) reason: String,
    /// How many.
    pub(crate) count: u64,
}

/// Parked messages, the longest parked first in each queue.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedListBody {
    /// The first of them.
    pub(crate) data: Vec<ParkedBody>,
    /// All of them, counted.
    pub(crate) counts: Vec<ParkedCountBody>,
    /// How many there are.
    pub(crate) total: u64,
    /// Whether all were looked at; a call looks at ten thousand of each queue.
    pub(crate) complete: bool,
}

/// A parked message with all that is to be seen of it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedWholeBody {
    /// What lists tell as well.
    pub(crate) parked: ParkedBody,
    /// Live mode, or a sandbox.
    pub(crate) livemode: Option<bool>,
    /// The Connect account it belongs to; null: the platform's own.
    pub(crate) stripe_account: Option<String>,
    /// The version that shaped the body.
    pub(crate) api_version: Option<String>,
    /// When it was received.
    pub(crate) received_at: Option<i64>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// The case or event it belongs to.
    pub(crate) correlation: Option<String>,
    /// How long its body is.
    pub(crate) bytes: usize,
    /// The body with secrets masked: JSON, or the beginning of its text where it is none.
    pub(crate) body: Value,
}

/// The copies that have this id.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedFoundBody {
    /// Most often one.
    pub(crate) data: Vec<ParkedWholeBody>,
}

/// Which messages to put back into their queues.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ParkedRequeueBody {
    /// Those with these ids, their own or those under which they are parked.
    pub(crate) ids: Vec<String>,
    /// All of them; then nothing may be chosen.
    pub(crate) all: bool,
    /// Of this queue.
    pub(crate) queue: Option<String>,
    /// Parked for this reason.
    pub(crate) parked_for: Option<String>,
    /// Of this type; with `*` at its end of every type that begins so.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// Parked since.
    pub(crate) since: Option<i64>,
    /// Parked until.
    pub(crate) until: Option<i64>,
    /// At most so many, 1 to 500; 100 where nothing is said.
    pub(crate) limit: Option<usize>,
    /// Do it; without it they are only shown.
    pub(crate) write: bool,
}

/// Which messages to drop, and why.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedDropBody {
    /// Why, for the ledger: one line of at most 300 characters.
    pub(crate) reason: String,
    /// Those with these ids, their own or those under which they are parked.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
    /// All of them; then nothing may be chosen.
    #[serde(default)]
    pub(crate) all: bool,
    /// Of this queue.
    pub(crate) queue: Option<String>,
    /// Parked for this reason.
    pub(crate) parked_for: Option<String>,
    /// Of this type; with `*` at its end of every type that begins so.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// Parked since.
    pub(crate) since: Option<i64>,
    /// Parked until.
    pub(crate) until: Option<i64>,
    /// At most so many, 1 to 500; 100 where nothing is said.
    pub(crate) limit: Option<usize>,
    /// Do it; without it they are only shown.
    #[serde(default)]
    pub(crate) write: bool,
}

/// What was changed, or would be.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkedChangedBody {
    /// Whether it was done.
    pub(crate) written: bool,
    /// How many.
    pub(crate) count: u64,
    /// Which.
    pub(crate) data: Vec<ParkedBody>,
    /// Ids that were given and that none of the chosen messages has: not parked, or not any more.
    /// Empty where the limit was reached, since nobody looked further.
    pub(crate) not_found: Vec<String>,
}

impl ParkedChangedBody {
    pub(crate) fn of(written: bool, ids: &[Arc<str>], limit: usize, data: Vec<ParkedBody>) -> Self {
        let ids = if data.len() < limit { ids } else { &[] };
        let found =
            |id: &str| data.iter().any(|one| one.id == id || one.message.as_deref() == Some(id));
        let not_found = ids.iter().filter(|id| !found(id)).map(|id| id.as_ref().into()).collect();
        Self { written, count: u64::try_from(data.len()).unwrap_or(u64::MAX), data, not_found }
    }
}

fn seconds(milliseconds: i64) -> i64 {
    milliseconds.div_euclid(1000)
}

impl From<&ParkedMessage> for ParkedBody {
    fn from(message: &ParkedMessage) -> Self {
        let delivery = &message.delivery;
        Self {
            id: message.id.to_string(),
            message: delivery.id.as_deref().map(str::to_owned),
            queue: message.queue.short_name().to_owned(),
            kind: delivery.kind.as_deref().map(masked),
            reason: message.reason.to_string(),
            error: masked(&message.error),
            times: message.times(),
            attempts: delivery.headers.attempts,
            created: delivery.timestamp_unix_s,
            first_failed_at: message.first_failed_at_unix_ms.map(seconds),
            parked_at: message.parked_at_unix_ms.map(seconds),
        }
    }
}

impl From<&ParkedMessage> for ParkedWholeBody {
    fn from(message: &ParkedMessage) -> Self {
        let delivery = &message.delivery;
        let headers = &delivery.headers;
        Self {
            parked: message.into(),
            livemode: headers.livemode,
            stripe_account: headers.stripe_account.as_deref().map(str::to_owned),
            api_version: headers.api_version.as_deref().map(str::to_owned),
            received_at: headers.received_at_unix_ms.map(seconds),
            traceparent: headers.traceparent.as_deref().map(str::to_owned),
            correlation: delivery.correlation.as_deref().map(str::to_owned),
            bytes: delivery.body.len(),
            body: shown(&delivery.body),
        }
    }
}
