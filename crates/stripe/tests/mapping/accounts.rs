//! What the body of an account tells.

use relink_core::id::Scope;
use relink_core::input::Happened;
use relink_core::observation::{Action, Details, Holder, Stamp, Status};
use relink_stripe::mapping::{self, MappingError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{AT, account, observed, raw, with};

#[test]
fn details_count_only_for_the_status_they_belong_to() {
    let forecast = json!({"expected_deactivation_date": 9, "action": "none", "cause": "x"});
    let details = |status: &str, details: Value| {
        let body = with(with(account(), "status", json!(status)), "status_details", details);
        observed("account.created", &body).details
    };
    assert_eq!(details("inactive", json!({})), Details::Absent);
    assert_eq!(details("inactive", json!({"active": forecast})), Details::Absent);
    assert_eq!(details("inactive", json!({"inactive": {"cause": "x"}})), Details::Absent);
    assert_eq!(details("inactive", json!({"inactive": null})), Details::Absent);
    assert_eq!(details("active", json!({})), Details::Active(None));
    assert_eq!(details("active", json!({"active": null})), Details::Active(None));
    assert_eq!(details("active", json!({"active": {"action": "none"}})), Details::Active(None));
    assert_eq!(details("active", json!({"active": "soon"})), Details::Absent);
    assert_eq!(details("active", json!({"inactive": {"action": "none"}})), Details::Absent);
    for unreadable in [Value::Null, json!(5), json!("x"), json!([])] {
        assert_eq!(details("active", unreadable), Details::Absent);
    }
    assert_eq!(details("disconnected", json!({"active": forecast})), Details::Absent);
    assert_eq!(details("pending", json!({"active": forecast})), Details::Absent);
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
        (json!({"type": "customer", "customer": {"id": "cus_1", "email": "x"}}), "customer:cus_1"),
        (json!({"type": "customer", "customer_account": "cusacct_1"}), "customer:cusacct_1"),
        (
            json!({"type": "account", "account": {"object": "account", "id": "acct_1"}}),
            "account:acct_1",
        ),
        (json!({"type": "account", "customer": "cus_1", "account": "acct_1"}), "account:acct_1"),
        (json!({"type": "newer", "customer": "cus_1"}), "newer:cus_1"),
        (json!({"customer": "cus_1"}), "customer:cus_1"),
    ] {
        assert_eq!(holder(shape).as_deref(), Some(expected));
    }
    for nobody in [Value::Null, json!({}), json!({"type": "account"}), json!("cus_1"), json!(5)] {
        assert_eq!(holder(nobody), None);
    }
    let body = json!({
        "id": "fca_1", "authorization": {"id": "fcauth_1", "status": "active"},
        "institution": {"name": "x", "id": "fcinst_1"}
    });
    let observation = observed("account.created", &body);
    assert_eq!(observation.authorization, Some("fcauth_1".into()));
    assert_eq!(observation.description.institution.as_deref(), Some("fcinst_1"));
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
    assert_eq!(observation.description.display_name.as_deref(), Some("Café \"Nord\""));
    assert_eq!(observation.description.institution_name.as_deref(), Some("Bänk"));
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
    let twice = RawValue::from_string(r#"{"id":"fca_1","id":"fca_2"}"#.to_owned()).expect("JSON");
    let twice = mapping::account_observation(&twice, stamp);
    assert_eq!(twice, Err(MappingError::RepeatedKey));
}
