//! `relink doctor`: each thing is broken for real, and the right line says so.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, post};
use axum::{Json, Router};
use relink_sim::{GA_VERSION, Link, Sim, SimConfig};
use relink_tests::api::Api;
use relink_tests::foreign::Foreign;
use relink_tests::place::Place;
use relink_tests::process::{Settings, free_address, run};
use relink_tests::role::{WEBHOOK_SECRET, start};
use relink_tests::stage::Stage;
use relink_tests::wait::{DEADLINE, until};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const LINK_KEY: &str = "a-key-for-links-of-at-least-32-bytes";
pub(crate) const API_KEY: &str = "sk_test_sim";

/// What `relink doctor --json` found.
pub(crate) struct Told {
    pub(crate) code: i32,
    lines: BTreeMap<String, Value>,
    summary: Value,
    pub(crate) all: String,
}

impl Told {
    pub(crate) fn level(&self, check: &str) -> &str {
        self.lines.get(check).map_or("not told", |line| line["level"].as_str().unwrap())
    }

    /// Fails unless the line is so and says all of that.
    #[track_caller]
    pub(crate) fn says(&self, check: &str, level: &str, parts: &[&str]) {
        assert_eq!(self.level(check), level, "{check}\n{}", self.all);
        let line = &self.lines[check];
        for part in parts {
            assert!(line.to_string().contains(part), "{check} lacks {part}: {line}");
        }
        let has_advice = line["advice"].is_string();
        assert!(has_advice || !matches!(level, "warn" | "fail"), "what to do? {line}");
    }
}

pub(crate) async fn doctor(arguments: &[&str], settings: &Settings) -> Told {
    let all = [&["doctor"], arguments, &["--json"]].concat();
    let output = run(&all, settings).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    for secret in [LINK_KEY, API_KEY, WEBHOOK_SECRET, "guest:", "hunter2"] {
        assert!(!text.contains(secret) && !said.contains(secret), "{secret}: {text}{said}");
    }
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{all:?}: {text}{said}"));
    let lines = document["checks"].as_array().unwrap().iter();
    let lines: BTreeMap<String, Value> =
        lines.map(|line| (line["check"].as_str().unwrap().to_owned(), line.clone())).collect();
    assert_eq!(lines.len(), document["checks"].as_array().unwrap().len(), "told twice: {text}");
    let code = output.status.code().unwrap();
    Told { code, lines, summary: document["summary"].clone(), all: text + &said }
}

/// Asks until a line is so: what the broker's statistics show comes late.
async fn until_it_says(settings: &Settings, arguments: &[&str], check: &str, level: &str) -> Told {
    until(async || {
        let told = doctor(arguments, settings).await;
        if told.level(check) == level { Ok(told) } else { Err(told.all) }
    })
    .await
}

/// Where the management API of the tests' own broker is; a foreign one may have none.
fn management() -> Vec<(&'static str, String)> {
    match std::env::var("RELINK_TEST_MANAGEMENT_URL") {
        Ok(url) => vec![("RELINK_MANAGEMENT_URL", url)],
        Err(_) => {
            eprintln!("LEFT OUT: RELINK_TEST_MANAGEMENT_URL is not set: no policies, no alarms");
            Vec::new()
        }
    }
}

pub(crate) async fn healthy(stage: &Stage) {
    let place = stage.place("healthy").await;
    place.migrate().await;
    let sim = Sim::new(SimConfig::default());
    let api = Api::serve(&sim).await;
    let mut settings = place.settings(&api.settings());
    settings.extend([
        ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
        ("RELINK_PORTAL_URL", "http://127.0.0.1:8081".to_owned()),
        ("RELINK_LINK_KEY", LINK_KEY.to_owned()),
        ("RELINK_PORTAL_BRAND", "Harbor".to_owned()),
        ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_test_sim".to_owned()),
    ]);
    let management = management();
    settings.extend(management.clone());
    let worker = place.start("worker", &["worker"], &api.settings()).await;
    let roles = ["ingress", "worker", "scheduler", "portal"];
    let told = doctor(&[&roles[..], &["--strict"]].concat(), &settings).await;
    assert_eq!(told.code, 0, "{}", told.all);
    for (check, line) in &told.lines {
        // The commands are posted by the single process alone, and traces go nowhere.
        let is_left_out = ["settings.commands", "traces"].contains(&check.as_str())
            || (management.is_empty() && line["level"] == "not_checked");
        assert!(line["level"] == "ok" || is_left_out, "{line}");
    }
    assert_eq!(told.summary["fail"], 0);
    assert_eq!(told.lines.len(), 33, "every check is told: {}", told.all);

    let output = run(&["doctor"], &settings).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("\nok    broker.consumers       relink.lifecycle 1"), "{table}");
    assert!(table.trim_end().ends_with("2 not checked") || management.is_empty(), "{table}");

    // Without the management API it is said what is not known, and how it would be.
    settings.retain(|(name, _)| *name != "RELINK_MANAGEMENT_URL");
    let told = doctor(&["--strict"], &settings).await;
    assert_eq!(told.code, 0, "{}", told.all);
    for check in ["broker.policies", "broker.alarms", "broker.bindings", "broker.unused"] {
        told.says(check, "not_checked", &["RELINK_MANAGEMENT_URL"]);
    }
    told.says("broker.version", "ok", &["RabbitMQ"]);
    worker.process.stop().await;
}

pub(crate) async fn broken_broker(stage: &Stage) {
    let place = stage.place("broken-broker").await;
    let mut foreign = Foreign::connect(&place);
    let management = management();
    let plain = place.settings(&[]);
    let settings = place.settings(&management);
    let told = doctor(&[], &plain).await;
    told.says("broker.topology", "fail", &["missing", "relink.events", "relink migrate"]);
    assert_eq!((told.code, told.level("broker.connection")), (1, "ok"), "{}", told.all);
    for check in ["broker.consumers", "parked"] {
        told.says(check, "not_checked", &["queues are missing", "relink migrate"]);
    }

    place.migrate().await;
    let told = doctor(&[], &plain).await;
    told.says("broker.consumers", "warn", &["relink.upcoming (0 waiting)", "relink worker"]);
    assert_eq!(told.code, 0, "a warning alone is no failure: {}", told.all);
    assert_eq!(doctor(&["--strict"], &plain).await.code, 1);
    let key = "financial_connections.account.created";
    foreign.publish_event(key, b"{}", &json!({ "message_id": "evt_1" })).await;
    let told = doctor(&[], &plain).await;
    told.says("broker.consumers", "fail", &["relink.lifecycle (1 waiting)"]);
    // The message is no event: a worker parks it.
    let worker = place.start("worker", &["worker"], &[]).await;
    let told = until_it_says(&plain, &[], "parked", "warn").await;
    told.says("parked", "warn", &["1 of lifecycle", "relink parked list"]);
    told.says("broker.consumers", "ok", &[]);
    worker.process.stop().await;

    foreign.delete("relink.upcoming").await;
    let arguments = json!({
        "x-queue-type": "quorum", "x-delivery-limit": 7, "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "relink.upcoming.parked",
        "x-dead-letter-strategy": "at-least-once",
    });
    foreign.declare("relink.upcoming", &arguments).await;
    foreign.declare("relink.yesterday", &json!({ "x-queue-type": "quorum" })).await;
    let told = doctor(&[], &plain).await;
    told.says("broker.topology", "fail", &["relink.upcoming", "x-delivery-limit", "7"]);
    assert_eq!(told.code, 1);
    if !management.is_empty() {
        let told = doctor(&[], &settings).await;
        told.says("broker.topology", "fail", &["x-delivery-limit is 7, wanted is 50"]);
        told.says("broker.bindings", "fail", &["upcoming_deactivation", "relink migrate"]);
        told.says("broker.unused", "warn", &["relink.yesterday"]);
        told.says("broker.policies", "ok", &[]);
        policies_and_alarms(&place, &settings).await;
    }

    let mut nowhere = place.settings(&[]);
    nowhere.push(("RELINK_AMQP_URL", "amqp://guest:hunter2@127.0.0.1:1/%2f".to_owned()));
    let told = doctor(&[], &nowhere).await;
    told.says("broker.connection", "fail", &["RELINK_AMQP_URL"]);
    told.says("broker.consumers", "not_checked", &[]);
    told.says("database.schema", "ok", &[]);
    assert_eq!(told.code, 1);
}

async fn policies_and_alarms(place: &Place, settings: &Settings) {
    let vhost = place.vhost();
    let limit = r#"{"message-ttl":60000}"#;
    let all = ["set_policy", "-p", vhost, "short", "^relink", limit, "--apply-to", "queues"];
    place.control(&all).await;
    let told = until_it_says(settings, &[], "broker.policies", "fail").await;
    told.says("broker.policies", "fail", &["`short` on relink.", "message-ttl"]);

    // One that stops no connection of the tests beside this one.
    let alarm = |what: &str| format!("rabbit_alarm:{what}.");
    place.control(&["eval", &alarm("set_alarm({file_descriptor_limit, []})")]).await;
    let told = until_it_says(settings, &[], "broker.alarms", "fail").await;
    place.control(&["eval", &alarm("clear_alarm(file_descriptor_limit)")]).await;
    told.says("broker.alarms", "fail", &["file descriptors of"]);
    until_it_says(settings, &[], "broker.alarms", "ok").await;

    let mut stranger = settings.clone();
    let url = std::env::var("RELINK_TEST_MANAGEMENT_URL").unwrap();
    let url = url.replace("://", "://nobody:hunter2@");
    stranger.push(("RELINK_MANAGEMENT_URL", url));
    let told = doctor(&[], &stranger).await;
    told.says("broker.alarms", "warn", &["does not accept", "RELINK_MANAGEMENT_URL"]);
    told.says("broker.version", "ok", &[]);
}

pub(crate) async fn missing_permission(stage: &Stage) {
    let place = stage.place("permissions").await;
    place.migrate().await;
    let vhost = place.vhost();
    let user = format!("{vhost}-ingress");
    let may = ["", "^relink\\.events$", ""];
    place.control(&["add_user", &user, "hunter2"]).await;
    place.control(&["set_permissions", "-p", vhost, &user, may[0], may[1], may[2]]).await;
    let (start, rest) = place.amqp_url.split_once("://").unwrap();
    let (_, host) = rest.split_once('@').unwrap();
    let mut settings = place.settings(&[]);
    settings.push(("RELINK_AMQP_URL", format!("{start}://{user}:hunter2@{host}")));
    let of_all = doctor(&[], &settings).await;
    let of_ingress = doctor(&["ingress"], &settings).await;
    place.control(&["delete_user", &user]).await;
    let lacking = ["write on relink.commands", "read on relink.lifecycle", "write on amq.default"];
    // Whose user it is was not said.
    of_all.says("broker.permissions", "warn", &lacking);
    assert!(!of_all.lines["broker.permissions"].to_string().contains("write on relink.events"));
    assert_eq!(of_all.code, 0, "{}", of_all.all);
    of_ingress.says("broker.permissions", "ok", &[]);
    // Comparing arguments takes a permission that it does without.
    of_ingress.says("broker.topology", "not_checked", &["RELINK_MANAGEMENT_URL"]);
    assert_eq!(of_ingress.code, 0, "{}", of_ingress.all);

    let database = place.database().await;
    let role = format!("{vhost}_reader");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; \
         REVOKE SELECT ON inbox FROM {role}"
    );
    database.batch_execute(&grants).await.unwrap();
    let (_, behind) = place.database_url.split_once('@').unwrap();
    settings = place.settings(&[]);
    settings.push(("RELINK_DATABASE_URL", format!("postgres://{role}@{behind}")));
    let told = doctor(&[], &settings).await;
    database.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
    let lacking = ["SELECT on inbox", "DELETE on accounts", "relink doctor portal"];
    told.says("database.privileges", "warn", &lacking);
    told.says("database.transactions", "ok", &["as far as this user sees", "pg_read_all_stats"]);
    told.says("events.details", "not_checked", &["may not read inbox", "relink_operator"]);
    assert_eq!(told.code, 0, "{}", told.all);
}

pub(crate) async fn broken_database(stage: &Stage) {
    let place = stage.place("broken-database").await;
    let settings = place.settings(&[]);
    let told = doctor(&[], &settings).await;
    told.says("database.schema", "fail", &["version 0", "relink migrate"]);
    told.says("database.outbox", "not_checked", &[]);
    told.says("events.details", "not_checked", &[]);
    place.migrate().await;
    let database = place.database().await;
    let change = async |sql: &str| database.batch_execute(sql).await.unwrap();
    let newest = "SELECT max(version) FROM relink_schema";
    let newest: i32 = database.query_one(newest, &[]).await.unwrap().get(0);
    change(&format!("UPDATE relink_schema SET version = 0 WHERE version = {newest}")).await;
    let told = doctor(&[], &settings).await;
    told.says("database.schema", "fail", &[&format!("version {}", newest - 1)]);
    change("UPDATE relink_schema SET version = 99 WHERE version = 0").await;
    doctor(&[], &settings).await.says("database.schema", "fail", &["version 99, newer"]);
    change(&format!("UPDATE relink_schema SET version = {newest} WHERE version = 99")).await;

    change(
        "DO $$ BEGIN FOR ahead IN 2..14 LOOP \
           EXECUTE 'DROP TABLE inbox_' || to_char(now() + ahead * interval '1 day', 'YYYYMMDD'); \
         END LOOP; END $$",
    )
    .await;
    change(
        "INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
           correlations, traceparents, bodies) \
         VALUES (9e15, (extract(epoch FROM now()) * 1000)::bigint - 3600000, 1, ARRAY['one'], \
           ARRAY['relink.pause_data.v1'], ARRAY['test'], ARRAY['evt_1'], ARRAY[NULL], ARRAY[''::bytea])",
    )
    .await;
    let told = doctor(&[], &settings).await;
    told.says("database.partitions", "warn", &["2 of the 15 days", "relink scheduler"]);
    told.says("database.outbox", "fail", &["1 command", "60 min"]);
    told.says("database.transactions", "ok", &[]);
    assert_eq!(told.code, 1);

    let holder = place.database().await;
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";
    holder.batch_execute(open).await.unwrap();
    let told =
        until_it_says(&settings, &["--transaction-age", "1s"], "database.transactions", "warn");
    told.await.says("database.transactions", "warn", &["session", "pg_terminate_backend"]);
    doctor(&[], &settings).await.says("database.transactions", "ok", &[]);
    holder.batch_execute("COMMIT").await.unwrap();

    let name = place.vhost();
    change(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    doctor(&[], &settings).await.says("database.server", "fail", &["only reads", "primary"]);

    let mut nowhere = place.settings(&[]);
    nowhere.push(("RELINK_DATABASE_URL", "postgres://a:hunter2@127.0.0.1:1/relink".to_owned()));
    let told = doctor(&[], &nowhere).await;
    told.says("database.server", "fail", &["RELINK_DATABASE_URL"]);
    told.says("database.schema", "not_checked", &[]);
    told.says("broker.topology", "ok", &[]);
}

/// Stripe's stand-in, with something in front of it.
async fn behind(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

async fn refusal(status: StatusCode) -> (StatusCode, axum::Json<Value>) {
    let error = json!({ "error": { "type": "invalid_request_error", "message": "no" } });
    (status, axum::Json(error))
}

pub(crate) async fn wrong_with_stripe(stage: &Stage) {
    let listen = free_address();
    let sim = Sim::new(SimConfig {
        webhook_url: Some(format!("http://{listen}/webhooks/stripe")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        webhook_version: GA_VERSION.to_owned(),
        ..SimConfig::default()
    });
    let api = Api::serve(&sim).await;
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    let mut settings = api.settings();
    settings.extend([
        ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
        ("RELINK_DATABASE_URL", database),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ]);
    let role = start(stage.folder(), "standalone", &["standalone"], settings.clone()).await;
    let told = doctor(&["standalone", "--strict"], &settings).await;
    assert_eq!(told.code, 0, "{}", told.all);
    for check in ["stripe.key", "stripe.clock", "stripe.permissions", "stripe.preview", "parked"] {
        told.says(check, "ok", &[]);
    }
    assert_eq!(told.level("broker.connection"), "not told", "{}", told.all);

    // A destination without a preview version says nothing of the cause.
    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 1)).unwrap();
    sim.expire(&linked.authorization.unwrap()).unwrap();
    assert!(sim.flush(DEADLINE).await);
    let told = doctor(&[], &settings).await;
    told.says("events.details", "warn", &["did not say why", "*.preview"]);
    told.says("events.arrival", "ok", &[]);
    role.process.stop().await;
    sim.link(Link::of("cus_2", "Harbor Federal Bank", 1)).unwrap();

    sim.advance(60);
    doctor(&[], &settings).await.says("stripe.clock", "warn", &["behind Stripe's", "NTP"]);
    sim.advance(400);
    let told = doctor(&[], &settings).await;
    told.says("stripe.clock", "fail", &["webhooks get 400"]);
    told.says("events.arrival", "warn", &["is not in the ledger", "relink audit"]);
    assert_eq!(told.code, 1);

    wrong_keys(&sim, &settings).await;
}

async fn wrong_keys(sim: &Sim, settings: &Settings) {
    let with = |name: &'static str, value: &str| {
        let mut settings = settings.clone();
        settings.push((name, value.to_owned()));
        settings
    };
    let told = doctor(&[], &with("RELINK_WEBHOOK_MODE", "live")).await;
    told.says("stripe.key", "fail", &["secret key of test mode", "webhooks of live mode"]);
    let told = doctor(&[], &with("RELINK_STRIPE_API_KEY", "rk_test_hunter2")).await;
    told.says("stripe.key", "fail", &["restricted key of test mode", "does not accept"]);
    told.says("stripe.clock", "not_checked", &[]);
    let told = doctor(&[], &with("RELINK_STRIPE_API_KEY", "rk_live_hunter2")).await;
    told.says("stripe.key", "fail", &["does not accept"]);
    let told = doctor(&[], &with("RELINK_STRIPE_API_BASE", "http://127.0.0.1:1")).await;
    told.says("stripe.key", "fail", &["connection failed", "RELINK_STRIPE_API_BASE"]);
    told.says("stripe.permissions", "not_checked", &["cannot be asked"]);
    told.says("database.schema", "ok", &[]);

    let without_preview = Router::new()
        .route(
            "/v1/financial_connections/authorizations/{id}",
            any(|| refusal(StatusCode::NOT_FOUND)),
        )
        .fallback_service(sim.router());
    let base = behind(without_preview).await;
    let told = doctor(&[], &with("RELINK_STRIPE_API_BASE", &base)).await;
    told.says("stripe.preview", "fail", &["*.preview", "ask Stripe"]);
    told.says("stripe.permissions", "ok", &[]);
    let without_events = Router::new()
        .route("/v1/events", any(|| refusal(StatusCode::FORBIDDEN)))
        .fallback_service(sim.router());
    let base = behind(without_events).await;
    let told = doctor(&[], &with("RELINK_STRIPE_API_BASE", &base)).await;
    told.says("stripe.permissions", "fail", &["cannot read events", "Events"]);
    told.says("stripe.preview", "ok", &[]);
    told.says("stripe.key", "ok", &[]);
}

pub(crate) async fn wrong_settings(stage: &Stage) {
    let told = doctor(&[], &Settings::new()).await;
    assert_eq!(told.code, 1);
    told.says("settings.database", "fail", &["nothing to look at"]);
    told.says("stripe.key", "not_checked", &["not configured"]);

    let nothing = format!("sqlite://{}", stage.folder().join("none.db").display());
    let settings: Settings = vec![
        ("RELINK_DATABASE_URL", nothing),
        ("RELINK_SETTLE_SECONDS", "7 o'clock".to_owned()),
        ("RELINK_RETENTION_DAYS", "3".to_owned()),
        ("RELINK_STRIPE_API_KEY", "pk_test_hunter2".to_owned()),
        ("RELINK_PORTAL_URL", "http://relink.example.com".to_owned()),
        ("RELINK_COMMANDS_SECRET", "hunter2".to_owned()),
    ];
    let told = doctor(&["standalone"], &settings).await;
    assert_eq!(told.code, 1);
    told.says("settings.webhooks", "fail", &["RELINK_WEBHOOK_SECRETS is not set"]);
    told.says("settings.rules", "fail", &["RELINK_SETTLE_SECONDS"]);
    told.says("settings.background", "fail", &["RELINK_RETENTION_DAYS"]);
    told.says("settings.stripe", "fail", &["publishable key"]);
    told.says("stripe.key", "fail", &["a publishable key of test mode"]);
    told.says("settings.links", "fail", &["https://", "RELINK_LINK_KEY is not set"]);
    told.says("settings.commands", "fail", &["RELINK_COMMANDS_SECRET"]);
    told.says("settings.broker", "not_checked", &[]);
    told.says("database.schema", "fail", &["no database"]);
    told.says("settings.webhooks", "fail", &["`relink standalone --help`"]);
    told.says("settings.rules", "fail", &["`relink worker --help`"]);
    let told = doctor(&["scheduler"], &settings).await;
    told.says("settings.database", "fail", &["relink standalone", "`relink scheduler --help`"]);
    told.says("settings.broker", "fail", &["AMQP_URL is not set", "`relink scheduler --help`"]);

    for wrong in [&["doctor", "nightshift"][..], &["doctor", "--transaction-age", "soon"]] {
        let output = run(wrong, &settings).await;
        assert_eq!(output.status.code(), Some(64), "{wrong:?}");
    }
}

/// What the collector says to a request without a span.
pub(crate) async fn a_collector(stage: &Stage) {
    let address = free_address();
    let settings: Settings = vec![
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("none.db").display())),
        ("RELINK_OTLP_URL", format!("http://{address}")),
        // Nothing is set, as it is with others.
        ("RELINK_TRACE_RATIO", String::new()),
    ];
    let without = doctor(&[], &settings[..1].to_vec()).await;
    without.says("traces", "not_checked", &["RELINK_OTLP_URL is not set"]);
    let wrong = vec![settings[0].clone(), ("RELINK_OTLP_URL", "grpc://hunter2".to_owned())];
    doctor(&[], &wrong).await.says("traces", "not_checked", &["settings.process has to be right"]);
    let away = doctor(&[], &settings).await;
    away.says("traces", "warn", &["it cannot be reached", "correct RELINK_OTLP_URL"]);
    away.says("settings.process", "ok", &[]);

    let listener = TcpListener::bind(address).await.unwrap();
    let take = async |headers: HeaderMap, body: String| {
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(body, r#"{"resourceSpans":[]}"#);
        Json(json!({ "partialSuccess": {} }))
    };
    let elsewhere = Router::new().route("/v1/metrics", post(take)).fallback(StatusCode::NOT_FOUND);
    let serving = tokio::spawn(async move { axum::serve(listener, elsewhere).await });
    doctor(&[], &settings).await.says("traces", "warn", &["it answers 404", "OTLP receiver"]);
    serving.abort();
    let _ = serving.await;
    let listener = TcpListener::bind(address).await.unwrap();
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    doctor(&[], &settings).await.says("traces", "ok", &["answers 200 to an empty request"]);
}
