//! The contract on the wire as an AsyncAPI document (version 3.0), generated from the types and
//! the topology, so that it cannot say anything else than the code does.

use relink_core::command::Body;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::envelope::command_type;
use crate::message::{APP_ID, CONTENT_TYPE_CLOUD_EVENT, CONTENT_TYPE_JSON, header};
use crate::schema::{self, MessageSchema};
use crate::topology::{Exchange, FOLLOWUP_KEYS, LIFECYCLE_KEYS, UPCOMING_KEYS};

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
        messages.insert(name, message(&kind, schema.to_value()));
    }
    channels.insert("stripe_event".to_owned(), events());
    operations.insert("send_stripe_event".to_owned(), stripe("send"));
    operations.insert("receive_stripe_event".to_owned(), stripe("receive"));
    messages.insert("stripe_event".to_owned(), stripe_event());
    json!({
        "asyncapi": "3.0.0",
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

fn message(kind: &str, payload: Value) -> Value {
    let about = payload.pointer("/properties/data/description").cloned();
    json!({
        "name": kind,
        "title": kind,
        "summary": about.unwrap_or_else(|| kind.into()),
        "contentType": CONTENT_TYPE_CLOUD_EVENT,
        "headers": headers(&[(header::LIVEMODE, "boolean")], &[
            (header::STRIPE_ACCOUNT, "string"),
            (header::TRACEPARENT, "string"),
        ]),
        "payload": { "schemaFormat": SCHEMA_FORMAT, "schema": payload },
        "bindings": { "amqp": { "messageType": kind, "bindingVersion": "0.3.0" } },
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

fn stripe(action: &str) -> Value {
    operation(action, "stripe_event", "An event of Stripe's, as it came")
}

fn stripe_event() -> Value {
    json!({
        "name": "stripe_event",
        "title": "An event of Stripe's",
        "summary": "The bytes that Stripe has signed, unchanged; `message_id` is the event's id, \
            `type` its type, `timestamp` when it was created",
        "contentType": CONTENT_TYPE_JSON,
        "headers": headers(&[(header::LIVEMODE, "boolean"), (header::RECEIVED_AT, "integer")], &[
            (header::STRIPE_ACCOUNT, "string"),
            (header::API_VERSION, "string"),
            (header::TRACEPARENT, "string"),
        ]),
        "payload": {
            "schemaFormat": SCHEMA_FORMAT,
            "schema": {
                "type": "object",
                "description": "docs.stripe.com/api/events/object",
                "properties": { "id": { "type": "string" }, "type": { "type": "string" } },
                "required": ["id", "type"],
            },
        },
        "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
    })
}

/// The headers that are always there, and those that may be.
fn headers(always: &[(&str, &str)], sometimes: &[(&str, &str)]) -> Value {
    let property = |(name, kind): &(&str, &str)| ((*name).to_owned(), json!({ "type": kind }));
    let properties: Map<String, Value> = always.iter().chain(sometimes).map(property).collect();
    let required: Vec<&str> = always.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "description": format!("AMQP headers; the property `app_id` is {APP_ID}"),
        "properties": properties,
        "required": required,
    })
}
