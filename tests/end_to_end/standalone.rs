//! One process, an embedded database, no broker.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post as on_post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use relink_sim::{GA_VERSION, Link, Relink, Sim, SimConfig};
use relink_tests::api::Api;
use relink_tests::http::Connection;
use relink_tests::process::{Settings, free_address, run};
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::send::post;
use relink_tests::stage::Stage;
use relink_tests::wait::{DEADLINE, until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const KEY: &[u8] = b"twenty-four bytes of key";

/// What was posted, by `webhook-id`.
type Posted = Arc<Mutex<BTreeMap<String, Value>>>;

pub(crate) async fn standalone_alone(stage: &Stage) {
    let (posted, commands_url) = receiver().await;
    let listen = free_address();
    let sim = Sim::new(SimConfig {
        webhook_url: Some(format!("http://{listen}/webhooks/stripe")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        ..SimConfig::default()
    });
    let api = Api::serve(&sim).await;
    let mut settings = api.settings();
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    settings.extend([
        ("RELINK_STRIPE_API_KEY", "sk_test_sim".to_owned()),
        ("RELINK_SETTLE_SECONDS", "0".to_owned()),
        ("RELINK_DATABASE_URL", database.clone()),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
        ("RELINK_COMMANDS_URL", commands_url),
        ("RELINK_COMMANDS_SECRET", format!("whsec_{}", STANDARD.encode(KEY))),
    ]);
    let role = begin(stage.folder(), &settings).await;
    role.has_its_pages("standalone").await;

    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 3)).unwrap();
    let authorization = linked.authorization.unwrap();
    sim.expire(&authorization).unwrap();
    assert!(sim.flush(DEADLINE).await, "every webhook is answered");
    wait_for(&posted, &[("pause_data", 3), ("prompt_relink", 1)]).await;

    let story = explain(&database, &[&authorization]).await;
    for part in ["relink_required", "Harbor Federal Bank", ":prompt-1", "open"] {
        assert!(story.contains(part), "the story lacks {part}:\n{story}");
    }
    let story: Value = serde_json::from_str(&explain(&database, &[&authorization, "--json"]).await)
        .expect("--json prints JSON");
    assert_eq!(story["found"][0]["health"], "relink_required", "{story}");

    role.process.kill().await;
    sim.relink(Relink {
        authorization: Some(authorization.clone()),
        send_session: true,
        ..Relink::default()
    })
    .unwrap();
    let role = begin(stage.folder(), &settings).await;
    assert!(sim.flush(DEADLINE).await, "what was sent meanwhile is sent again");
    wait_for(&posted, &[("resume_data", 3), ("refresh_data", 3), ("withdraw_relink", 1)]).await;
    wait_for(&posted, &[("pause_data", 3), ("prompt_relink", 1)]).await;
    let story: Value =
        serde_json::from_str(&explain(&database, &[&authorization, "--json"]).await).unwrap();
    assert_eq!(story["found"][0]["health"], "active", "{story}");
    // Whichever arrives first, the session's end or the last account.
    assert_eq!(story["found"][0]["cases"][0]["outcome"], "relinked", "{story}");

    let account = linked.accounts[0].as_str();
    let story = explain(&database, &[account]).await;
    assert!(story.contains("inactive → active"), "{story}");
    explains_accounts_and_events(&database, &sim, account).await;
    let lines = role.process.out();
    role.process.stop().await;
    let printed: BTreeMap<String, Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON document a line"))
        .map(|command| (command["id"].as_str().unwrap().to_owned(), command))
        .collect();
    let posted = posted.lock().unwrap().clone();
    assert_eq!(printed, posted, "what is printed is what is posted");
}

/// Not how things were merged, but what holds; and of an event what it did.
async fn explains_accounts_and_events(database: &str, sim: &Sim, account: &str) {
    let json = |text: String| serde_json::from_str::<Value>(&text).expect("--json prints JSON");
    let story = json(explain(database, &[account, "--json"]).await);
    let found = story["found"][0]["accounts"].as_array().unwrap();
    let found = found.iter().find(|one| one["id"] == account).unwrap();
    assert_eq!((&found["status"], &found["paused"]), (&json!("active"), &json!(false)), "{story}");
    assert_eq!(found["holder"], json!({ "type": "customer", "id": "cus_1" }), "{story}");
    assert_eq!(found["authorization"], story["found"][0]["authorization"], "{story}");

    let deactivated = sim.events().into_iter().find(|event| {
        event["type"] == "financial_connections.account.deactivated"
            && event["data"]["object"]["id"] == account
    });
    let event = deactivated.unwrap()["id"].as_str().unwrap().to_owned();
    let told = explain(database, &[&event]).await;
    for part in ["applied", account, "→ inactive", &format!("→ test:{account}:pause-")] {
        assert!(told.contains(part), "the event's story lacks {part}:\n{told}");
    }
    let told = json(explain(database, &[&event, "--json"]).await);
    assert_eq!(told["event"]["id"], event, "{told}");
    assert_eq!(told["event"]["history"][0]["account"], account, "{told}");

    let settings = vec![("RELINK_DATABASE_URL", database.to_owned())];
    for arguments in [&["explain", "evt_none"][..], &["explain", "evt_none", "--json"]] {
        let output = run(arguments, &settings).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        if arguments.len() == 3 {
            let told = json(String::from_utf8(output.stdout).unwrap());
            assert_eq!(told, json!({ "event": null, "parked": null, "found": [] }));
        } else {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("relink.<queue>.parked"), "where to look is told: {said}");
        }
    }
}

/// Bodies of a GA version tell neither authorization nor cause: each is read, once.
pub(crate) async fn a_ga_destination_costs_one_read_and_gives_the_same_prompt(stage: &Stage) {
    let listen = free_address();
    let sim = Sim::new(SimConfig {
        webhook_url: Some(format!("http://{listen}/webhooks/stripe")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        webhook_version: GA_VERSION.to_owned(),
        ..SimConfig::default()
    });
    let api = Api::serve(&sim).await;
    let mut settings = api.settings();
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    settings.extend([
        ("RELINK_STRIPE_API_KEY", "sk_test_sim".to_owned()),
        ("RELINK_DATABASE_URL", database.clone()),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ]);
    let role = begin(stage.folder(), &settings).await;
    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 1)).unwrap();
    let authorization = linked.authorization.unwrap();
    let count = |kind: &str| role.process.out().matches(&format!("\"relink.{kind}.v1\"")).count();
    until(async || match count("verify_accounts") {
        1 => Ok(()),
        other => Err(format!("{other} reads for the authorization")),
    })
    .await;
    // Its answer, too: while a read is under way a second one is not asked for.
    let at = vec![("RELINK_DATABASE_URL", database.clone())];
    until(async || match run(&["explain", &authorization], &at).await.status.success() {
        true => Ok(()),
        false => Err("the authorization is not known".to_owned()),
    })
    .await;
    sim.expire(&authorization).unwrap();
    until(async || match count("prompt_relink") {
        1 => Ok(()),
        other => Err(format!("{other} prompts")),
    })
    .await;
    assert_eq!((count("verify_accounts"), count("pause_data")), (2, 1), "{}", role.process.out());
    let lines = role.process.out();
    let prompt = lines.lines().find(|line| line.contains("relink.prompt_relink.v1")).unwrap();
    let prompt: Value = serde_json::from_str(prompt).unwrap();
    assert_eq!(prompt["subject"], authorization);
    assert_eq!(prompt["data"]["cause"], "access_expired");
    role.process.stop().await;
}

/// An event that cannot be decided is not lost: the log names it, and `explain` says why.
pub(crate) async fn a_parked_event_is_explained(stage: &Stage) {
    let listen = free_address();
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    let settings = vec![
        ("RELINK_DATABASE_URL", database.clone()),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ];
    let role = begin(stage.folder(), &settings).await;
    let event = json!({
        "id": "evt_odd", "object": "event", "created": 1_793_581_200, "livemode": true,
        "type": "financial_connections.account.created", "data": { "object": null },
    });
    let mut connection = Connection::open(listen).await.unwrap();
    let answer = post(&mut connection, event.to_string().as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = explain(&database, &["evt_odd"]).await;
    for part in ["evt_odd: parked ", "relink.lifecycle", "impossible"] {
        assert!(told.contains(part), "{part} is not told: {told}");
    }
    let told: Value =
        serde_json::from_str(&explain(&database, &["evt_odd", "--json"]).await).unwrap();
    assert_eq!(told["parked"]["reason"], "impossible", "{told}");
    let log = role.process.log();
    let line = log.lines().find(|line| line.contains("a message is parked"));
    assert!(line.is_some_and(|line| line.contains("evt_odd")), "{log}");
    let warnings = log.matches("RELINK_STRIPE_API_KEY is not set").count();
    assert_eq!(warnings, 1, "a missing key is said once: {log}");
    role.process.stop().await;
}

/// The embedded bus over an external database: no broker, and none in `migrate`.
pub(crate) async fn standalone_on_postgres(stage: &Stage) {
    let place = stage.place("standalone").await;
    let listen = free_address();
    let sim = Sim::new(SimConfig {
        webhook_url: Some(format!("http://{listen}/webhooks/stripe")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        ..SimConfig::default()
    });
    let mut settings = Api::serve(&sim).await.settings();
    settings.extend([
        ("RELINK_DATABASE_URL", place.database_url.clone()),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ]);
    let output = run(&["migrate", "--database-only"], &settings).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let role = begin(stage.folder(), &settings).await;
    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 2)).unwrap();
    let authorization = linked.authorization.unwrap();
    sim.expire(&authorization).unwrap();
    assert!(sim.flush(DEADLINE).await, "every webhook is answered");
    let story = explain(&place.database_url, &[&authorization]).await;
    assert!(story.contains("relink_required"), "{story}");
    until(async || {
        let said = role.process.out();
        if said.contains("relink.prompt_relink.v1") { Ok(()) } else { Err(said) }
    })
    .await;
    role.process.stop().await;
}

async fn begin(folder: &Path, settings: &Settings) -> Role {
    start(folder, "standalone", &["standalone"], settings.clone()).await
}

async fn explain(database: &str, arguments: &[&str]) -> String {
    let settings = vec![("RELINK_DATABASE_URL", database.to_owned())];
    let output = run(&[&["explain"], arguments].concat(), &settings).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn wait_for(posted: &Posted, wanted: &[(&str, usize)]) {
    until(async || {
        let posted = posted.lock().unwrap();
        for (name, count) in wanted {
            let kind = format!("relink.{name}.v1");
            let found = posted.values().filter(|command| command["type"] == *kind).count();
            if found != *count {
                return Err(format!("{found} of {count} {name}"));
            }
        }
        Ok(())
    })
    .await;
}

/// Takes commands as Standard Webhooks 1.0.0 prescribes: whoever is not signed is refused.
async fn receiver() -> (Posted, String) {
    let posted = Posted::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/commands", listener.local_addr().unwrap());
    let shared = Arc::clone(&posted);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        if !is_signed(&headers, &body) {
            return StatusCode::UNAUTHORIZED;
        }
        let command: Value = serde_json::from_slice(&body).unwrap();
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        assert_eq!(command["id"], *id);
        shared.lock().unwrap().insert(id, command);
        StatusCode::NO_CONTENT
    };
    let router = Router::new().route("/commands", on_post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (posted, url)
}

fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(timestamp), Some(signature)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    signature == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
