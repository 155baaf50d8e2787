//! What travels.

use std::sync::Arc;

use bytes::Bytes;

use crate::topology::{Exchange, UNKNOWN_TYPE_KEY, is_bound};

/// `content_type` of a Stripe event.
pub const CONTENT_TYPE_JSON: &str = "application/json";
/// `content_type` of a command or an observation: CloudEvents 1.0, structured mode.
pub const CONTENT_TYPE_CLOUD_EVENT: &str = "application/cloudevents+json";

/// Names of the headers that Relink sets, as they stand on the wire.
pub mod header {
    /// `true` or `false`.
    pub const LIVEMODE: &str = "relink-livemode";
    /// The Connect account, where there is one.
    pub const STRIPE_ACCOUNT: &str = "relink-stripe-account";
    /// The version that shaped the body.
    pub const API_VERSION: &str = "relink-api-version";
    /// When ingress took it, Unix milliseconds.
    pub const RECEIVED_AT: &str = "relink-received-at";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// Tells one publish of a channel from another, so that what the broker returns finds its
    /// publish; on mandatory messages only, and of no meaning to a consumer.
    pub const PUBLISH: &str = "relink-publish";
    /// How many times the retry ladder has been climbed.
    pub const ATTEMPTS: &str = "relink-attempts";
    /// How many times a person has put it back from the parked queue: it has been parked once more
    /// than that.
    pub const REQUEUES: &str = "relink-requeues";
    /// Why a message was parked.
    pub const PARK_REASON: &str = "relink-park-reason";
    /// The error that parked it, without bodies or secrets.
    pub const PARK_ERROR: &str = "relink-park-error";
    /// When it failed for the first time, Unix milliseconds.
    pub const FIRST_FAILED_AT: &str = "relink-first-failed-at";
    /// When it was parked, Unix milliseconds.
    pub const LAST_FAILED_AT: &str = "relink-last-failed-at";
}

/// Headers that Relink sets and reads; foreign ones are ignored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers {
    /// [`header::LIVEMODE`]
    pub livemode: Option<bool>,
    /// [`header::STRIPE_ACCOUNT`]
    pub stripe_account: Option<Arc<str>>,
    /// [`header::API_VERSION`]
    pub api_version: Option<Arc<str>>,
    /// [`header::RECEIVED_AT`]
    pub received_at_unix_ms: Option<i64>,
    /// [`header::TRACEPARENT`]
    pub traceparent: Option<Arc<str>>,
    /// [`header::ATTEMPTS`]; 0 where absent.
    pub attempts: u32,
    /// [`header::FIRST_FAILED_AT`]
    pub first_failed_at_unix_ms: Option<i64>,
    /// [`header::REQUEUES`]; 0 where absent.
    pub requeues: u32,
}

/// A message to publish: always persistent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where to.
    pub exchange: Exchange,
    /// Its address there.
    pub routing_key: Arc<str>,
    /// A second address that consumers do not see (AMQP: the `BCC` header of RabbitMQ's
    /// sender-selected distribution), so that a type nobody has bound still reaches a worker.
    pub also_to: Option<&'static str>,
    /// Whether a message that no queue takes is an error. Events: yes. Commands: no, a platform
    /// binds those it acts on.
    pub mandatory: bool,
    /// `message_id`: the event's or command's id.
    pub id: Arc<str>,
    /// `type`
    pub kind: Arc<str>,
    /// `timestamp`, Unix seconds.
    pub timestamp_unix_s: i64,
    /// `correlation_id`
    pub correlation: Option<Arc<str>>,
    /// `content_type`
    pub content_type: &'static str,
    /// Headers.
    pub headers: Headers,
    /// The body; of an event the very bytes that Stripe sent.
    pub body: Bytes,
}

/// What an event says of itself, as far as it becomes part of its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventHead<'a> {
    /// Its id.
    pub id: &'a str,
    /// Stripe's type verbatim.
    pub kind: &'a str,
    /// The type without a leading `v1.`.
    pub routing_key: &'a str,
    /// When it was made, Unix seconds.
    pub created_unix_s: i64,
    /// Live mode, or a sandbox.
    pub livemode: bool,
    /// The Connect account, where there is one.
    pub stripe_account: Option<&'a str>,
    /// The version that shaped the body.
    pub api_version: Option<&'a str>,
}

impl Message {
    /// An event of Stripe's, however it came; the body is shared, not copied.
    pub fn of_event(head: &EventHead<'_>, body: Bytes, received_at_unix_ms: i64) -> Self {
        let kind: Arc<str> = Arc::from(head.kind);
        // Only a thin event's key differs from its type.
        let is_same = head.routing_key == head.kind;
        let routing_key = if is_same { Arc::clone(&kind) } else { Arc::from(head.routing_key) };
        Self {
            exchange: Exchange::Events,
            also_to: (!is_bound(&routing_key)).then_some(UNKNOWN_TYPE_KEY),
            routing_key,
            mandatory: true,
            id: Arc::from(head.id),
            kind,
            timestamp_unix_s: head.created_unix_s,
            correlation: None,
            content_type: CONTENT_TYPE_JSON,
            headers: Headers {
                livemode: Some(head.livemode),
                stripe_account: head.stripe_account.map(Arc::from),
                api_version: head.api_version.map(Arc::from),
                received_at_unix_ms: Some(received_at_unix_ms),
                ..Headers::default()
            },
            body,
        }
    }
}

/// The longest id of a message, in bytes: it travels as an AMQP short string.
pub const MESSAGE_ID_BYTES_MAX: usize = 255;

/// Whether an id of a message comes through whole, whatever made it.
pub fn is_acceptable_id(id: &str) -> bool {
    let is_graphic = id.bytes().all(|byte| byte.is_ascii_graphic());
    is_graphic && !id.is_empty() && id.len() <= MESSAGE_ID_BYTES_MAX
}

/// `app_id` of everything Relink publishes.
pub const APP_ID: &str = "relink";

/// A message as a subscriber hands it out; whatever a foreign publisher left out is `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Names the delivery when it is settled.
    pub receipt: Receipt,
    /// `message_id`
    pub id: Option<Arc<str>>,
    /// `type`
    pub kind: Option<Arc<str>>,
    /// Its address.
    pub routing_key: Arc<str>,
    /// `timestamp`, Unix seconds: of an event its `created`.
    pub timestamp_unix_s: Option<i64>,
    /// `correlation_id`
    pub correlation: Option<Arc<str>>,
    /// Headers.
    pub headers: Headers,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// The body.
    pub body: Bytes,
}

/// Names one delivery of one consumer incarnation; opaque to all but the adapter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Receipt {
    /// Which incarnation of the channel: a receipt of an earlier one settles nothing.
    pub generation: u64,
    /// Which delivery of it; grows in the order of delivery.
    pub tag: u64,
}
