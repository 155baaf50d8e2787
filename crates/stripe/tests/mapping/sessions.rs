//! How a session ended.

use relink_core::input::{Happened, Ignored};
use relink_core::observation::{RelinkOutcome, SessionObservation, Stamp};
use relink_stripe::mapping::{self};
use serde_json::{Value, json};

use crate::{AT, account, event, raw, with};

fn session(key: &str, value: Value) -> Option<SessionObservation> {
    let session = json!({
        "id": "fcsess_1", "object": "financial_connections.session", "status": "succeeded",
        "relink_options": {"account": null, "authorization": "fcauth_1"},
        "relink_result": {"account": null, "authorization": null, "failure_reason": null},
        "accounts": {"object": "list", "data": [], "has_more": false}
    });
    let stamp = Stamp::event(AT);
    mapping::session_observation(&raw(&with(session, key, value)), stamp).expect("a session")
}

#[test]
fn a_relink_is_told_by_its_result() {
    let result = |authorization: Value, reason: Value| json!({"account": null, "authorization": authorization, "failure_reason": reason});
    let outcome = |key, value| session(key, value).and_then(|session| session.outcome);
    let other = || RelinkOutcome::Failed("other".into());
    let repaired = result(json!({"id": "fcauth_1"}), Value::Null);
    assert_eq!(outcome("relink_result", repaired), Some(RelinkOutcome::Repaired));
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
    assert_eq!(outcome("status", json!("cancelled")), Some(RelinkOutcome::Cancelled));
    assert_eq!(outcome("status", json!("pending")), None);
    assert_eq!(outcome("status", json!("on_hold")), None);
    assert_eq!(session("status", json!("pending")).map(|one| one.outcome), Some(None));
    assert_eq!(session("status", json!("on_hold")), None);
    assert_eq!(session("relink_options", Value::Null), None);
    assert_eq!(session("relink_options", json!({"account": "fca_1"})), None);
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
    let accounts = session("accounts", entries).expect("an ended relink").accounts;
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].account, "fca_1".into());
    assert_eq!(accounts[0].stamp, Stamp::event(AT));
}

#[test]
fn a_session_says_whether_its_accounts_are_all() {
    let complete = |key, value| session(key, value).expect("a relink").complete;
    let list = |more: bool| json!({"object": "list", "data": [account()], "has_more": more});
    assert!(complete("accounts", list(false)));
    assert!(!complete("accounts", list(true)));
    assert!(!complete("accounts", Value::Null));
    let repaired = json!({"authorization": "fcauth_1"});
    assert!(!complete("relink_result", repaired), "repaired, and not a word of what");
}
