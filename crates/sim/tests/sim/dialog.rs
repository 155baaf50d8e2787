//! What a person may choose in the stand-in for Stripe.js, and what comes of it.

use relink_sim::{GA_VERSION, Link, PREVIEW_VERSION, TestBank};
use serde_json::{Value, json};

use crate::harness::{Running, Schemas, read, still, types};

const SESSIONS: &str = "/v1/financial_connections/sessions";

/// A session of someone whose three accounts have expired.
struct Scene {
    running: Running,
    accounts: Vec<String>,
    session: Value,
}

impl Scene {
    async fn of(more: &[(&str, &str)]) -> Scene {
        let running = Running::start(still()).await;
        let linked = running.sim.link(Link::of("cus_1", "Harbor", 3)).unwrap();
        let authorization = linked.authorization.unwrap();
        running.sim.expire(&authorization).unwrap();
        Scene::with(running, linked.accounts, &authorization, more).await
    }

    async fn with(
        running: Running,
        accounts: Vec<String>,
        authorization: &str,
        more: &[(&str, &str)],
    ) -> Scene {
        let mut form =
            vec![("permissions[]", "balances"), ("relink_options[authorization]", authorization)];
        form.extend(more);
        let session = running.post(SESSIONS, PREVIEW_VERSION, &form).await.body;
        Scene { running, accounts, session }
    }

    async fn offered(&self) -> Vec<String> {
        let body = json!({ "client_secret": self.session["client_secret"] });
        let offer = self.running.dialog("offer", body).await;
        assert_eq!(offer.headers["access-control-allow-origin"], "*");
        let choices = offer.body["choices"].as_array().unwrap().iter();
        choices.map(|choice| choice["outcome"].as_str().unwrap().to_owned()).collect()
    }

    /// The session, and how many accounts are active.
    async fn choose(&self, outcome: &str) -> (Value, usize) {
        let body = json!({ "client_secret": self.session["client_secret"], "outcome": outcome });
        let ended = self.running.dialog("finish", body).await;
        assert_eq!(
            (ended.status, &ended.headers["access-control-allow-origin"]),
            (200, &"*".parse().unwrap())
        );
        Schemas::of(PREVIEW_VERSION).check("financial_connections.session", &ended.body);
        let account = |id: &String| self.running.sim.account(id).unwrap();
        let active = self.accounts.iter().filter(|id| account(id)["status"] == "active").count();
        (ended.body, active)
    }
}

#[tokio::test]
async fn every_outcome_of_a_relink_is_offered_and_happens() {
    let offered = Scene::of(&[]).await.offered().await;
    let outcomes = [
        // outcome, status of the session, reason, accounts of the session, active accounts
        ("succeeded", "succeeded", None, 3, 3),
        ("left_out", "succeeded", None, 2, 2),
        ("account_closed", "succeeded", None, 2, 2),
        ("another_authorization", "succeeded", None, 3, 3),
        ("no_account", "succeeded", Some("no_account"), 0, 0),
        ("no_authorization", "failed", Some("no_authorization"), 0, 0),
        ("failed", "failed", Some("other"), 0, 0),
        ("pending", "pending", None, 0, 0),
        ("cancelled", "cancelled", None, 0, 0),
    ];
    assert_eq!(offered, outcomes.map(|(outcome, ..)| outcome));
    for (outcome, status, reason, told, active) in outcomes {
        let scene = Scene::of(&[]).await;
        let (session, now_active) = scene.choose(outcome).await;
        assert_eq!(session["status"], status, "{outcome}");
        assert_eq!(session["relink_result"]["failure_reason"], json!(reason), "{outcome}");
        let accounts = session["accounts"]["data"].as_array().unwrap().len();
        assert_eq!((accounts, now_active), (told, active), "{outcome}");
        let same =
            session["relink_result"]["authorization"] == session["relink_options"]["authorization"];
        assert_eq!(same, ["succeeded", "left_out", "account_closed"].contains(&outcome));
        let last = types(&scene.running.sim).pop().unwrap();
        assert_eq!(last == "session.updated", outcome != "pending", "{outcome}");
        let third = scene.running.sim.account(&scene.accounts[2]).unwrap();
        if outcome == "account_closed" {
            assert_eq!(third["status_details"]["inactive"]["cause"], "account_closed");
        } else if outcome == "left_out" {
            assert_eq!(third["status_details"]["inactive"]["cause"], "access_expired");
        }
    }
}

#[tokio::test]
async fn where_no_account_can_be_spared_none_is_left_out() {
    let running = Running::start(still()).await;
    let linked = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    let authorization = linked.authorization.unwrap();
    running.sim.expire(&authorization).unwrap();
    let alone = Scene::with(running, linked.accounts, &authorization, &[]).await;
    let offered = alone.offered().await;
    assert!(offered.contains(&"succeeded".into()) && !offered.contains(&"left_out".into()));
    let body = json!({ "client_secret": alone.session["client_secret"], "outcome": "left_out" });
    assert_eq!(alone.running.dialog("finish", body).await.status, 400);

    // Stripe brings back the account that a session names, and no other.
    let scene = Scene::of(&[]).await;
    let account = scene.accounts[1].clone();
    let named = [("relink_options[account]", account.as_str())];
    let authorization = scene.session["relink_options"]["authorization"].as_str().unwrap();
    let scene = Scene::with(scene.running, scene.accounts, authorization, &named).await;
    assert!(!scene.offered().await.contains(&"left_out".into()));
    let (session, active) = scene.choose("succeeded").await;
    assert_eq!(session["accounts"]["data"][0]["id"], account.as_str());
    assert_eq!(active, 1);
}

#[tokio::test]
async fn a_session_ends_once_and_only_for_who_has_its_secret() {
    let scene = Scene::of(&[]).await;
    let secret = scene.session["client_secret"].clone();
    scene.choose("pending").await;
    scene.choose("succeeded").await;
    let again = json!({ "client_secret": secret, "outcome": "succeeded" });
    assert_eq!(scene.running.dialog("finish", again).await.status, 400);
    let offer = json!({ "client_secret": secret });
    assert_eq!(scene.running.dialog("offer", offer).await.status, 400);
    let foreign = scene.running.dialog("offer", json!({ "client_secret": "other" })).await;
    assert_eq!(foreign.status, 404);
    assert_eq!(foreign.headers["access-control-allow-origin"], "*");
    assert!(!foreign.body.to_string().contains("other"), "{}", foreign.body);
    for script in ["/v3/", "/v3/stripe.js"] {
        assert_eq!(read(scene.running.request("GET", script)).await.status, 200);
    }
}

#[tokio::test]
async fn a_first_link_offers_the_banks() {
    for (bank, status) in [
        (None, "active"),
        (Some(TestBank::InactiveAccounts), "inactive"),
        (Some(TestBank::TokenizedAccountNumbers), "active"),
    ] {
        let running = Running::start(still()).await;
        let form = [
            ("permissions[]", "balances"),
            ("account_holder[type]", "customer"),
            ("account_holder[customer]", "cus_7"),
        ];
        let session = running.post(SESSIONS, GA_VERSION, &form).await.body;
        let secret = &session["client_secret"];
        let offer = running.dialog("offer", json!({ "client_secret": secret })).await.body;
        let choices = offer["choices"].as_array().unwrap();
        let name = bank.map_or("Harbor Federal Bank", TestBank::name);
        let choice = choices.iter().find(|choice| choice["institution"] == name).unwrap();
        let body = json!({
            "client_secret": secret, "outcome": choice["outcome"], "institution": name,
        });
        let ended = running.dialog("finish", body).await.body;
        Schemas::of(PREVIEW_VERSION).check("financial_connections.session", &ended);
        assert_eq!(
            (&ended["status"], &ended["relink_result"]),
            (&"succeeded".into(), &Value::Null)
        );
        for account in ended["accounts"]["data"].as_array().unwrap() {
            assert_eq!(account["institution_name"], name);
            assert_eq!(account["status"], status);
            assert_eq!(account["account_holder"]["customer"], "cus_7");
            assert_eq!(account["permissions"], json!(["balances"]));
        }
        let told = ["account.created", "account.created", "session.updated"];
        assert_eq!(types(&running.sim), told);
    }
}

#[tokio::test]
async fn a_first_link_can_fail() {
    let running = Running::start(still()).await;
    let form = [("permissions[]", "balances"), ("account_holder[customer]", "cus_7")];
    for outcome in ["failed", "cancelled"] {
        let session = running.post(SESSIONS, PREVIEW_VERSION, &form).await.body;
        let secret = &session["client_secret"];
        let refused = json!({ "client_secret": secret, "outcome": "left_out" });
        assert_eq!(running.dialog("finish", refused).await.status, 400);
        let body = json!({ "client_secret": secret, "outcome": outcome });
        let ended = running.dialog("finish", body).await.body;
        assert_eq!((&ended["status"], &ended["accounts"]["data"]), (&outcome.into(), &json!([])));
    }
}

#[tokio::test]
async fn a_hosted_session_has_a_page_that_sends_the_browser_back() {
    let hosted = [("ui_mode", "hosted"), ("return_url", "https://app.example.com/back")];
    let scene = Scene::of(&hosted).await;
    assert_eq!(scene.session["client_secret"], Value::Null);
    let url = scene.session["url"].as_str().unwrap();
    let http = reqwest::Client::builder();
    let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let shown = http.get(url).send().await.unwrap().text().await.unwrap();
    for outcome in ["succeeded", "left_out", "cancelled"] {
        assert!(shown.contains(&format!("value=\"{outcome}\"")), "{shown}");
    }
    let choose = async |outcome: &str| {
        let form = format!("outcome={outcome}");
        http.post(url).body(form).send().await.unwrap()
    };
    assert_eq!(choose("no such outcome").await.status(), 400);
    let ended = choose("left_out").await;
    let back = ended.headers().get("location").map(|value| value.to_str().unwrap());
    assert_eq!((ended.status().as_u16(), back), (303, Some("https://app.example.com/back")));
    let account = |id: &String| scene.running.sim.account(id).unwrap();
    let active = scene.accounts.iter().filter(|id| account(id)["status"] == "active").count();
    assert_eq!(active, 2);
    let over = http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(over.contains("is over"), "{over}");
    let unknown = format!("{}x", url);
    assert_eq!(http.get(unknown).send().await.unwrap().status(), 404);
}
