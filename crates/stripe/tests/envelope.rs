//! The four forms an event arrives in, and the name of every refusal.

use std::borrow::Cow;

use relink_core::id::{ID_BYTES_MAX, InputId};
use relink_stripe::envelope::{Envelope, EnvelopeError, TYPE_BYTES_MAX};
use serde_json::{Value, json};

fn snapshot() -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2026-09-30.preview",
        "created": 1_793_577_600, "livemode": true, "account": "acct_1",
        "data": {"object": {"id": "fca_1", "type": "not the event's", "created": 5}},
        "type": "financial_connections.account.deactivated"
    })
}

fn thin() -> Value {
    json!({
        "id": "evt_65", "object": "v2.core.event", "created": "2026-11-02T00:00:00.999Z",
        "livemode": false, "context": "acct_2",
        "related_object": {"id": "fca_1", "type": "financial_connections.account", "url": "/"},
        "type": "v1.financial_connections.account.deactivated"
    })
}

fn with(mut event: Value, key: &str, value: Value) -> Vec<u8> {
    event[key] = value;
    event.to_string().into_bytes()
}

fn without(mut event: Value, key: &str) -> Vec<u8> {
    event.as_object_mut().expect("an object").remove(key);
    event.to_string().into_bytes()
}

/// The event with a key before all others, twice.
fn twice(event: &Value, key: &str) -> Vec<u8> {
    let text = event.to_string();
    format!("{{\"{key}\":1,\"{key}\":2,{}", &text[1..]).into_bytes()
}

fn refusal(body: &[u8]) -> &'static str {
    Envelope::read(body).map_or_else(EnvelopeError::as_str, |_| "accepted")
}

#[test]
fn a_snapshot_event_is_read() {
    let body = snapshot().to_string();
    let envelope = Envelope::read(body.as_bytes()).expect("an envelope");
    assert_eq!(
        envelope,
        Envelope {
            id: "evt_1".into(),
            kind: "financial_connections.account.deactivated".into(),
            created: 1_793_577_600,
            livemode: true,
            stripe_account: Some("acct_1".into()),
            api_version: Some("2026-09-30.preview".into()),
            thin: false,
        }
    );
    assert_eq!(envelope.routing_key(), envelope.kind);
    assert!(matches!(envelope.id, Cow::Borrowed(_)), "text without escapes is not copied");
}

#[test]
fn a_thin_event_is_read_with_its_whole_second() {
    let body = thin().to_string();
    let envelope = Envelope::read(body.as_bytes()).expect("an envelope");
    assert!(envelope.thin && !envelope.livemode && envelope.is_financial_connections());
    assert_eq!(envelope.created, 1_793_577_600);
    assert_eq!(envelope.routing_key(), "financial_connections.account.deactivated");
    assert_eq!(envelope.stripe_account.as_deref(), Some("acct_2"));
    assert_eq!(envelope.api_version, None);
}

#[test]
fn the_context_of_a_thin_event_names_the_innermost_account() {
    let account = |context: Value| {
        let body = with(thin(), "context", context);
        Envelope::read(&body)
            .map(|envelope| envelope.stripe_account.map(Cow::into_owned))
            .map_err(EnvelopeError::as_str)
    };
    assert_eq!(account(json!("org_x/acct_y")), Ok(Some("acct_y".to_owned())));
    assert_eq!(account(json!("org_x/acct_y/acct_z")), Ok(Some("acct_z".to_owned())));
    assert_eq!(account(json!("org_x/acct_y\u{8}")), Err("account_not_acceptable"));
    assert_eq!(account(json!("org_x")), Ok(None));
    assert_eq!(account(Value::Null), Ok(None));
    assert_eq!(account(json!(7)), Err("account_not_acceptable"));
}

#[test]
fn event_bridge_wraps_either_form_and_its_account_is_amazons() {
    for (event, account) in [(snapshot(), Some("acct_1")), (thin(), Some("acct_2"))] {
        let wrapped = json!({
            "version": "0", "id": "6d0c", "detail-type": event["type"], "account": "111122223333",
            "source": "aws.partner/stripe.com/ed_1", "time": "2026-11-02T01:00:00Z",
            "detail": event.clone()
        });
        let (wrapped, plain) = (wrapped.to_string(), event.to_string());
        let envelope = Envelope::read(wrapped.as_bytes()).expect("an envelope");
        assert_eq!(envelope, Envelope::read(plain.as_bytes()).expect("an envelope"));
        assert_eq!(envelope.stripe_account.as_deref(), account);
    }
    let own = json!({"account": "111122223333", "detail":
        serde_json::from_slice::<Value>(&without(snapshot(), "account")).expect("json")});
    let own = own.to_string();
    let envelope = Envelope::read(own.as_bytes()).expect("an envelope");
    assert_eq!(envelope.stripe_account, None);
}

#[test]
fn event_grid_wraps_either_form_as_a_cloud_event() {
    for event in [snapshot(), thin()] {
        let wrapped = json!({
            "specversion": "1.0", "id": "6d0c", "source": "/stripe", "type": event["type"],
            "time": "2026-11-02T01:00:00Z", "datacontenttype": "application/json",
            "data": event.clone()
        });
        let (wrapped, plain) = (wrapped.to_string(), event.to_string());
        let envelope = Envelope::read(wrapped.as_bytes()).expect("an envelope");
        assert_eq!(envelope, Envelope::read(plain.as_bytes()).expect("an envelope"));
    }
}

#[test]
fn a_genuine_event_is_never_taken_for_a_wrapper() {
    let mut event = snapshot();
    event["detail"] = json!({"id": "evt_inner", "type": "x", "created": 1, "livemode": false});
    event["specversion"] = json!("1.0");
    let body = event.to_string();
    let envelope = Envelope::read(body.as_bytes()).expect("an envelope");
    assert_eq!(envelope.id, "evt_1");
}

#[test]
fn other_types_are_read_and_told_apart() {
    for (kind, expected) in [
        ("charge.succeeded", false),
        ("v1.charge.succeeded", false),
        ("v2.core.event_destination.ping", false),
        ("financial_connections", false),
        ("v1.v1.financial_connections.account.created", false),
        ("financial_connections.anything.new", true),
    ] {
        let body = with(snapshot(), "type", json!(kind));
        let envelope = Envelope::read(&body).expect("an envelope");
        assert_eq!(envelope.is_financial_connections(), expected, "{kind}");
    }
}

#[test]
fn every_refusal_has_its_name() {
    let long_id = "e".repeat(ID_BYTES_MAX + 1);
    let long_type = "t".repeat(TYPE_BYTES_MAX + 1);
    let table = [
        (b"".to_vec(), "unparsable"),
        (b"{".to_vec(), "unparsable"),
        (b"[]".to_vec(), "unparsable"),
        (b"\"evt_1\"".to_vec(), "unparsable"),
        (b"{\"id\":\"a\",\"id\":\"b\"}".to_vec(), "repeated_key"),
        (b"{\"x\":\"\xff\"}".to_vec(), "unparsable"),
        (b"{}".to_vec(), "missing_id"),
        (without(snapshot(), "id"), "missing_id"),
        (with(snapshot(), "id", json!(5)), "missing_id"),
        (with(snapshot(), "id", json!("")), "id_not_acceptable"),
        (with(snapshot(), "id", json!("evt 1")), "id_not_acceptable"),
        (with(snapshot(), "id", json!("evt_é")), "id_not_acceptable"),
        (with(snapshot(), "id", json!(long_id)), "id_not_acceptable"),
        (twice(&snapshot(), "id"), "repeated_key"),
        (twice(&thin(), "livemode"), "repeated_key"),
        (without(snapshot(), "type"), "missing_type"),
        (with(snapshot(), "type", json!("a b")), "type_not_acceptable"),
        (with(snapshot(), "type", json!(long_type)), "type_not_acceptable"),
        (without(snapshot(), "created"), "missing_created"),
        (with(snapshot(), "created", json!("yesterday")), "missing_created"),
        (with(snapshot(), "created", json!(1.5)), "missing_created"),
        (with(snapshot(), "created", json!(-1)), "impossible_created"),
        (with(snapshot(), "created", json!(253_402_300_800_i64)), "impossible_created"),
        (with(thin(), "created", json!("1969-12-31T23:59:59.999Z")), "impossible_created"),
        (without(snapshot(), "livemode"), "missing_livemode"),
        (with(snapshot(), "livemode", json!("true")), "missing_livemode"),
        (with(snapshot(), "account", json!("111122223333")), "account_not_acceptable"),
        (with(snapshot(), "account", json!({"id": "acct_1"})), "account_not_acceptable"),
    ];
    for (body, expected) in table {
        assert_eq!(refusal(&body), expected, "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(EnvelopeError::ALL.len(), 10);
}

#[test]
fn what_is_optional_never_refuses() {
    for body in [
        with(snapshot(), "api_version", Value::Null),
        with(snapshot(), "api_version", json!(5)),
        with(snapshot(), "api_version", json!("a b")),
        with(snapshot(), "account", Value::Null),
        with(snapshot(), "data", json!([1, {"object": 2}])),
        with(snapshot(), "unheard_of", json!({"deep": [[[{}]]]})),
        twice(&snapshot(), "unheard_of"),
        without(snapshot(), "object"),
        without(snapshot(), "data"),
    ] {
        assert_eq!(refusal(&body), "accepted", "{}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn an_accepted_id_is_one_that_core_accepts() {
    for id in ["evt_1", "", "a b", "é", "\u{7f}", &"x".repeat(120), &"x".repeat(121)] {
        let body = with(snapshot(), "id", json!(id));
        assert_eq!(Envelope::read(&body).is_ok(), InputId::new(id).is_acceptable(), "{id:?}");
    }
}
