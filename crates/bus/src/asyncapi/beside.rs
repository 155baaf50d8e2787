//! What travels beside a body: the headers and properties of AMQP.

use serde_json::{Map, Value, json};

use crate::message::{APP_ID, MESSAGE_ID_BYTES_MAX, header};
use crate::port::{PARK_ERROR_BYTES_MAX, ParkReason};

/// AMQP's number for messages that survive a restart of the broker.
const PERSISTENT: u8 = 2;

/// The schema of a message's headers: those that are always there, and those that may be.
pub(super) fn headers(always: &[&str], sometimes: &[&str]) -> Value {
    let property = |name: &&str| ((*name).to_owned(), header_schema(name));
    let properties: Map<String, Value> = always.iter().chain(sometimes).map(property).collect();
    json!({
        "type": "object",
        "description": "AMQP headers; others than these are the broker's or a platform's own",
        "properties": properties,
        "required": always,
    })
}

fn header_schema(name: &str) -> Value {
    let of = |kind: &str, about: &str| json!({ "type": kind, "description": about });
    let count = |about: &str| json!({ "type": "integer", "minimum": 1, "description": about });
    match name {
        header::LIVEMODE => of("boolean", "Live mode, or a sandbox."),
        header::STRIPE_ACCOUNT => of("string", "The Connect account, where there is one."),
        header::API_VERSION => of("string", "The version of Stripe's API that shaped the body."),
        header::RECEIVED_AT => {
            of("integer", "When it was received or read, Unix milliseconds of Relink's clock.")
        }
        header::TRACEPARENT => of(
            "string",
            "W3C Trace Context: the span that sent it, where Relink tells traces; else as it came \
             with the webhook.",
        ),
        header::PUBLISH => of("integer", "Of no meaning to a consumer."),
        header::ATTEMPTS => count("How many times it was tried again."),
        header::REQUEUES => count("How many times a person has put it back."),
        header::PARK_REASON => json!({
            "type": "string",
            "enum": ParkReason::ALL.map(ParkReason::as_str),
            "description": "Why it was parked; absent where the broker has parked it.",
        }),
        header::PARK_ERROR => json!({
            "type": "string",
            "maxLength": PARK_ERROR_BYTES_MAX,
            "description": "The error that parked it, without bodies or secrets.",
        }),
        header::FIRST_FAILED_AT => of("integer", "When it first failed, Unix milliseconds."),
        header::LAST_FAILED_AT => of("integer", "When it was parked, Unix milliseconds."),
        _ => json!({}),
    }
}

/// How a message is published: its AMQP properties by name, as a JSON Schema. AsyncAPI has no
/// place of its own for them, so they stand under `x-amqp-properties`.
pub(super) struct Properties<'a> {
    /// `type`, where it is always the same.
    pub(super) kind: Option<&'a str>,
    /// `content_type`
    pub(super) content_type: &'a str,
    /// What `timestamp` is.
    pub(super) timestamp: &'a str,
    /// What `correlation_id` is, and whether it is always there; `None`: it never is.
    pub(super) correlation: Option<(&'a str, bool)>,
}

impl Properties<'_> {
    pub(super) fn schema(&self) -> Value {
        let kind = match self.kind {
            Some(kind) => json!({ "const": kind }),
            None => json!({ "type": "string", "description": "Stripe's type, verbatim." }),
        };
        let mut properties = json!({
            "message_id": {
                "type": "string", "minLength": 1, "maxLength": MESSAGE_ID_BYTES_MAX,
                "description": "The id: dedupe by it.",
            },
            "type": kind,
            "timestamp": { "type": "integer", "minimum": 0, "description": self.timestamp },
            "content_type": { "const": self.content_type },
            "app_id": { "const": APP_ID },
            "delivery_mode": { "const": PERSISTENT },
        });
        let mut required =
            vec!["message_id", "type", "timestamp", "content_type", "app_id", "delivery_mode"];
        let correlation = self.correlation.map(|(about, is_always)| {
            if is_always {
                required.push("correlation_id");
            }
            json!({ "type": "string", "minLength": 1, "description": about })
        });
        // `false` admits nothing: where none is documented there is none.
        let correlation = correlation.unwrap_or(Value::Bool(false));
        if let Some(all) = properties.as_object_mut() {
            all.insert("correlation_id".to_owned(), correlation);
        }
        json!({ "type": "object", "properties": properties, "required": required })
    }
}
