//! Events as Stripe sends them, as short as they may be.

use bytes::Bytes;
use relink_bus::message::{CONTENT_TYPE_JSON, Headers, Message};
use relink_bus::topology::{Exchange, UNKNOWN_TYPE_KEY, is_bound};
use serde_json::{Value, json};

/// 2026-11-02, the second of the first event.
pub(crate) const CREATED_S: i64 = 1_793_581_200;

pub(crate) fn account(id: &str, authorization: &str, status: &str) -> Value {
    let details = match status {
        "inactive" => json!({"inactive": {"action": "relink_required", "cause": "access_expired"}}),
        "active" => json!({"active": {}}),
        _ => json!({}),
    };
    json!({
        "id": id,
        "object": "financial_connections.account",
        "account_holder": {"type": "customer", "customer": "cus_1"},
        "authorization": authorization,
        "institution_name": "Harbor Federal Bank",
        "last4": "4821",
        "livemode": true,
        "permissions": ["balances"],
        "status": status,
        "status_details": details,
    })
}

pub(crate) fn event(id: &str, stem: &str, created: i64, object: &Value) -> Value {
    json!({
        "id": id,
        "object": "event",
        "api_version": "2026-09-30.preview",
        "created": created,
        "livemode": true,
        "type": format!("financial_connections.{stem}"),
        "data": {"object": object},
    })
}

/// Account `fca_<name>` of `fcauth_<name>` stops working.
pub(crate) fn deactivated(name: &str) -> Message {
    let object = account(&format!("fca_{name}"), &format!("fcauth_{name}"), "inactive");
    message(&event(&format!("evt_{name}"), "account.deactivated", CREATED_S, &object))
}

pub(crate) fn message(event: &Value) -> Message {
    let kind = event["type"].as_str().unwrap_or_default();
    let id = event["id"].as_str().unwrap_or("evt_unnamed");
    raw(id, kind, Bytes::from(event.to_string()))
}

/// As ingress publishes it.
pub(crate) fn raw(id: &str, kind: &str, body: Bytes) -> Message {
    let key = kind.strip_prefix("v1.").unwrap_or(kind);
    Message {
        exchange: Exchange::Events,
        routing_key: key.into(),
        also_to: (!is_bound(key)).then_some(UNKNOWN_TYPE_KEY),
        mandatory: true,
        id: id.into(),
        kind: kind.into(),
        timestamp_unix_s: CREATED_S,
        correlation: None,
        content_type: CONTENT_TYPE_JSON,
        headers: Headers::default(),
        body,
    }
}
