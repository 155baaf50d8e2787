//! The contract on the wire as an AsyncAPI document (version 3.1), generated from the types and
//! the topology, so that it cannot say anything else than the code does.

mod beside;

use relink_core::command::Body;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::beside::{Properties, headers};
use crate::envelope::command_type;
use crate::golden;
use crate::message::{CONTENT_TYPE_CLOUD_EVENT, CONTENT_TYPE_JSON, header};
use crate::schema::{self, MessageSchema};
use crate::topology::{Exchange, FOLLOWUP_KEYS, LIFECYCLE_KEYS, UPCOMING_KEYS, WorkQueue};

/// The version of the contract: the one at the end of every type.
const CONTRACT: &str = "1.0.0";

/// The dialect that AsyncAPI's tools read; without references, which would point into the whole
/// document.
const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-07";

/// The whole document.
pub fn document() -> Value {
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    let dialect = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    for MessageSchema { kind, schema } in schema::every(&dialect) {
        let name = identifier(&kind);
        let is_command = Body::NAMES.into_iter().any(|name| command_type(name) == kind);
        let exchange = if is_command { Exchange::Commands } else { Exchange::Events };
        channels.insert(name.clone(), channel(exchange, &kind, &name));
        operations.insert(format!("send_{name}"), operation("send", &name, &kind));
        if FOLLOWUP_KEYS.contains(&&*kind) || !is_command {
            let own = operation("receive", &name, &kind);
            operations.insert(format!("receive_{name}"), own);
        }
        messages.insert(name, message(is_command, &kind, schema.to_value()));
    }
    for (name, channel, about, message) in [
        ("stripe_event", events(), "An event of Stripe's, as it came", stripe_event()),
        ("parked", parking_lot(), "A message that was set aside for a person", parked()),
    ] {
        channels.insert(name.to_owned(), channel);
        for action in ["send", "receive"] {
            operations.insert(format!("{action}_{name}"), operation(action, name, about));
        }
        messages.insert(name.to_owned(), message);
    }
    json!({
        "asyncapi": "3.1.0",
        "id": "urn:relink",
        "info": {
            "title": "Relink",
            "version": CONTRACT,
            "description": "What Relink publishes and consumes on RabbitMQ. Messages are \
                persistent, come at least once and in no certain order: ids and versions tell \
                copies and older ones. `send` is what Relink publishes, `receive` what it consumes.",
            "license": { "name": "MIT" },
        },
        "defaultContentType": CONTENT_TYPE_CLOUD_EVENT,
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

/// A type as a key of the document.
fn identifier(kind: &str) -> String {
    kind.replace('.', "_")
}

fn channel(exchange: Exchange, kind: &str, name: &str) -> Value {
    json!({
        "address": kind,
        "messages": { name: { "$ref": format!("#/components/messages/{name}") } },
        "bindings": { "amqp": amqp(exchange) },
    })
}

fn amqp(exchange: Exchange) -> Value {
    json!({
        "is": "routingKey",
        "exchange": {
            "name": exchange.name(), "type": "topic", "durable": true, "autoDelete": false,
        },
        "bindingVersion": "0.3.0",
    })
}

fn operation(action: &str, name: &str, kind: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{name}") },
        "summary": kind,
        "bindings": { "amqp": { "deliveryMode": 2, "ack": true, "bindingVersion": "0.3.0" } },
    })
}

fn message(is_command: bool, kind: &str, payload: Value) -> Value {
    let about = payload.pointer("/properties/data/description").cloned();
    let (received, timestamp, correlation) = if is_command {
        (None, "When it was decided, Unix seconds.", "The case, or the event, that led to it.")
    } else {
        let read = "The second in which Stripe answered, Unix seconds.";
        (Some(header::RECEIVED_AT), read, "The command that asked for it, if one did.")
    };
    let always: Vec<&str> = [header::LIVEMODE].into_iter().chain(received).collect();
    let properties = Properties {
        kind: Some(kind),
        content_type: CONTENT_TYPE_CLOUD_EVENT,
        timestamp,
        correlation: Some((correlation, is_command)),
    };
    json!({
        "name": kind,
        "title": kind,
        "summary": about.unwrap_or_else(|| kind.into()),
        "contentType": CONTENT_TYPE_CLOUD_EVENT,
        "headers": headers(&always, &[
            header::STRIPE_ACCOUNT, header::TRACEPARENT, header::PUBLISH,
        ]),
        "payload": { "schemaFormat": SCHEMA_FORMAT, "schema": payload },
        "examples": golden::body(kind).map(|body| json!({ "payload": body })).as_slice(),
        "bindings": { "amqp": { "messageType": kind, "bindingVersion": "0.3.0" } },
        "x-amqp-properties": properties.schema(),
    })
}

/// All of Stripe's types that a queue is bound to; others are published as well.
fn events() -> Value {
    let kinds: Vec<&str> = LIFECYCLE_KEYS
        .into_iter()
        .chain(UPCOMING_KEYS)
        .filter(|key| !key.starts_with("relink."))
        .collect();
    json!({
        "address": "{type}",
        "parameters": {
            "type": {
                "description": "Stripe's type without a leading `v1.`; others than these are \
                    published under theirs as well, and no queue of Relink's is bound to them",
                "enum": kinds,
            },
        },
        "messages": { "stripe_event": { "$ref": "#/components/messages/stripe_event" } },
        "bindings": { "amqp": amqp(Exchange::Events) },
    })
}

fn stripe_event() -> Value {
    let properties = Properties {
        kind: None,
        content_type: CONTENT_TYPE_JSON,
        timestamp: "When Stripe made it, Unix seconds.",
        correlation: None,
    };
    let event = json!({
        "description": "docs.stripe.com/api/events/object",
        "properties": { "id": { "type": "string" }, "type": { "type": "string" } },
        "required": ["id", "type"],
    });
    json!({
        "name": "stripe_event",
        "title": "An event of Stripe's",
        "summary": "The bytes that Stripe has signed, unchanged; `message_id` is the event's id, \
            `type` its type, `timestamp` when it was created",
        "contentType": CONTENT_TYPE_JSON,
        "headers": headers(&[header::LIVEMODE, header::RECEIVED_AT], &[
            header::STRIPE_ACCOUNT, header::API_VERSION, header::TRACEPARENT, header::PUBLISH,
        ]),
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": {
                "type": "object",
                "anyOf": [event, {
                    "description": "The same as Amazon EventBridge wraps it.",
                    "properties": { "detail": event },
                    "required": ["detail"],
                }],
            },
        },
        "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
        "x-amqp-properties": properties.schema(),
    })
}

/// The queues for people: one behind each work queue.
fn parking_lot() -> Value {
    json!({
        "address": "{queue}",
        "parameters": {
            "queue": {
                "description": "Behind each queue of a worker there is one for what its worker \
                    has given up",
                "enum": WorkQueue::ALL.map(WorkQueue::parked),
            },
        },
        "messages": { "parked": { "$ref": "#/components/messages/parked" } },
        "bindings": { "amqp": {
            "is": "queue",
            "queue": { "durable": true, "exclusive": false, "autoDelete": false },
            "bindingVersion": "0.3.0",
        } },
    })
}

fn parked() -> Value {
    json!({
        "name": "parked",
        "title": "A parked message",
        "summary": "Any of the others, with its properties, headers and body as they were, and \
            with why it was parked; `relink parked` shows it, puts it back or drops it",
        "headers": headers(&[], &[
            header::LIVEMODE, header::STRIPE_ACCOUNT, header::API_VERSION, header::RECEIVED_AT,
            header::TRACEPARENT, header::PUBLISH, header::ATTEMPTS, header::REQUEUES,
            header::PARK_REASON, header::PARK_ERROR, header::FIRST_FAILED_AT,
            header::LAST_FAILED_AT,
        ]),
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": { "description": "The body as it was, whatever it was." },
        },
        "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
    })
}
