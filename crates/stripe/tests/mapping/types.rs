//! What each event type is read as, and the name of every refusal.

use relink_core::input::{Happened, Ignored};
use relink_core::observation::{AccountObservation, Stamp, Status};
use relink_stripe::mapping::{self};
use serde_json::{Value, json};

use crate::{AT, account, event, happened, observed, refusal, thin, with};

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
            assert_eq!(observation.status, Some(status), "{kind}: the body tells, not the type");
            assert!(!observation.must_read);
        }
    }
}

#[test]
fn the_type_tells_the_status_that_the_body_does_not() {
    for unknown in [json!("pending"), json!(5), Value::Null] {
        let body = with(account(), "status", unknown);
        assert_eq!(observed("account.deactivated", &body).status, Some(Status::Inactive));
        assert_eq!(observed("account.reactivated", &body).status, Some(Status::Active));
        assert_eq!(observed("account.disconnected", &body).status, Some(Status::Disconnected));
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
        assert_eq!(happened, Happened::AccountObserved(Box::new(expected)), "{kind}");
    }
}

#[test]
fn what_tells_nothing_is_ignored_by_name() {
    let mut outcomes = vec!["refreshed_balance".to_owned(), "refreshed_inferred_balances".into()];
    for feature in
        ["balance", "inferred_balances", "ownership", "risk_intelligence", "transactions"]
    {
        outcomes.push(format!("{feature}_refresh_succeeded"));
        outcomes.push(format!("{feature}_refresh_failed"));
    }
    for kind in outcomes {
        let happened = happened(&thin(&format!("account.{kind}")));
        assert_eq!(happened, Happened::Ignored(Ignored::RefreshOutcome), "{kind}");
    }
    assert_eq!(
        happened(&thin("account.supported_payment_method_types_updated")),
        Happened::Ignored(Ignored::PaymentMethodTypes)
    );
    for unknown in ["account.levitated", "session.updated", "authorization.upcoming_deactivation"] {
        assert_eq!(happened(&thin(unknown)), Happened::Ignored(Ignored::UnknownType));
    }
    for unknown in ["account.levitated", "account.refreshed_tea", "balance_refresh_failed"] {
        let input = mapping::input(&event(unknown, &json!({"anything": 1}))).expect("an input");
        assert_eq!(input.happened, Happened::Ignored(Ignored::UnknownType), "{unknown}");
    }
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
        (event(deactivated, &json!({"id": "f\nca"})), "object_id_not_acceptable"),
        (event("session.updated", &account()), "unexpected_object"),
        (event("authorization.upcoming_deactivation", &account()), "unexpected_object"),
    ] {
        assert_eq!(refusal(&body), expected, "{}", String::from_utf8_lossy(&body));
    }
}
