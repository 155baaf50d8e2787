//! Sessions: what a new one is asked for with, and what is left of one that is read back.

use std::sync::Arc;

use relink_core::id::{AccountId, AuthorizationId, Scope};
use relink_core::observation::{Holder, RelinkOutcome};
use relink_stripe::client::{CallError, Malformed, NewSession, SessionMade};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::server::{DATE_UNIX, Reply, Script, account, live, plenty, refused, serve, trace};

const SECRET: &str = "fcsess_client_secret_x";

/// Asks for the session that most tests ask for.
async fn create(reply: Reply) -> (Script, Result<SessionMade, CallError>) {
    let (script, client) = serve([reply]).await;
    let holder = Holder { kind: "customer".into(), id: "cus_1".into() };
    let authorization = AuthorizationId::from("fcauth_1");
    let account = AccountId::from("fca_1");
    let words = |words: &[&str]| words.iter().map(|word| Arc::from(*word)).collect::<Vec<_>>();
    let new = NewSession {
        authorization: &authorization,
        account: Some(&account),
        holder: &holder,
        permissions: &words(&["balances", "transactions"]),
        subcategories: &words(&["checking"]),
        return_url: Some("https://example.com/back?a=1&b=2"),
        hosted: true,
        idempotency_key: "live:fcauth_1:case-1:session-1",
    };
    let made = client.create_session(&Scope::connected(true, "acct_1"), &new).await;
    (script, made)
}

fn made(target: &str) -> Value {
    json!({"id": "fcsess_1", "client_secret": SECRET, "url": "https://connect.stripe.com/x",
        "relink_options": {"authorization": target}})
}

#[tokio::test]
async fn a_session_is_asked_for_with_a_form_and_a_key() {
    let (script, made) = create(Reply::new(200, &made("fcauth_1"))).await;
    let made = made.expect("a session");
    assert_eq!(made.id.as_str(), "fcsess_1");
    assert_eq!(made.client_secret.as_ref().map(ExposeSecret::expose_secret), Some(SECRET));
    assert!(made.url.is_some());
    assert!(!format!("{made:?}").contains("secret") && !format!("{made:?}").contains("https"));
    let posted = script.posted.lock().expect("a lock");
    assert_eq!(posted[0].path, "/v1/financial_connections/sessions");
    assert_eq!(posted[0].key, "live:fcauth_1:case-1:session-1");
    let form: Vec<_> = posted[0].form.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(
        form,
        [
            ("account_holder[type]", "customer"),
            ("account_holder[customer]", "cus_1"),
            ("relink_options[authorization]", "fcauth_1"),
            ("relink_options[account]", "fca_1"),
            ("permissions[]", "balances"),
            ("permissions[]", "transactions"),
            ("filters[account_subcategories][]", "checking"),
            ("return_url", "https://example.com/back?a=1&b=2"),
            ("ui_mode", "hosted"),
            ("hosted[delivery_method]", "url"),
        ]
    );
    assert!(script.asked.lock().expect("a lock")[0].contains(" acct_1 "));
}

#[tokio::test]
async fn a_preview_that_is_missing_is_named() {
    let unknown = |message: &str, param: &str| {
        json!({"error": {"type": "invalid_request_error", "code": "parameter_unknown",
            "message": message, "param": param}})
    };
    let words = "Received unknown parameter: relink_options";
    for (reply, code) in [
        (Reply::new(400, &unknown(words, "relink_options")), Some("parameter_unknown")),
        (Reply::new(400, &unknown("Unknown parameter: ui_mode", "")), Some("parameter_unknown")),
        (Reply::new(400, &json!({"error": {"message": words}})), None),
        (Reply::new(200, &json!({"id": "fcsess_1", "client_secret": SECRET})), None),
        (Reply::new(200, &made("fcauth_2")), None),
    ] {
        let (_, made) = create(reply).await;
        let error = made.expect_err("no session");
        assert_eq!(error, CallError::PreviewMissing(trace(code)));
        assert!(!error.is_retryable());
        assert!(error.to_string().contains("*.preview") && !format!("{error:?}").contains(SECRET));
    }
    let other = unknown("Received unknown parameter: filters[countries]", "filters[countries]");
    let (_, made) = create(Reply::new(400, &other)).await;
    let expected = CallError::Refused { status: 400, trace: trace(Some("parameter_unknown")) };
    assert_eq!(made.expect_err("no session"), expected);
}

#[tokio::test]
async fn a_key_of_another_request_and_a_body_without_an_id_are_refused() {
    let used = json!({"error": {"type": "idempotency_error", "message": "Keys for …"}});
    let (_, made) = create(Reply::new(400, &used)).await;
    let expected = CallError::Refused { status: 400, trace: trace(Some("idempotency_error")) };
    assert_eq!(made.expect_err("no session"), expected);
    for odd in [json!({"id": ""}), json!({}), json!([]), json!("fcsess_1")] {
        let (_, made) = create(Reply::new(200, &odd)).await;
        let expected = CallError::Malformed { what: Malformed::Object, trace: trace(None) };
        assert_eq!(made.expect_err("no session"), expected);
    }
    let (_, made) = create(Reply::new(404, &refused("resource_missing"))).await;
    assert!(matches!(made, Err(CallError::NotFound(_))));
}

fn session(status: &str, accounts: &Value) -> Value {
    json!({
        "id": "fcsess_1", "object": "financial_connections.session", "status": status,
        "client_secret": SECRET, "url": "https://connect.stripe.com/x",
        "hosted": {"return_url": "https://example.com"}, "new_secret": "x",
        "relink_options": {"authorization": "fcauth_1", "account": null},
        "relink_result": {"authorization": "fcauth_1", "failure_reason": null},
        "accounts": accounts,
    })
}

#[tokio::test]
async fn what_is_read_back_holds_no_secret() {
    let accounts = json!({"data": [account("fca_1")], "has_more": false});
    let (script, client) = serve([Reply::new(200, &session("succeeded", &accounts))]).await;
    let read = client.session(&live(), &"fcsess_1".into(), &plenty()).await.expect("a read");
    let observed = read.observe().expect("a session").expect("its end");
    assert_eq!(observed.outcome, Some(RelinkOutcome::Repaired));
    assert_eq!((observed.accounts.len(), read.date_unix_seconds), (1, DATE_UNIX));
    let body = read.body.get();
    assert!(!body.contains("secret") && !body.contains("https"), "{body}");
    let asked = script.asked.lock().expect("a lock");
    assert!(asked[0].starts_with("/v1/financial_connections/sessions/fcsess_1 "));
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_pending_session_observes_without_an_end_and_another_is_refused() {
    let pending = session("pending", &Value::Null);
    let (_, client) = serve([Reply::new(200, &pending)]).await;
    let read = client.session(&live(), &"fcsess_1".into(), &plenty()).await.expect("a read");
    let observed = read.observe().expect("a session").expect("a relink");
    assert_eq!(observed.outcome, None);
    let error = client.session(&live(), &"fcsess_2".into(), &plenty()).await.expect_err("another");
    assert_eq!(error, CallError::Malformed { what: Malformed::Object, trace: trace(None) });
    let error = client.session(&live(), &"../events".into(), &plenty()).await.expect_err("no id");
    assert!(matches!(error, CallError::Malformed { what: Malformed::Id, .. }));
}

#[tokio::test]
async fn a_session_of_many_accounts_is_read_to_its_end() {
    let data: Vec<_> = (0..10).map(|n| account(&format!("fca_{n}"))).collect();
    let first = Reply::new(200, &session("succeeded", &json!({"data": data, "has_more": true})));
    let all: Vec<_> = (0..120).map(|n| account(&format!("fca_{n}"))).collect();
    let page = |data: &[Value], has_more: bool| {
        Reply::new(200, &json!({"data": data, "has_more": has_more}))
            .header("date", "Mon, 02 Nov 2026 00:00:09 GMT")
    };
    let pages = [page(&all[..100], true), page(&all[100..], false)];
    let (script, client) = serve([first].into_iter().chain(pages)).await;
    let read = client.session(&live(), &"fcsess_1".into(), &plenty()).await.expect("a read");
    let observed = read.observe().expect("a session").expect("its end");
    assert_eq!(observed.accounts.len(), 120);
    assert_eq!(read.date_unix_seconds, DATE_UNIX, "the session's own, the earlier one");
    let asked = script.asked.lock().expect("a lock");
    let path = "/v1/financial_connections/accounts?limit=100&session=fcsess_1";
    assert!(asked[1].starts_with(&format!("{path} ")), "{asked:?}");
    assert!(asked[2].starts_with(&format!("{path}&starting_after=fca_99 ")), "{asked:?}");
}

#[tokio::test]
async fn half_a_session_is_none() {
    let first = Reply::new(200, &session("succeeded", &json!({"data": [], "has_more": true})));
    let (_, client) = serve([first, Reply::new(500, &json!({}))]).await;
    let error =
        client.session(&live(), &"fcsess_1".into(), &plenty()).await.expect_err("half a session");
    assert!(error.is_retryable());
}
