//! What types, reads and odd bodies are mapped to.

use relink_core::id::Scope;
use relink_core::input::{Happened, Ignored};
use relink_core::observation::{
    AccountObservation, Action, Details, Holder, RelinkOutcome, SessionObservation, Stamp, Status,
};
use relink_stripe::mapping::{self, MappingError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const AT: i64 = 1_793_577_600;

fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({
        "id": "evt_1", "object": "event", "created": AT, "livemode": true,
        "data": {"object": object}, "type": format!("financial_connections.{kind}")
    })
    .to_string()
    .into_bytes()
}

fn thin(kind: &str) -> Value {
    json!({
        "id": "evt_65", "object": "v2.core.event", "created": "2026-11-02T00:00:00.417Z",
        "livemode": true,
        "related_object": {"id": "fca_1", "type": "financial_connections.account", "url": "/"},
        "type": format!("v1.financial_connections.{kind}")
    })
}

fn account() -> Value {
    json!({"id": "fca_1", "object": "financial_connections.account", "status": "active"})
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn observed(kind: &str, object: &Value) -> AccountObservation {
    match mapping::input(&event(kind, object))
        .expect("a mappable event")
        .happened
    {
        Happened::AccountObserved(observation) => *observation,
        other => panic!("{other:?}"),
    }
}

fn happened(body: &Value) -> Happened {
    mapping::input(body.to_string().as_bytes())
        .expect("a mappable event")
        .happened
}

fn refusal(body: &[u8]) -> &'static str {
    mapping::input(body).map_or_else(MappingError::as_str, |_| "accepted")
}

fn raw(object: &Value) -> Box<RawValue> {
    RawValue::from_string(object.to_string()).expect("json")
}

fn session(key: &str, value: Value) -> Option<SessionObservation> {
    let session = json!({
        "id": "fcsess_1", "object": "financial_connections.session", "status": "succeeded",
        "relink_options": {"account": null, "authorization": "fcauth_1"},
        "relink_result": {"account": null, "authorization": null, "failure_reason": null},
        "accounts": {"object": "list", "data": []}
    });
    let stamp = Stamp::event(AT);
    mapping::session_observation(&raw(&with(session, key, value)), stamp).expect("a session")
}

#[test]
fn every_account_type_observes_the_body() {
    for kind in [
        "created",
        "deactivated",
        "reactivated",
        "disconnected",
        "expected_deactivation_date_updated",
        "upcoming_deactivation",
        "account_numbers_updated",
        "upcoming_account_number_expiry",
        "supported_payment_method_types_updated",
        "refreshed_balance",
        "refreshed_ownership",
        "refreshed_transactions",
        "refreshed_inferred_balances",
    ] {
        for status in [Status::Active, Status::Inactive, Status::Disconnected] {
            let body = with(account(), "status", json!(status.as_str()));
            let observation = observed(&format!("account.{kind}"), &body);
            assert_eq!(
                observation.status,
                Some(status),
                "{kind}: the body tells, not the type"
            );
            assert!(!observation.must_read);
        }
    }
}

#[test]
fn the_type_tells_the_status_that_the_body_does_not() {
    for unknown in [json!("pending"), json!(5), Value::Null] {
        let body = with(account(), "status", unknown);
        assert_eq!(
            observed("account.deactivated", &body).status,
            Some(Status::Inactive)
        );
        assert_eq!(
            observed("account.reactivated", &body).status,
            Some(Status::Active)
        );
        assert_eq!(
            observed("account.disconnected", &body).status,
            Some(Status::Disconnected)
        );
        assert_eq!(observed("account.created", &body).status, None);
    }
}

#[test]
fn thin_types_tell_the_status_or_must_be_read() {
    for (kind, status, must_read) in [
        ("deactivated", Some(Status::Inactive), false),
        ("reactivated", Some(Status::Active), false),
        ("disconnected", Some(Status::Disconnected), false),
        ("created", None, true),
        ("upcoming_deactivation", None, true),
        ("expected_deactivation_date_updated", None, true),
        ("account_numbers_updated", None, true),
        ("upcoming_account_number_expiry", None, true),
    ] {
        let mut expected = AccountObservation::of("fca_1".into(), Stamp::event(AT));
        expected.status = status;
        expected.must_read = must_read;
        let happened = happened(&thin(&format!("account.{kind}")));
        assert_eq!(
            happened,
            Happened::AccountObserved(Box::new(expected)),
            "{kind}"
        );
    }
}

#[test]
fn what_tells_nothing_is_ignored_by_name() {
    let mut outcomes = vec![
        "refreshed_balance".to_owned(),
        "refreshed_inferred_balances".into(),
    ];
    for feature in [
        "balance",
        "inferred_balances",
        "ownership",
        "risk_intelligence",
        "transactions",
    ] {
        outcomes.push(format!("{feature}_refresh_succeeded"));
        outcomes.push(format!("{feature}_refresh_failed"));
    }
    for kind in outcomes {
        let happened = happened(&thin(&format!("account.{kind}")));
        assert_eq!(
            happened,
            Happened::Ignored(Ignored::RefreshOutcome),
            "{kind}"
        );
    }
    assert_eq!(
        happened(&thin("account.supported_payment_method_types_updated")),
        Happened::Ignored(Ignored::PaymentMethodTypes)
    );
    for unknown in [
        "account.levitated",
        "session.updated",
        "authorization.upcoming_deactivation",
    ] {
        assert_eq!(
            happened(&thin(unknown)),
            Happened::Ignored(Ignored::UnknownType)
        );
    }
    for unknown in [
        "account.levitated",
        "account.refreshed_tea",
        "balance_refresh_failed",
    ] {
        let input = mapping::input(&event(unknown, &json!({"anything": 1}))).expect("an input");
        assert_eq!(
            input.happened,
            Happened::Ignored(Ignored::UnknownType),
            "{unknown}"
        );
    }
}

#[test]
fn details_count_only_for_the_status_they_belong_to() {
    let forecast = json!({"expected_deactivation_date": 9, "action": "none", "cause": "x"});
    let details = |status: &str, details: Value| {
        let body = with(
            with(account(), "status", json!(status)),
            "status_details",
            details,
        );
        observed("account.created", &body).details
    };
    assert_eq!(details("inactive", json!({})), Details::Absent);
    assert_eq!(
        details("inactive", json!({"active": forecast})),
        Details::Absent
    );
    assert_eq!(
        details("inactive", json!({"inactive": {"cause": "x"}})),
        Details::Absent
    );
    assert_eq!(
        details("inactive", json!({"inactive": null})),
        Details::Absent
    );
    assert_eq!(details("active", json!({})), Details::Active(None));
    assert_eq!(
        details("active", json!({"active": null})),
        Details::Active(None)
    );
    assert_eq!(
        details("active", json!({"active": {"action": "none"}})),
        Details::Active(None)
    );
    assert_eq!(
        details("active", json!({"active": "soon"})),
        Details::Absent
    );
    assert_eq!(
        details("active", json!({"inactive": {"action": "none"}})),
        Details::Absent
    );
    for unreadable in [Value::Null, json!(5), json!("x"), json!([])] {
        assert_eq!(details("active", unreadable), Details::Absent);
    }
    assert_eq!(
        details("disconnected", json!({"active": forecast})),
        Details::Absent
    );
    assert_eq!(
        details("pending", json!({"active": forecast})),
        Details::Absent
    );
    let Details::Active(Some(found)) = details("active", json!({"active": forecast})) else {
        panic!("a forecast");
    };
    assert_eq!((found.date.0, found.action), (9, Action::None));
    let undated = json!({"active": {"expected_deactivation_date": 9}});
    let Details::Active(Some(found)) = details("active", undated) else {
        panic!("a forecast");
    };
    assert_eq!(found.action, Action::Other("unstated".into()));
}

#[test]
fn references_may_be_expanded_and_holders_come_in_several_shapes() {
    let holder = |holder: Value| {
        let body = with(account(), "account_holder", holder);
        observed("account.created", &body)
            .description
            .holder
            .map(|Holder { kind, id }| format!("{kind}:{id}"))
    };
    for (shape, expected) in [
        (
            json!({"type": "customer", "customer": {"id": "cus_1", "email": "x"}}),
            "customer:cus_1",
        ),
        (
            json!({"type": "customer", "customer_account": "cusacct_1"}),
            "customer:cusacct_1",
        ),
        (
            json!({"type": "account", "account": {"object": "account", "id": "acct_1"}}),
            "account:acct_1",
        ),
        (
            json!({"type": "account", "customer": "cus_1", "account": "acct_1"}),
            "account:acct_1",
        ),
        (json!({"type": "newer", "customer": "cus_1"}), "newer:cus_1"),
        (json!({"customer": "cus_1"}), "customer:cus_1"),
    ] {
        assert_eq!(holder(shape).as_deref(), Some(expected));
    }
    for nobody in [
        Value::Null,
        json!({}),
        json!({"type": "account"}),
        json!("cus_1"),
        json!(5),
    ] {
        assert_eq!(holder(nobody), None);
    }
    let body = json!({
        "id": "fca_1", "authorization": {"id": "fcauth_1", "status": "active"},
        "institution": {"name": "x", "id": "fcinst_1"}
    });
    let observation = observed("account.created", &body);
    assert_eq!(observation.authorization, Some("fcauth_1".into()));
    assert_eq!(
        observation.description.institution.as_deref(),
        Some("fcinst_1")
    );
}

#[test]
fn optional_parts_of_a_wrong_shape_count_as_not_carried() {
    let bare = observed("account.created", &json!({"id": "fca_1"}));
    let odd = json!({
        "id": "fca_1", "object": 7, "account_holder": [1], "account_numbers": "none",
        "authorization": 5, "created": "yesterday", "display_name": {"en": "x"},
        "institution": true, "institution_name": "a\u{0}b", "last4": 4821, "permissions": 5,
        "status": [], "status_details": 1.5, "subcategory": "x".repeat(2000),
        "relink_options": "x", "accounts": [[]]
    });
    assert_eq!(observed("account.created", &odd), bare);
    let spaced = with(json!({"id": "fca_1"}), "authorization", json!("fcauth 1"));
    assert_eq!(observed("account.created", &spaced), bare);
    let dated = with(json!({"id": "fca_1"}), "created", json!(-1));
    assert_eq!(observed("account.created", &dated), bare);
}

#[test]
fn lists_are_sorted_and_keep_what_can_be_read() {
    let body = json!({
        "id": "fca_1", "permissions": ["transactions", 5, null, "balances"],
        "account_numbers": [
            {"identifier_type": "tokenized_account_number", "status": "expired",
             "expected_expiry_date": 7},
            5, {"identifier_type": "account_number"},
            {"identifier_type": "account_number", "status": "transactable"}
        ]
    });
    let observation = observed("account.created", &body);
    let permissions = observation.description.permissions.expect("permissions");
    assert_eq!(permissions, ["balances".into(), "transactions".into()]);
    let numbers = observation.numbers.expect("numbers");
    assert_eq!(numbers.len(), 2);
    assert!(!numbers[0].tokenized && numbers[1].tokenized);
    let null = with(account(), "account_numbers", Value::Null);
    assert_eq!(observed("account.created", &null).numbers, Some(Vec::new()));
    assert_eq!(observed("account.created", &account()).numbers, None);
}

#[test]
fn escaped_text_is_unescaped() {
    let body = br#"{"id":"evt_1","object":"event","created":1,"livemode":false,"data":{"object":
        {"id":"fca_1","display_name":"Caf\u00e9 \"Nord\"","institution_name":"B\u00e4nk"}},
        "type":"financial_connections.account.created"}"#;
    let input = mapping::input(body).expect("an input");
    assert_eq!(input.scope, Scope::own(false));
    let Happened::AccountObserved(observation) = input.happened else {
        panic!("an account");
    };
    assert_eq!(
        observation.description.display_name.as_deref(),
        Some("Café \"Nord\"")
    );
    assert_eq!(
        observation.description.institution_name.as_deref(),
        Some("Bänk")
    );
}

#[test]
fn a_relink_is_told_by_its_result() {
    let result = |authorization: Value, reason: Value| json!({"account": null, "authorization": authorization, "failure_reason": reason});
    let outcome = |key, value| session(key, value).map(|session| session.outcome);
    let other = || RelinkOutcome::Failed("other".into());
    let repaired = result(json!({"id": "fcauth_1"}), Value::Null);
    assert_eq!(
        outcome("relink_result", repaired),
        Some(RelinkOutcome::Repaired)
    );
    assert_eq!(
        outcome("relink_result", result(json!("fcauth_2"), Value::Null)),
        Some(RelinkOutcome::NewAuthorization("fcauth_2".into()))
    );
    assert_eq!(
        outcome("relink_result", result(Value::Null, json!("no_account"))),
        Some(RelinkOutcome::Failed("no_account".into()))
    );
    assert_eq!(outcome("relink_result", Value::Null), Some(other()));
    assert_eq!(outcome("status", json!("failed")), Some(other()));
    assert_eq!(outcome("status", json!("completed")), Some(other()));
    assert_eq!(
        outcome("status", json!("cancelled")),
        Some(RelinkOutcome::Cancelled)
    );
    assert_eq!(outcome("status", json!("pending")), None);
    assert_eq!(outcome("status", json!("on_hold")), None);
    assert_eq!(outcome("relink_options", Value::Null), None);
    assert_eq!(outcome("relink_options", json!({"account": "fca_1"})), None);
    let new_link = json!({"id": "fcsess_1", "status": "succeeded"});
    let input = mapping::input(&event("session.updated", &new_link)).expect("an input");
    assert_eq!(input.happened, Happened::Ignored(Ignored::NotARelink));
}

#[test]
fn a_sessions_accounts_are_observed_and_others_left_out() {
    let entries = json!({"object": "list", "data": [
        account(), 5, {"object": "financial_connections.account"},
        {"id": "fcauth_1", "object": "financial_connections.authorization"}
    ]});
    let accounts = session("accounts", entries)
        .expect("an ended relink")
        .accounts;
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].account, "fca_1".into());
    assert_eq!(accounts[0].stamp, Stamp::event(AT));
}

#[test]
fn reads_are_mapped_with_their_own_stamp() {
    let stamp = Stamp::read(AT);
    let read = mapping::account_observation(&raw(&account()), stamp).expect("an account");
    assert_eq!((read.status, read.stamp), (Some(Status::Active), stamp));
    let authorization = json!({"id": "fcauth_1", "status": "disconnected", "status_details": {}});
    let read = mapping::authorization_observation(&raw(&authorization), stamp).expect("one");
    assert_eq!(read.status, Some(Status::Disconnected));
    let wrong = mapping::authorization_observation(&raw(&account()), stamp);
    assert_eq!(wrong, Err(MappingError::UnexpectedObject));
    let list = mapping::account_observation(&raw(&json!(["fca_1"])), stamp);
    assert_eq!(list, Err(MappingError::Unparsable));
}

#[test]
fn every_refusal_has_its_name() {
    let deactivated = "account.deactivated";
    let mut nobody = thin(deactivated);
    nobody["related_object"] = Value::Null;
    let mut stranger = thin(deactivated);
    stranger["related_object"]["type"] = json!("customer");
    let mut charge = thin(deactivated);
    charge["type"] = json!("charge.succeeded");
    for (body, expected) in [
        (b"[]".to_vec(), "unparsable"),
        (b"{}".to_vec(), "missing_id"),
        (charge.to_string().into_bytes(), "not_financial_connections"),
        (nobody.to_string().into_bytes(), "missing_object"),
        (stranger.to_string().into_bytes(), "unexpected_object"),
        (event(deactivated, &Value::Null), "missing_object"),
        (event(deactivated, &json!("fca_1")), "missing_object"),
        (event(deactivated, &json!({})), "missing_object_id"),
        (event(deactivated, &json!({"id": 5})), "missing_object_id"),
        (
            event(deactivated, &json!({"id": "f\nca"})),
            "object_id_not_acceptable",
        ),
        (event("session.updated", &account()), "unexpected_object"),
        (
            event("authorization.upcoming_deactivation", &account()),
            "unexpected_object",
        ),
    ] {
        assert_eq!(
            refusal(&body),
            expected,
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
}
