//! Commands and observations as CloudEvents 1.0 in structured JSON mode
//! (CloudEvents specification 1.0.2, "JSON event format").

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use relink_core::command::{Body, Command};
use relink_core::id::Scope;
use relink_core::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::{
    CONTENT_TYPE_CLOUD_EVENT, CONTENT_TYPE_JSON, Headers, MESSAGE_ID_BYTES_MAX, Message,
};
use crate::topology::{
    Exchange, OBSERVED_ACCOUNT_KEY, OBSERVED_AUTHORIZATION_KEY, OBSERVED_SESSION_KEY,
};

/// The version of CloudEvents.
pub const SPECVERSION: &str = "1.0";

/// A CloudEvent; `data` is whatever the type says.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CloudEvent<Data> {
    /// Always `1.0`.
    #[schemars(extend("const" = SPECVERSION))]
    pub specversion: String,
    /// Stable: dedupe by it.
    #[schemars(length(min = 1, max = MESSAGE_ID_BYTES_MAX))]
    pub id: String,
    /// `/relink/live`, `/relink/test`, with the Connect account behind it where there is one.
    #[schemars(regex(pattern = "^/relink/(live|test)(/.+)?$"))]
    pub source: String,
    /// `relink.<name>.v1`
    #[serde(rename = "type")]
    pub kind: String,
    /// The authorization, or the account while its authorization is unknown.
    #[schemars(length(min = 1))]
    pub subject: String,
    /// When it was decided, RFC 3339, UTC.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// Always `application/json`.
    #[schemars(extend("const" = CONTENT_TYPE_JSON))]
    pub datacontenttype: String,
    /// The body.
    pub data: Data,
}

/// The type and routing key of a command.
pub fn command_type(name: &str) -> String {
    format!("relink.{name}.v1")
}

/// The `source` of a scope.
pub fn source(scope: &Scope) -> String {
    format!("/relink/{scope}")
}

/// RFC 3339 in UTC with milliseconds; a time that no calendar holds becomes the epoch.
pub fn rfc3339(time: Time) -> String {
    let timestamp =
        jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}

/// Encodes a command.
///
/// # Errors
/// Never in practice: the types have no map keys but strings.
pub fn encode_command(
    command: &Command,
    scope: &Scope,
    decided_at: Time,
) -> serde_json::Result<Bytes> {
    let kind = command_type(command.body.name());
    let id = command.id.as_str();
    match &command.body {
        Body::PromptRelink(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::RemindRelink(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::WithdrawRelink(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::EscalateRelink(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::PauseData(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::ResumeData(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::RefreshData(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::ReplaceAccount(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::VerifyAccounts(data) => encode(&kind, id, scope, &command.subject, decided_at, data),
        Body::ReconcileAccounts(data) => {
            encode(&kind, id, scope, &command.subject, decided_at, data)
        }
    }
}

fn encode<Data: Serialize>(
    kind: &str,
    id: &str,
    scope: &Scope,
    subject: &str,
    time: Time,
    data: &Data,
) -> serde_json::Result<Bytes> {
    let event = CloudEvent {
        specversion: SPECVERSION.to_owned(),
        id: id.to_owned(),
        source: source(scope),
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        time: rfc3339(time),
        datacontenttype: CONTENT_TYPE_JSON.to_owned(),
        data,
    };
    Ok(Bytes::from(serde_json::to_vec(&event)?))
}

/// What a read of Stripe's API brought back: the `data` of an observation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Observed<'a> {
    /// The Connect account the object belongs to.
    pub stripe_account: Option<String>,
    /// Live mode, or a sandbox.
    pub livemode: bool,
    /// The second of the response's `Date` header.
    pub read_at: i64,
    /// The object as Stripe answered it; null: Stripe knows no such object.
    #[serde(borrow)]
    pub object: Option<&'a RawValue>,
}

/// What an observation is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObservedKind {
    /// An account.
    Account,
    /// An authorization.
    Authorization,
    /// A session.
    Session,
}

impl ObservedKind {
    /// Its type, which is its routing key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Account => OBSERVED_ACCOUNT_KEY,
            Self::Authorization => OBSERVED_AUTHORIZATION_KEY,
            Self::Session => OBSERVED_SESSION_KEY,
        }
    }

    /// The kind that has this type.
    pub fn of(key: &str) -> Option<Self> {
        [Self::Account, Self::Authorization, Self::Session].into_iter().find(|one| one.key() == key)
    }
}

/// An observation ready to publish. Its id is made of what was read, when, and which request led
/// to it: a command carried out twice within a second counts once, but a second command within
/// that second is answered as well, or its verify would stay open.
///
/// # Errors
/// When the object is not JSON.
pub fn observation(
    kind: ObservedKind,
    subject: &str,
    scope: &Scope,
    observed: &Observed<'_>,
    correlation: Option<Arc<str>>,
    now: Time,
) -> serde_json::Result<Message> {
    let mut id = format!("obs:{scope}:{subject}:{}", observed.read_at);
    // `verify-3` of `live:fcauth_…:verify-3`: whole ids of commands would make this one too long.
    // The digest tells it from the `verify-3` that another home asked for the same account.
    if let Some(command) = correlation.as_deref() {
        let request = command.rsplit(':').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(id, ":{request}-{:08x}", digest(command));
    }
    let body = encode(kind.key(), &id, scope, subject, now, observed)?;
    Ok(Message {
        exchange: Exchange::Events,
        routing_key: kind.key().into(),
        also_to: None,
        mandatory: true,
        id: id.into(),
        kind: kind.key().into(),
        timestamp_unix_s: observed.read_at,
        correlation,
        content_type: CONTENT_TYPE_CLOUD_EVENT,
        headers: Headers {
            livemode: Some(scope.livemode),
            stripe_account: scope.stripe_account.clone(),
            received_at_unix_ms: Some(now.0),
            ..Headers::default()
        },
        body,
    })
}

/// FNV-1a with 32 bits: the same in every process and version, which the standard hasher is not.
fn digest(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}
