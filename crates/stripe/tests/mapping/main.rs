//! What types, reads and odd bodies are mapped to.

mod accounts;
mod sessions;
mod types;

use relink_core::input::Happened;
use relink_core::observation::AccountObservation;
use relink_stripe::mapping::{self, MappingError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(crate) const AT: i64 = 1_793_577_600;

pub(crate) fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({
        "id": "evt_1", "object": "event", "created": AT, "livemode": true,
        "data": {"object": object}, "type": format!("financial_connections.{kind}")
    })
    .to_string()
    .into_bytes()
}

pub(crate) fn thin(kind: &str) -> Value {
    json!({
        "id": "evt_65", "object": "v2.core.event", "created": "2026-11-02T00:00:00.417Z",
        "livemode": true,
        "related_object": {"id": "fca_1", "type": "financial_connections.account", "url": "/"},
        "type": format!("v1.financial_connections.{kind}")
    })
}

pub(crate) fn account() -> Value {
    json!({"id": "fca_1", "object": "financial_connections.account", "status": "active"})
}

pub(crate) fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

pub(crate) fn observed(kind: &str, object: &Value) -> AccountObservation {
    match mapping::input(&event(kind, object)).expect("a mappable event").happened {
        Happened::AccountObserved(observation) => *observation,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn happened(body: &Value) -> Happened {
    mapping::input(body.to_string().as_bytes()).expect("a mappable event").happened
}

pub(crate) fn refusal(body: &[u8]) -> &'static str {
    mapping::input(body).map_or_else(MappingError::as_str, |_| "accepted")
}

pub(crate) fn raw(object: &Value) -> Box<RawValue> {
    RawValue::from_string(object.to_string()).expect("json")
}
