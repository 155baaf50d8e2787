//! Single reads: what is sent, what is retried, and the name of every refusal.

use std::time::Duration;

use relink_core::id::Scope;
use relink_core::observation::{Stamp, Status};
use relink_stripe::client::{CallError, Client, Malformed, Trace};
use serde_json::json;
use tokio::net::TcpListener;

use crate::server::{
    DATE_UNIX, KEY, Reply, VERSION, account, config, failure, live, refused, serve, trace,
};

#[tokio::test]
async fn an_account_is_read_with_version_key_and_date() {
    let (script, client) = serve([Reply::new(200, &account("fca_1"))]).await;
    let read = client.account(&live(), &"fca_1".into()).await.expect("a read");
    assert_eq!((read.date_unix_seconds, read.request_id.as_deref()), (DATE_UNIX, Some("req_1")));
    assert_eq!(read.body.get(), account("fca_1").to_string());
    let observation = read.observe().expect("an observation");
    assert_eq!(observation.status, Some(Status::Inactive));
    assert_eq!(observation.stamp, Stamp::read(DATE_UNIX));
    assert_eq!(
        *script.asked.lock().expect("a lock"),
        [format!("/v1/financial_connections/accounts/fca_1 {VERSION} - Bearer {KEY}")]
    );
    assert!(!format!("{client:?} {read:?}").contains("fca_1"));
}

#[tokio::test]
async fn connect_scopes_name_their_account_and_authorizations_have_their_path() {
    let body = json!({"id": "fcauth_1", "status": "active", "status_details": {}});
    let (script, client) = serve([Reply::new(200, &body)]).await;
    let scope = Scope::connected(true, "acct_1");
    let read = client.authorization(&scope, &"fcauth_1".into()).await.expect("a read");
    assert_eq!(read.observe().expect("an observation").status, Some(Status::Active));
    assert_eq!(
        *script.asked.lock().expect("a lock"),
        [format!(
            "/v1/financial_connections/authorizations/fcauth_1 {VERSION} acct_1 Bearer {KEY}"
        )]
    );
}

#[tokio::test]
async fn server_errors_and_conflicts_are_retried_and_then_told() {
    for status in [409, 500, 503] {
        let bad = Reply::new(status, &json!({}));
        let (script, client) = serve([bad.clone(), Reply::new(200, &account("fca_1"))]).await;
        client.account(&live(), &"fca_1".into()).await.expect("the second answer");
        assert_eq!(script.asked.lock().expect("a lock").len(), 2);
        let (asked, error) = failure([bad]).await;
        assert_eq!((asked, &error), (3, &CallError::Server { status, trace: trace(None) }));
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn stripe_decides_whether_to_retry() {
    let no = Reply::new(500, &json!({})).header("stripe-should-retry", "false");
    assert_eq!(failure([no]).await.0, 1);
    let yes = Reply::new(429, &json!({})).header("stripe-should-retry", "true");
    assert_eq!(failure([yes]).await.0, 3);
    let odd = Reply::new(500, &json!({})).header("stripe-should-retry", "maybe");
    assert_eq!(failure([odd]).await.0, 3);
}

#[tokio::test]
async fn a_bare_429_is_handed_back_with_its_reason() {
    let limited = Reply::new(429, &refused("rate_limit"))
        .header("stripe-rate-limited-reason", "endpoint-rate");
    let (asked, error) = failure([limited]).await;
    assert_eq!(asked, 1);
    assert!(error.is_retryable());
    let reason = Some("endpoint-rate".to_owned());
    assert_eq!(error, CallError::RateLimited { reason, trace: trace(Some("rate_limit")) });
    let (_, error) = failure([Reply::new(429, &refused("lock_timeout"))]).await;
    assert_eq!(error, CallError::RateLimited { reason: None, trace: trace(Some("lock_timeout")) });
}

#[tokio::test]
async fn refusals_are_told_apart_and_not_retried() {
    let unknown_path = json!({"error": {"type": "invalid_request_error",
        "message": "Unrecognized request URL"}});
    let refused_request =
        CallError::Refused { status: 400, trace: trace(Some("parameter_unknown")) };
    for (reply, expected) in [
        (
            Reply::new(404, &refused("resource_missing")),
            CallError::NotFound(trace(Some("resource_missing"))),
        ),
        (Reply::new(404, &unknown_path), CallError::Permission(trace(None))),
        (
            Reply::new(403, &refused("more_permissions_required")),
            CallError::Permission(trace(Some("more_permissions_required"))),
        ),
        (
            Reply::new(401, &refused("api_key_expired")),
            CallError::Unauthorized(trace(Some("api_key_expired"))),
        ),
        (Reply::new(400, &refused("parameter_unknown")), refused_request),
        (
            Reply::new(400, &refused("financial_connections_account_inactive")),
            CallError::AccountInactive(trace(Some("financial_connections_account_inactive"))),
        ),
        (
            Reply::new(302, &json!({})).header("location", "/x"),
            CallError::Refused { status: 302, trace: trace(None) },
        ),
        (Reply::new(404, &json!("<html>")), CallError::Permission(trace(None))),
    ] {
        let (asked, error) = failure([reply]).await;
        assert_eq!((asked, &error), (1, &expected));
        assert!(!error.is_retryable());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(KEY) && !shown.contains("No such"), "{shown}");
    }
}

#[tokio::test]
async fn malformed_answers_are_refused() {
    let good = Reply::new(200, &account("fca_1"));
    let mut html = good.clone();
    html.body = "<html>".to_owned();
    let mut large = good.clone();
    large.body = format!("\"{}\"", "x".repeat(5 * 1024 * 1024));
    for (reply, expected) in [
        (good.header("date", "yesterday"), Malformed::Date),
        (html, Malformed::Body),
        (large, Malformed::TooLarge),
        (Reply::new(200, &account("fca_2")), Malformed::Object),
        (Reply::new(200, &json!({"object": "list", "data": []})), Malformed::Object),
        (Reply::new(200, &json!([])), Malformed::Object),
    ] {
        let (asked, error) = failure([reply]).await;
        assert_eq!(asked, 1);
        assert_eq!(error, CallError::Malformed { what: expected, trace: trace(None) });
    }
}

#[tokio::test]
async fn silence_times_out_after_the_retries() {
    let mut silent = Reply::new(200, &account("fca_1"));
    silent.after = Duration::from_secs(60);
    let (asked, error) = failure([silent.clone()]).await;
    assert_eq!((asked, &error), (3, &CallError::Timeout));
    assert!(error.is_retryable());
    let (_, client) = serve([silent, Reply::new(200, &account("fca_1"))]).await;
    client.account(&live(), &"fca_1".into()).await.expect("the second answer");
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let client = Client::new(config(&base)).expect("a client");
    let error = client.account(&live(), &"fca_1".into()).await.expect_err("no server");
    assert_eq!(error, CallError::Connection);
    assert!(error.is_retryable());
}

#[tokio::test]
async fn ids_of_another_shape_and_objects_of_the_other_mode_are_not_asked_for() {
    let (script, client) = serve([Reply::new(200, &account("fca_1"))]).await;
    for id in ["", "..", ".", "fca_1/disconnect", "fca_1?expand", "fca%2e"] {
        let error = client.account(&live(), &id.into()).await.expect_err("no such id");
        assert_eq!(error, CallError::Malformed { what: Malformed::Id, trace: Trace::default() });
    }
    let error = client.account(&Scope::own(false), &"fca_1".into()).await.expect_err("test mode");
    assert_eq!(error, CallError::OtherMode);
    assert!(script.asked.lock().expect("a lock").is_empty());
}
