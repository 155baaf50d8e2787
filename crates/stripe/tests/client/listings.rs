//! All accounts of a holder, page by page.

use std::time::{Duration, Instant};

use relink_core::observation::Holder;
use relink_stripe::client::{Budget, CallError, Malformed, PAGES_MAX};
use serde_json::json;

use crate::server::{DATE_UNIX, Reply, account, live, plenty, serve, trace};

#[tokio::test]
async fn all_pages_of_a_holder_are_read_each_with_its_own_date() {
    let page = |ids: &[&str], has_more: bool| {
        let data: Vec<_> = ids.iter().map(|id| account(id)).collect();
        Reply::new(200, &json!({"object": "list", "data": data, "has_more": has_more}))
    };
    let later = page(&["fca_3"], false).header("date", "Mon, 02 Nov 2026 00:00:01 GMT");
    let (script, client) = serve([page(&["fca_1", "fca_2"], true), later]).await;
    let holder = Holder { kind: "customer".into(), id: "cus_1".into() };
    let listing = client.accounts_of_holder(&live(), &holder, &plenty()).await.expect("a listing");
    assert!(listing.complete);
    let found: Vec<_> = listing
        .accounts
        .iter()
        .map(|read| (read.observe().expect("an account").account, read.date_unix_seconds))
        .collect();
    assert_eq!(
        found,
        [("fca_1".into(), DATE_UNIX), ("fca_2".into(), DATE_UNIX), ("fca_3".into(), DATE_UNIX + 1)]
    );
    let asked = script.asked.lock().expect("a lock").join("\n");
    let path = "/v1/financial_connections/accounts?limit=100&account_holder%5Bcustomer%5D=cus_1";
    assert!(asked.starts_with(&format!("{path} ")), "{asked}");
    assert!(asked.contains(&format!("{path}&starting_after=fca_2 ")), "{asked}");
}

#[tokio::test]
async fn a_listing_without_end_is_bounded_and_holders_choose_their_filter() {
    let endless = json!({"data": [account("fca_1")], "has_more": true});
    for (kind, id, filter) in [
        ("account", "acct_1", "account_holder%5Baccount%5D=acct_1"),
        ("customer", "cusacct_1", "account_holder%5Bcustomer_account%5D=cusacct_1"),
    ] {
        let (script, client) = serve([Reply::new(200, &endless)]).await;
        let holder = Holder { kind: kind.into(), id: id.into() };
        let listing =
            client.accounts_of_holder(&live(), &holder, &plenty()).await.expect("a listing");
        assert!(!listing.complete);
        let asked = script.asked.lock().expect("a lock");
        assert_eq!(asked.len(), PAGES_MAX);
        assert!(asked[0].contains(filter));
    }
    for odd in [json!({"data": [], "has_more": true}), account("fca_1"), json!({"data": 5})] {
        let (_, client) = serve([Reply::new(200, &odd)]).await;
        let holder = Holder { kind: "customer".into(), id: "cus_1".into() };
        let error =
            client.accounts_of_holder(&live(), &holder, &plenty()).await.expect_err("no page");
        assert_eq!(error, CallError::Malformed { what: Malformed::Page, trace: trace(None) });
    }
}

#[tokio::test]
async fn each_page_takes_a_turn_of_the_budget() {
    let endless = json!({"data": [account("fca_1")], "has_more": true});
    let (script, client) = serve([Reply::new(200, &endless)]).await;
    let holder = Holder { kind: "customer".into(), id: "cus_1".into() };
    let (budget, started) = (Budget::new(100.0), Instant::now());
    let scope = live();
    let listing = client.accounts_of_holder(&scope, &holder, &budget);
    budget.spend(listing).await.expect("a listing");
    let turns = script.asked.lock().expect("a lock").len();
    assert_eq!(turns, PAGES_MAX);
    // The first of them does not wait.
    assert!(started.elapsed() >= Duration::from_millis(10) * 19, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_later_page_that_is_refused_for_its_rate_halves_it_once() {
    let page = json!({"data": [account("fca_1")], "has_more": true});
    let refused = json!({"error": {"type": "invalid_request_error", "code": "rate_limit"}});
    let (_, client) = serve([Reply::new(200, &page), Reply::new(429, &refused)]).await;
    let holder = Holder { kind: "customer".into(), id: "cus_1".into() };
    let budget = Budget::new(1000.0);
    let scope = live();
    let listing = client.accounts_of_holder(&scope, &holder, &budget);
    assert!(budget.spend(listing).await.is_err());
    assert!(budget.rate() > 400.0, "{}", budget.rate());
    assert!(budget.rate() < 600.0, "{}", budget.rate());
}
