//! Calls that change something: their form, their key, and what is sent again.

use std::sync::Arc;

use relink_core::time::Second;
use relink_stripe::client::{CallError, Malformed};
use relink_stripe::mapping::Refresh;
use serde_json::json;

use crate::server::{Reply, account, live, refused, serve, trace};

fn features(words: &[&str]) -> Vec<Arc<str>> {
    words.iter().map(|word| Arc::from(*word)).collect()
}

#[tokio::test]
async fn an_account_is_refreshed_subscribed_and_disconnected() {
    let (script, client) = serve([Reply::new(200, &account("fca_1"))]).await;
    let (scope, id) = (live(), "fca_1".into());
    client.refresh(&scope, &id, &features(&["balance", "ownership"]), "k1").await.expect("one");
    client.subscribe(&scope, &id, &features(&["transactions"]), "k2").await.expect("two");
    client.disconnect(&scope, &id, "k3").await.expect("three");
    let posted = script.posted.lock().expect("a lock");
    let seen: Vec<_> = posted
        .iter()
        .map(|post| {
            let stem = "/v1/financial_connections/accounts/fca_1/";
            let form: Vec<_> = post.form.iter().map(|(key, word)| format!("{key}{word}")).collect();
            (post.path.strip_prefix(stem).expect("a path"), &*post.key, form.join(" "))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("refresh", "k1", "features[]balance features[]ownership".to_owned()),
            ("subscribe", "k2", "features[]transactions".to_owned()),
            ("disconnect", "k3", String::new()),
        ]
    );
}

#[tokio::test]
async fn what_is_sent_again_carries_the_same_key() {
    for status in [409, 500] {
        let replies = [Reply::new(status, &json!({})), Reply::new(200, &account("fca_1"))];
        let (script, client) = serve(replies).await;
        let words = features(&["balance"]);
        client.refresh(&live(), &"fca_1".into(), &words, "k1").await.expect("the second answer");
        let posted = script.posted.lock().expect("a lock");
        assert_eq!(posted.len(), 2);
        assert_eq!(posted[0], posted[1]);
    }
    let limited = Reply::new(429, &refused("rate_limit"));
    let (script, client) = serve([limited]).await;
    let error = client.disconnect(&live(), &"fca_1".into(), "k").await.expect_err("too much");
    assert!(error.is_over_rate());
    assert_eq!(script.posted.lock().expect("a lock").len(), 1);
}

#[tokio::test]
async fn keys_and_ids_that_cannot_be_sent_are_not() {
    let (script, client) = serve([Reply::new(200, &account("fca_1"))]).await;
    for key in ["", "a b", "a\nb", "é", &"x".repeat(256)] {
        let error = client.disconnect(&live(), &"fca_1".into(), key).await.expect_err("no key");
        assert!(matches!(error, CallError::Malformed { what: Malformed::Request, .. }), "{key}");
    }
    let error = client.disconnect(&live(), &"../x".into(), "k").await.expect_err("no id");
    assert!(matches!(error, CallError::Malformed { what: Malformed::Id, .. }));
    assert!(script.asked.lock().expect("a lock").is_empty());
}

#[tokio::test]
async fn an_inactive_account_is_named() {
    let code = "financial_connections_account_inactive";
    let (_, client) = serve([Reply::new(400, &refused(code))]).await;
    let words = features(&["balance"]);
    let error = client.refresh(&live(), &"fca_1".into(), &words, "k").await.expect_err("inactive");
    assert_eq!(error, CallError::AccountInactive(trace(Some(code))));
}

#[tokio::test]
async fn an_account_tells_when_it_can_be_refreshed_again() {
    let body = json!({"id": "fca_1",
        "balance_refresh": {"status": "succeeded", "next_refresh_available_at": 1_800_000_000},
        "ownership_refresh": {"status": "pending", "next_refresh_available_at": null},
        "transaction_refresh": null});
    let (_, client) = serve([Reply::new(200, &body)]).await;
    let read = client.account(&live(), &"fca_1".into()).await.expect("a read");
    let at = Some(Second(1_800_000_000));
    assert_eq!(read.refresh("balance"), Some(Refresh { pending: false, next_available_at: at }));
    let pending = Refresh { pending: true, next_available_at: None };
    assert_eq!(read.refresh("ownership"), Some(pending));
    assert_eq!((read.refresh("transactions"), read.refresh("other")), (None, None));
}
