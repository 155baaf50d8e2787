//! What the Stripe API answers.

use relink_sim::{
    Cause, Feature, GA_VERSION, Link, NumberStatus, PREVIEW_VERSION, RefreshStatus, Relink,
};
use serde_json::{Value, json};

use crate::harness::{Running, START, Schemas, read, still, types};

const ACCOUNTS: &str = "/v1/financial_connections/accounts";
const AUTHORIZATIONS: &str = "/v1/financial_connections/authorizations";
const SESSIONS: &str = "/v1/financial_connections/sessions";

#[tokio::test]
async fn answers_are_what_the_published_schemas_say_in_every_state() {
    let running = Running::start(still()).await;
    let sim = &running.sim;
    let linked = sim.link(Link::of("cus_1", "Harbor", 4)).unwrap();
    let authorization = linked.authorization.unwrap();
    let [a, b, c, d] = &linked.accounts[..] else { panic!() };
    let check = async || {
        for version in [PREVIEW_VERSION, GA_VERSION] {
            let schemas = Schemas::of(version);
            for id in [a, b, c, d] {
                let answer = running.get(&format!("{ACCOUNTS}/{id}"), version).await;
                schemas.check("financial_connections.account", &answer.body);
            }
        }
        let path = format!("{AUTHORIZATIONS}/{authorization}");
        let answer = running.get(&path, PREVIEW_VERSION).await;
        let schemas = Schemas::of(PREVIEW_VERSION);
        schemas.check("financial_connections.authorization", &answer.body);
    };
    check().await;
    sim.refresh(a, Feature::Balance, RefreshStatus::Succeeded).unwrap();
    sim.refresh(a, Feature::Transactions, RefreshStatus::Pending).unwrap();
    sim.refresh(b, Feature::Ownership, RefreshStatus::Failed).unwrap();
    sim.refresh(b, Feature::InferredBalances, RefreshStatus::Succeeded).unwrap();
    sim.numbers(c, NumberStatus::Expired, Some(START)).unwrap();
    sim.warn(&authorization, START + 86_400, Some(Cause::InstitutionRequirement)).unwrap();
    check().await;
    sim.disconnect(d).unwrap();
    sim.close(c).unwrap();
    sim.expire(&authorization).unwrap();
    check().await;
    let relink = Relink { authorization: Some(authorization.clone()), ..Relink::default() };
    sim.relink(relink).unwrap();
    check().await;
}

#[tokio::test]
async fn ga_answers_lack_what_only_preview_has() {
    let running = Running::start(still()).await;
    let linked = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    let authorization = linked.authorization.unwrap();
    running.sim.expire(&authorization).unwrap();
    let path = format!("{ACCOUNTS}/{}", linked.accounts[0]);

    let preview = running.get(&path, PREVIEW_VERSION).await.body;
    let inactive =
        json!({ "inactive": { "action": "relink_required", "cause": "access_expired" } });
    assert_eq!(preview["status_details"], inactive);
    assert_eq!(preview["authorization"], authorization.as_str());

    let ga = running.get(&path, GA_VERSION).await.body;
    assert_eq!(ga["status"], "inactive");
    assert_eq!(ga["status_details"], json!({}));
    assert!(ga.get("authorization").is_none() && ga.get("institution").is_none());

    let dated = running.get(&path, "2022-11-15").await.body;
    assert!(dated.get("status_details").is_none() && dated.get("account_numbers").is_none());

    let path = format!("{AUTHORIZATIONS}/{authorization}");
    assert_eq!(running.get(&path, PREVIEW_VERSION).await.status, 200);
    assert_eq!(running.get(&path, GA_VERSION).await.status, 404);
}

#[tokio::test]
async fn every_answer_carries_the_simulated_date_and_a_request_id() {
    let running = Running::start(still()).await;
    running.control("clock", json!({ "advance_seconds": 1 })).await;
    let answer = running.get(ACCOUNTS, PREVIEW_VERSION).await;
    assert_eq!(answer.headers["date"], "Mon, 02 Nov 2026 01:00:01 GMT");
    assert!(answer.headers["request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn refusals_are_stripes() {
    let running = Running::start(still()).await;
    let wrong_key = running.request("GET", ACCOUNTS).bearer_auth("sk_other");
    assert_eq!(read(wrong_key).await.status, 401);
    let basic = running.request("GET", ACCOUNTS).basic_auth("sk_test_sim", Some(""));
    assert_eq!(read(basic).await.status, 200);
    assert_eq!(running.get(ACCOUNTS, "yesterday").await.status, 400);
    let missing = running.get(&format!("{ACCOUNTS}/fca_none"), PREVIEW_VERSION).await;
    assert_eq!((missing.status, &missing.body["error"]["code"]), (404, &"resource_missing".into()));

    let linked = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    running.sim.close(&linked.accounts[0]).unwrap();
    let path = format!("{ACCOUNTS}/{}/refresh", linked.accounts[0]);
    let refresh = running.request("POST", &path).bearer_auth("sk_test_sim");
    let refused = read(refresh.form(&[("features[]", "balance")])).await;
    assert_eq!(refused.body["error"]["code"], "financial_connections_account_inactive");
}

#[tokio::test]
async fn a_subscription_lasts_and_starts_a_refresh() {
    let running = Running::start(still()).await;
    let link = Link {
        permissions: vec!["transactions".into(), "balances".into()],
        ..Link::of("cus_1", "Harbor", 1)
    };
    let account = running.sim.link(link).unwrap().accounts.remove(0);
    let path = format!("{ACCOUNTS}/{account}");
    let act = async |action: &str, version: &str, feature: &str| {
        let path = format!("{path}/{action}");
        running.post(&path, version, &[("features[]", feature)]).await
    };
    let before = running.get(&path, GA_VERSION).await.body;
    assert_eq!(before["subscriptions"], json!([]));
    let subscribed = act("subscribe", GA_VERSION, "transactions").await.body;
    Schemas::of(GA_VERSION).check("financial_connections.account", &subscribed);
    assert_eq!(subscribed["subscriptions"], json!(["transactions"]));
    assert_eq!(subscribed["transaction_refresh"]["status"], "pending");
    assert_eq!(types(&running.sim)[1..], ["account.refreshed_transactions"]);
    act("subscribe", GA_VERSION, "transactions").await;
    assert_eq!(types(&running.sim).len(), 2, "what is subscribed already starts nothing");

    let balance = act("subscribe", PREVIEW_VERSION, "balance").await.body;
    Schemas::of(PREVIEW_VERSION).check("financial_connections.account", &balance);
    assert_eq!(balance["subscriptions"], json!(["balance", "transactions"]));
    let general = running.get(&path, GA_VERSION).await.body;
    assert_eq!(general["subscriptions"], json!(["transactions"]));
    let left = act("unsubscribe", PREVIEW_VERSION, "balance").await.body;
    assert_eq!(left["subscriptions"], json!(["transactions"]));
    running.sim.disconnect(&account).unwrap();
    assert_eq!(running.get(&path, GA_VERSION).await.body["subscriptions"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_refused() {
    let running = Running::start(still()).await;
    let link = Link { permissions: vec!["balances".into()], ..Link::of("cus_1", "Harbor", 1) };
    let account = running.sim.link(link).unwrap().accounts.remove(0);
    let refused = async |id: &str, version: &str, form: &[(&str, &str)]| {
        let answer = running.post(&format!("{ACCOUNTS}/{id}/subscribe"), version, form).await;
        let error = &answer.body["error"];
        let told = if error["code"].is_null() { &error["param"] } else { &error["code"] };
        (answer.status, told.as_str().unwrap().to_owned())
    };
    let transactions = [("features[]", "transactions")];
    let balance = [("features[]", "balance")];
    let parameter = (400, "features".to_owned());
    assert_eq!(refused(&account, GA_VERSION, &[]).await, parameter);
    assert_eq!(refused(&account, GA_VERSION, &balance).await, parameter, "preview only");
    assert_eq!(refused(&account, PREVIEW_VERSION, &transactions).await, parameter, "no permission");
    let missing = (404, "resource_missing".to_owned());
    assert_eq!(refused("fca_none", GA_VERSION, &transactions).await, missing);
    running.sim.deny(&account).unwrap();
    let inactive = (400, "financial_connections_account_inactive".to_owned());
    assert_eq!(refused(&account, PREVIEW_VERSION, &balance).await, inactive);
    assert_eq!(running.sim.account(&account).unwrap()["subscriptions"], json!([]));
}

#[tokio::test]
async fn lists_filter_by_holder_and_page_newest_first() {
    let running = Running::start(still()).await;
    let ours = running.sim.link(Link::of("cus_1", "Harbor", 3)).unwrap().accounts;
    running.sim.link(Link::of("cus_2", "Harbor", 2)).unwrap();
    let path = format!("{ACCOUNTS}?account_holder[customer]=cus_1&limit=2");
    let first = running.get(&path, PREVIEW_VERSION).await.body;
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().unwrap().iter();
        data.map(|object| object["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (vec![ours[2].clone(), ours[1].clone()], &true.into())
    );
    let path = format!("{path}&starting_after={}", ours[1]);
    let second = running.get(&path, PREVIEW_VERSION).await.body;
    assert_eq!((ids(&second), &second["has_more"]), (vec![ours[0].clone()], &false.into()));

    running.sim.close(&ours[0]).unwrap();
    let path = "/v1/events?types[]=financial_connections.account.deactivated&created[gte]=1";
    let events = running.get(path, GA_VERSION).await.body;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
    // An event keeps the version of its destination, whatever the version of the call.
    assert_eq!(events["data"][0]["api_version"], PREVIEW_VERSION);
    let id = &ids(&events)[0];
    assert_eq!(running.get(&format!("/v1/events/{id}"), GA_VERSION).await.body, events["data"][0]);
    let newer = running.get(&format!("/v1/events?ending_before={id}"), GA_VERSION).await.body;
    assert_eq!(newer["data"], json!([]));
}

#[tokio::test]
async fn a_connected_account_is_a_world_of_its_own() {
    let running = Running::start(still()).await;
    let link = Link { stripe_account: Some("acct_1".into()), ..Link::of("cus_1", "Harbor", 1) };
    let id = running.sim.link(link).unwrap().accounts.remove(0);
    let path = format!("{ACCOUNTS}/{id}");
    assert_eq!(running.get(&path, PREVIEW_VERSION).await.status, 404);
    let request = running.request("GET", &path).bearer_auth("sk_test_sim");
    assert_eq!(read(request.header("Stripe-Account", "acct_1")).await.status, 200);
    assert_eq!(running.sim.events()[0]["account"], "acct_1");
}

#[tokio::test]
async fn reads_over_the_limit_and_injected_faults_are_refused() {
    let config = relink_sim::SimConfig { read_limit_per_second: Some(5), ..still() };
    let running = Running::start(config).await;
    let mut limited = 0;
    for _ in 0..50 {
        let answer = running.get(ACCOUNTS, PREVIEW_VERSION).await;
        if answer.status == 429 {
            assert_eq!(answer.headers["stripe-rate-limited-reason"], "endpoint-rate");
            limited += 1;
        }
    }
    assert!(limited > 0);
    running.control("faults", json!({ "kind": "lock_timeout" })).await;
    running.control("faults", json!({ "kind": "timeout", "after_ms": 10 })).await;
    let locked = running.get("/v1/events", PREVIEW_VERSION).await;
    assert_eq!(locked.body["error"]["code"], "lock_timeout");
    assert!(locked.headers.get("stripe-rate-limited-reason").is_none());
    assert_eq!(running.get("/v1/events", PREVIEW_VERSION).await.status, 500);
    assert_eq!(running.get("/v1/events", PREVIEW_VERSION).await.status, 200);
}

#[tokio::test]
async fn a_relink_session_is_made_once_per_key_and_completed_by_a_relink() {
    let running = Running::start(still()).await;
    let linked = running.sim.link(Link::of("cus_1", "Harbor", 2)).unwrap();
    let authorization = linked.authorization.unwrap();
    running.sim.expire(&authorization).unwrap();
    let create = async || {
        let request = running.request("POST", SESSIONS).bearer_auth("sk_test_sim");
        let form = [
            ("permissions[]", "balances"),
            ("account_holder[type]", "customer"),
            ("account_holder[customer]", "cus_1"),
            ("relink_options[authorization]", authorization.as_str()),
        ];
        let request = request.header("Stripe-Version", PREVIEW_VERSION).form(&form);
        read(request.header("Idempotency-Key", "once")).await
    };
    let session = create().await.body;
    assert_eq!(session["status"], "pending");
    assert!(session["client_secret"].is_string());
    assert_eq!(create().await.body["id"], session["id"]);

    let done = running.control("relink", json!({ "session": session["id"] })).await.body;
    assert_eq!(done["session"]["relink_result"]["authorization"], authorization.as_str());
    assert_eq!(done["session"]["client_secret"], Value::Null);
    let path = format!("{SESSIONS}/{}", session["id"].as_str().unwrap());
    for version in [PREVIEW_VERSION, GA_VERSION] {
        let read = running.get(&path, version).await.body;
        Schemas::of(version).check("financial_connections.session", &read);
    }
}
