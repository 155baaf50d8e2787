//! What a message becomes, and why it is parked.

use std::sync::Arc;

use bytes::Bytes;
use relink_bus::envelope::{Observed, ObservedKind, observation};
use relink_bus::message::{Delivery, Headers, Message, Receipt};
use relink_bus::port::{ParkReason, Parking};
use relink_bus::topology::{LIFECYCLE_KEYS, UPCOMING_KEYS};
use relink_core::id::Scope;
use relink_core::input::{Happened, Ignored, Input};
use relink_core::observation::Stamp;
use relink_core::time::{Second, Time};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::bodies::{CREATED_S, account, event, message, raw};

type Read = Result<Input, Parking>;

fn delivered(message: Message) -> Delivery {
    Delivery {
        receipt: Receipt { generation: 1, tag: 1 },
        id: Some(message.id),
        kind: Some(message.kind),
        routing_key: message.routing_key,
        timestamp_unix_s: Some(message.timestamp_unix_s),
        correlation: None,
        headers: Headers::default(),
        redelivered: false,
        body: message.body,
    }
}

fn lifecycle(message: Message) -> Read {
    relink_worker_lifecycle::decode(&delivered(message))
}

fn upcoming(message: Message) -> Read {
    relink_worker_upcoming::decode(&delivered(message))
}

fn fact() -> Value {
    event("evt_1", "account.deactivated", CREATED_S, &account("fca_1", "fcauth_1", "inactive"))
}

fn forecast() -> Value {
    let object = account("fca_1", "fcauth_1", "active");
    event("evt_1", "account.upcoming_deactivation", CREATED_S, &object)
}

fn read(kind: ObservedKind, object: Option<&RawValue>) -> Message {
    let observed = Observed { stripe_account: None, livemode: true, read_at: CREATED_S, object };
    observation(kind, "fca_1", &Scope::own(true), &observed, None, Time(0)).unwrap()
}

/// Changes a field of an observation's document.
fn tampered(pointer: &str, value: Value) -> Message {
    let object = to_raw_value(&account("fca_1", "fcauth_1", "active")).unwrap();
    let mut message = read(ObservedKind::Account, Some(&object));
    let mut document: Value = serde_json::from_slice(&message.body).unwrap();
    *document.pointer_mut(pointer).unwrap() = value;
    message.body = document.to_string().into();
    message
}

#[track_caller]
fn check(result: Read, reason: ParkReason) {
    assert_eq!(result.unwrap_err().reason, reason);
}

#[test]
fn a_bad_body_is_parked_with_its_reason_on_either_queue() {
    let changed = |change: fn(&mut Value)| {
        let mut body = forecast();
        change(&mut body);
        message(&body)
    };
    let cases: [(Message, ParkReason); 9] = [
        (changed(|it| it["id"] = Value::Null), ParkReason::NoId),
        (changed(|it| it["id"] = "evt 1".into()), ParkReason::NoId),
        (changed(|it| it["id"] = "e".repeat(101).into()), ParkReason::NoId),
        (raw("e", "k", Bytes::from_static(b"")), ParkReason::Unparsable),
        (raw("e", "k", Bytes::from_static(b"[]")), ParkReason::Unparsable),
        (changed(|it| it["created"] = (-1).into()), ParkReason::Impossible),
        (changed(|it| it["data"]["object"]["id"] = "a b".into()), ParkReason::Impossible),
        (changed(|it| it["data"]["object"]["object"] = "charge".into()), ParkReason::Impossible),
        (changed(|it| it["livemode"] = Value::Null), ParkReason::Impossible),
    ];
    for (message, reason) in cases {
        check(lifecycle(message.clone()), reason);
        check(upcoming(message), reason);
    }
    check(lifecycle(changed(|it| it["type"] = "charge.failed".into())), ParkReason::Impossible);
}

#[test]
fn a_forecast_on_the_wrong_queue_is_decided_and_a_fact_is_parked() {
    assert!(matches!(
        lifecycle(message(&forecast())).unwrap().happened,
        Happened::AccountObserved(_)
    ));
    assert!(matches!(
        upcoming(message(&forecast())).unwrap().happened,
        Happened::AccountObserved(_)
    ));
    check(upcoming(message(&fact())), ParkReason::Impossible);
    let mut thin = forecast();
    thin["type"] = "v1.financial_connections.account.upcoming_deactivation".into();
    thin["object"] = "v2.core.event".into();
    thin["created"] = "2026-11-02T01:00:00.000Z".into();
    thin["related_object"] = json!({"id": "fca_1", "type": "financial_connections.account"});
    let input = upcoming(message(&thin)).unwrap();
    assert_eq!(&*input.kind, "v1.financial_connections.account.upcoming_deactivation");
}

#[test]
fn every_key_that_is_bound_is_a_type_that_is_known() {
    let stripe = LIFECYCLE_KEYS.iter().chain(&UPCOMING_KEYS);
    for key in stripe.filter(|key| !key.starts_with("relink.")) {
        let stem = key.strip_prefix("financial_connections.").unwrap();
        let mut forms = [event("evt_1", stem, CREATED_S, &json!({"id": "fcx_1"})), fact()];
        forms[1]["type"] = format!("v1.{key}").into();
        forms[1]["object"] = "v2.core.event".into();
        forms[1]["created"] = "2026-11-02T01:00:00.000Z".into();
        let unknown = |form: &Value| {
            let unknown = Happened::Ignored(Ignored::UnknownType);
            lifecycle(message(form)).is_ok_and(|input| input.happened == unknown)
        };
        assert!(!forms.iter().all(unknown), "{key} is bound and nobody reads it");
    }
}

#[test]
fn a_read_comes_back_as_it_was_observed() {
    let object = account("fca_1", "fcauth_1", "inactive");
    let object = to_raw_value(&object).unwrap();
    let input = lifecycle(read(ObservedKind::Account, Some(&object))).unwrap();
    assert_eq!(input.id.as_str(), format!("obs:live:fca_1:{CREATED_S}"));
    assert_eq!((input.scope, input.at), (Scope::own(true), Second(CREATED_S)));
    assert_eq!(&*input.kind, "relink.observed.account");
    let Happened::AccountObserved(seen) = input.happened else { panic!("{:?}", input.happened) };
    assert_eq!(seen.stamp, Stamp::read(CREATED_S));
    assert_eq!(seen.account.as_str(), "fca_1");
    let missing = |kind| lifecycle(read(kind, None)).unwrap().happened;
    assert_eq!(missing(ObservedKind::Account), Happened::AccountMissing("fca_1".into()));
    let authorization = Happened::AuthorizationMissing("fca_1".into());
    assert_eq!(missing(ObservedKind::Authorization), authorization);
    assert_eq!(missing(ObservedKind::Session), Happened::Ignored(Ignored::ObjectMissing));
}

#[test]
fn an_observation_is_known_by_its_type_also_when_it_was_put_back_by_a_person() {
    let object = to_raw_value(&account("fca_1", "fcauth_1", "inactive")).unwrap();
    let mut message = read(ObservedKind::Account, Some(&object));
    message.routing_key = Arc::from("relink.lifecycle");
    assert!(matches!(lifecycle(message).unwrap().happened, Happened::AccountObserved(_)));
    let mut bare = delivered(read(ObservedKind::Account, Some(&object)));
    bare.kind = None;
    assert!(relink_worker_lifecycle::decode(&bare).is_ok(), "or by its address");
}

#[test]
fn an_observation_that_cannot_be_ours_is_parked() {
    check(lifecycle(tampered("/id", "".into())), ParkReason::NoId);
    check(lifecycle(tampered("/id", "obs:\0".into())), ParkReason::NoId);
    check(lifecycle(tampered("/subject", "fca\n1".into())), ParkReason::Impossible);
    check(lifecycle(tampered("/data/read_at", (-1).into())), ParkReason::Impossible);
    check(lifecycle(tampered("/data/read_at", i64::MAX.into())), ParkReason::Impossible);
    check(lifecycle(tampered("/data/livemode", Value::Null)), ParkReason::Unparsable);
    check(lifecycle(tampered("/data/object", json!([1]))), ParkReason::Unparsable);
    check(lifecycle(tampered("/data/object/object", "charge".into())), ParkReason::Impossible);
    let mut cut = read(ObservedKind::Account, None);
    cut.body = cut.body.slice(..cut.body.len() - 5);
    let parking = lifecycle(cut).unwrap_err();
    assert_eq!(parking.reason, ParkReason::Unparsable);
    assert_eq!(parking.error, "not an observation: cut off", "nothing of the body");
}
