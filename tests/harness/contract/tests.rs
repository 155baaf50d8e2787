//! That it bites.

use relink_bus::golden;
use relink_bus::message::{APP_ID, CONTENT_TYPE_CLOUD_EVENT};
use serde_json::json;

use super::*;

const PROMPT: &str = "relink.prompt_relink.v1";
const OBSERVED: &str = "relink.observed.account";

/// A golden body as it travels.
fn travelling(kind: &str) -> Captured {
    let body = golden::body(kind).unwrap();
    let exchange =
        if kind.starts_with("relink.observed.") { "relink.events" } else { "relink.commands" };
    Captured {
        routing_key: kind.to_owned(),
        id: body["id"].as_str().map(str::to_owned),
        properties: json!({
            "exchange": exchange, "routing_key": kind, "message_id": body["id"], "type": kind,
            "timestamp": 1_793_624_400, "content_type": CONTENT_TYPE_CLOUD_EVENT,
            "app_id": APP_ID, "correlation_id": "live/acct_1:fcauth_1:case-1", "delivery_mode": 2,
            "redelivered": false,
            "headers": {
                "relink-livemode": true, "relink-stripe-account": "acct_1", "x-theirs": [1],
                "relink-received-at": exchange.eq("relink.events").then_some(7),
            },
        }),
        body: body.to_string().into_bytes(),
    }
    .without_null_headers()
}

fn stripe_event() -> Captured {
    let kind = "financial_connections.account.teleported";
    let mut event = travelling(OBSERVED);
    event.routing_key = kind.to_owned();
    event.body = json!({ "id": "evt_1", "type": kind }).to_string().into_bytes();
    for (name, value) in
        [("type", json!(kind)), ("correlation_id", Value::Null), ("message_id", json!("evt_1"))]
    {
        event.properties[name] = value;
    }
    event.properties["content_type"] = json!("application/json");
    event
}

fn parked() -> Captured {
    let mut message = stripe_event();
    message.routing_key = "relink.lifecycle.parked".to_owned();
    message.properties["exchange"] = json!("");
    for (name, value) in [
        ("relink-park-reason", json!("unparsable")),
        ("relink-park-error", json!("why")),
        ("relink-first-failed-at", json!(1)),
        ("relink-last-failed-at", json!(2)),
    ] {
        message.properties["headers"][name] = value;
    }
    message
}

impl Captured {
    fn without_null_headers(mut self) -> Self {
        let headers = without_nulls(&self.properties["headers"]);
        self.properties["headers"] = headers;
        self
    }

    /// With another value at a place in its body; null: with none.
    fn with_body(mut self, pointer: &str, value: Value) -> Self {
        let mut body = self.json();
        put(&mut body, pointer, value);
        self.body = body.to_string().into_bytes();
        self
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.properties, pointer, value);
        self
    }
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (value, parent) {
        (Value::Null, Value::Object(fields)) => {
            fields.remove(name);
        }
        (value, Value::Object(fields)) => {
            fields.insert(name.to_owned(), value);
        }
        (value, list) => list[name.parse::<usize>().unwrap()] = value,
    }
}

/// One problem, which says all of this.
#[track_caller]
fn told(message: &Captured, parts: &[&str]) {
    let problems = contract().problems(message);
    assert!(!problems.is_empty(), "nothing was found; wanted: {parts:?}");
    let all = problems.join("\n");
    for part in parts {
        assert!(all.contains(part), "`{part}` is not told:\n{all}");
    }
}

#[test]
fn what_was_promised_holds() {
    for (kind, _) in golden::all() {
        contract().hold(&travelling(kind));
    }
    contract().hold(&stripe_event());
    contract().hold(&parked());
}

#[test]
fn a_wrong_body_is_told_with_its_place() {
    let prompt = || travelling(PROMPT);
    for (pointer, value, place) in [
        ("/data/case", Value::Null, "body at `/data`: \"case\" is a required property"),
        ("/data/livemode", json!("yes"), "body at `/data/livemode`: value is not of type"),
        ("/data/urgency", json!("soon"), "body at `/data/urgency`"),
        ("/data/accounts/0/status", json!("asleep"), "body at `/data/accounts/0/status`"),
        ("/data/accounts/0", json!("fca_1"), "body at `/data/accounts/0`"),
        ("/data/deadline", json!("tomorrow"), "body at `/data/deadline`"),
        ("/specversion", json!("2.0"), "body at `/specversion`"),
        ("/time", json!("yesterday"), "body at `/time`"),
        ("/subject", Value::Null, "\"subject\" is a required property"),
        ("/id", json!("another"), "`message_id` is not the body's `id`"),
    ] {
        told(&prompt().with_body(pointer, value), &[place]);
    }
    told(&prompt().with_body("/data/urgency", json!("soon")), &["; rule /"]);
    let observed = travelling(OBSERVED).with_body("/data/read_at", json!(1.5));
    told(&observed, &["body at `/data/read_at`"]);
    let mut broken = prompt();
    broken.body.pop();
    told(&broken, &["body: not JSON"]);
}

#[test]
fn a_wrong_envelope_of_amqp_is_told() {
    for (pointer, value, part) in [
        ("/type", json!("relink.prompt_relink.v7"), "no message `relink.prompt_relink.v7`"),
        ("/message_id", Value::Null, "\"message_id\" is a required property"),
        ("/correlation_id", Value::Null, "\"correlation_id\" is a required property"),
        ("/timestamp", json!("2026-11-02"), "properties at `/timestamp`"),
        ("/content_type", json!("application/json"), "properties at `/content_type`"),
        ("/delivery_mode", json!(1), "properties at `/delivery_mode`"),
        ("/app_id", json!("relinq"), "properties at `/app_id`"),
        ("/app_id", Value::Null, "\"app_id\" is a required property"),
        ("/headers/relink-livemode", Value::Null, "\"relink-livemode\" is a required property"),
        ("/headers/relink-livemode", json!("true"), "headers at `/relink-livemode`"),
        ("/headers/relink-mood", json!("good"), "`relink-mood` is not documented"),
        ("/exchange", json!("relink.events"), "came over \"relink.events\""),
    ] {
        told(&travelling(PROMPT).with(pointer, value), &[part]);
    }
    let mut elsewhere = travelling(PROMPT);
    elsewhere.routing_key = "relink.remind_relink.v1".to_owned();
    told(&elsewhere, &["came as `relink.remind_relink.v1`"]);
    told(&stripe_event().with("/headers/relink-received-at", Value::Null), &["required"]);
    told(&stripe_event().with("/correlation_id", json!("case")), &["at `/correlation_id`"]);
    told(&stripe_event().with_body("/id", Value::Null), &["body at ``"]);
    told(&parked().with("/headers/relink-park-reason", json!("bad mood")), &["park-reason"]);
    let foreign = parked().with("/app_id", Value::Null);
    contract().hold(&foreign);
    told(&foreign.with("/headers/relink-park-error", json!(7)), &["at `/relink-park-error`"]);
}

#[test]
fn a_failure_names_the_test_and_shows_no_secret() {
    let message = travelling(PROMPT).with_body("/data/relink_url", json!(["hunter2"]));
    let message = message.with_body("/data/urgency", json!("soon"));
    let panic = std::panic::catch_unwind(|| contract().hold(&message)).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    let id = golden::body(PROMPT).unwrap()["id"].as_str().unwrap().to_owned();
    for part in ["a_failure_names_the_test", &id, "`/data/urgency`", "`/data/relink_url`", "soon"] {
        assert!(said.contains(part), "`{part}` is not told:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let body = [b"{\"data\": \"", &b"sk_live_hunter2"[..], b"\"}"].concat();
    let panic = std::panic::catch_unwind(|| contract().hold_body(PROMPT, &body)).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("\"data\"") && !said.contains("hunter2"), "{said}");
}
