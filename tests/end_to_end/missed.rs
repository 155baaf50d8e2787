//! What webhooks did not bring: events that were dropped, changes that made none, and what was
//! linked before Relink came.

use std::collections::BTreeSet;

use relink_sim::{DeliveryChange, Link, Sim, SimConfig};
use relink_tests::api::{Api, reference};
use relink_tests::feed::{API_KEY, Feed, seed};
use relink_tests::foreign::Foreign;
use relink_tests::ledger::{Picture, events_in_inbox, nothing_is_left, settled};
use relink_tests::place::Place;
use relink_tests::process::{Process, Settings, free_address, run};
use relink_tests::role::{WEBHOOK_SECRET, start};
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::Value;

const SEED: u64 = 30;

/// Runs an operator command that must succeed; hands over what it printed.
async fn operator(arguments: &[&str], settings: &Settings) -> String {
    let output = run(arguments, settings).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "relink {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The JSON document on the last line.
fn summary(printed: &str) -> Value {
    serde_json::from_str(printed.lines().last().expect("a summary")).unwrap()
}

/// For half a minute nothing else would tell that Stripe does not answer.
pub(crate) async fn whoever_waits_for_stripe_is_told(stage: &Stage) {
    let holders = stage.folder().join("holders.txt");
    std::fs::write(&holders, "cus_1\n").unwrap();
    let settings = vec![
        ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
        ("RELINK_STRIPE_API_BASE", format!("http://{}", free_address())),
    ];
    let arguments = ["backfill", holders.to_str().unwrap()];
    let waiting = Process::start(stage.folder(), "backfill", &arguments, &settings);
    until(async || {
        let said = waiting.log();
        if said.contains("connection failed; tried again in 1 s") { Ok(()) } else { Err(said) }
    })
    .await;
    waiting.kill().await;
}

pub(crate) async fn a_hundred_dropped_webhooks_are_caught_up(stage: &Stage) {
    let feed = Feed::new(seed(SEED), 30, 120);
    let distinct = feed.events.len();
    assert!(distinct >= 100);
    let api = Api::serve(&feed.sim).await;
    let in_order = reference(stage, &feed, &api).await;

    let place = stage.place("by-hand").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let settings = place.settings(&api.settings());
    let shown = operator(&["catch-up", "--json"], &settings).await;
    assert_eq!(summary(&shown)["missed"], distinct, "{shown}");
    assert_eq!(summary(&shown)["written"], false);
    let ids: BTreeSet<String> =
        shown.lines().filter_map(|line| id_of(&serde_json::from_str(line).unwrap())).collect();
    assert_eq!(ids, feed.events.iter().map(|event| event.id.clone()).collect());
    assert_eq!(
        summary(&operator(&["catch-up", "--json", "--since", "1s"], &settings).await)["missed"],
        0
    );
    let audit = ["audit", "--from", "29d", "--to", "1s", "--json"];
    let output = run(&audit, &settings).await;
    let audited: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{audited}");
    let missing = audited["missing"].as_array().unwrap().iter().filter_map(id_of);
    assert_eq!(missing.collect::<BTreeSet<_>>(), ids);
    let worker = place.start("worker", &["worker"], &api.settings()).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;
    assert_eq!(events_in_inbox(&database).await, 0, "nothing was published");
    let written = operator(&["catch-up", "--write"], &settings).await;
    let expected = format!("{distinct} events published (0 known");
    assert!(written.contains(&expected), "what it published itself was not known: {written}");
    settled(&database, &mut foreign, distinct, true).await;
    let again = operator(&["catch-up", "--write", "--json"], &settings).await;
    assert_eq!(summary(&again)["missed"], 0, "{again}");
    let audited: Value = serde_json::from_str(&operator(&audit, &settings).await).unwrap();
    assert_eq!((&audited["in_ledger"], &audited["listed"]), (&distinct.into(), &distinct.into()));
    assert_eq!(audited["missing"], Value::Array(Vec::new()), "{audited}");
    for role in [worker, scheduler] {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
    Picture::of(&database).await.equals(&in_order);
}

fn id_of(line: &Value) -> Option<String> {
    line["id"].as_str().map(str::to_owned)
}

pub(crate) async fn the_scheduler_catches_up_by_itself(stage: &Stage) {
    let feed = Feed::new(seed(SEED + 1), 10, 40);
    let api = Api::serve(&feed.sim).await;
    let place = stage.place("by-itself").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let mut settings = api.settings();
    settings.push(("RELINK_CATCH_UP_SILENCE_SECONDS", "1".to_owned()));
    let worker = place.start("worker", &["worker"], &settings).await;
    let scheduler = place.start("scheduler", &["scheduler"], &settings).await;
    settled(&database, &mut foreign, feed.events.len(), true).await;
    // Events that come to nobody's ears while it runs.
    let linked = feed.sim.link(Link::of("cus_late", "Harbor Federal Bank", 2)).unwrap();
    let ended = feed.sim.expire(&linked.authorization.unwrap()).unwrap();
    let all = feed.events.len() + linked.events.len() + ended.events.len();
    settled(&database, &mut foreign, all, true).await;
    assert!(scheduler.metric("relink_catch_up_events_total").await > 0.0);
    for id in &linked.accounts {
        assert_eq!(Picture::of(&database).await.accounts[id].status, "inactive");
    }
    for role in [worker, scheduler] {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
}

pub(crate) async fn what_stripe_never_told_is_found_by_reading(stage: &Stage) {
    let sim =
        Sim::new(SimConfig { livemode: true, api_key: API_KEY.into(), ..SimConfig::default() });
    let linked: Vec<_> = (0..5)
        .map(|n| sim.link(Link::of(&format!("cus_{n}"), "Harbor Federal Bank", 2)).unwrap())
        .collect();
    let api = Api::serve(&sim).await;
    let place = stage.place("silently").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let settings = place.settings(&api.settings());
    let worker = place.start("worker", &["worker"], &api.settings()).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;

    backfill_fills(
        &place,
        &settings,
        &database,
        &linked.iter().flat_map(|one| &one.accounts).collect(),
    )
    .await;
    assert_eq!(events_in_inbox(&database).await, 0, "no event had a part in it");

    // From now on Stripe makes no event at all.
    sim.set_delivery(DeliveryChange { unmade: Some(1.0), ..DeliveryChange::default() }).unwrap();
    let broken = &linked[3];
    let authorization = broken.authorization.clone().unwrap();
    assert!(sim.expire(&authorization).unwrap().events.is_empty());
    let shown = operator(&["reconcile", "--once", "--json"], &settings).await;
    assert_eq!(summary(&shown)["to_read"], 10, "{shown}");
    let read = operator(&["reconcile", "--once", "--write", "--json"], &settings).await;
    assert_eq!(summary(&read)["read"], 10, "{read}");
    until(async || {
        let picture = Picture::of(&database).await;
        let inactive = picture.accounts.values().filter(|one| one.status == "inactive").count();
        match picture.authorizations[&authorization].clone() {
            (health, true) if health == "relink_required" && inactive == 2 => Ok(()),
            other => Err(format!("{inactive} are inactive, {authorization} is {other:?}")),
        }
    })
    .await;
    settled(&database, &mut foreign, 0, true).await;
    for role in [worker, scheduler] {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
}

async fn backfill_fills(
    place: &Place,
    settings: &Settings,
    database: &tokio_postgres::Client,
    accounts: &BTreeSet<&String>,
) {
    let file = place.folder.join("holders.txt");
    std::fs::write(&file, "# holders\ncus_0\ncus_1\n\ncus_2\ncus_3\ncus_4\ncus_nobody\n").unwrap();
    let file = file.to_str().unwrap();
    let shown = operator(&["backfill", file, "--json"], settings).await;
    assert_eq!(summary(&shown)["accounts"], 10, "{shown}");
    assert!(Picture::of(database).await.accounts.is_empty(), "nothing was published");
    let written = operator(&["backfill", file, "--write"], settings).await;
    assert!(written.contains("10 accounts of 6 holders published"), "{written}");
    until(async || {
        let picture = Picture::of(database).await;
        let known = picture.accounts.keys().collect::<BTreeSet<_>>();
        if known == *accounts { Ok(()) } else { Err(format!("{} accounts", known.len())) }
    })
    .await;
}

pub(crate) async fn standalone_catches_up_by_itself(stage: &Stage) {
    let sim = Sim::new(SimConfig::default());
    let api = Api::serve(&sim).await;
    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 2)).unwrap();
    sim.expire(&linked.authorization.unwrap()).unwrap();
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    let mut settings = api.settings();
    settings.extend([
        ("RELINK_STRIPE_API_KEY", "sk_test_sim".to_owned()),
        ("RELINK_SETTLE_SECONDS", "0".to_owned()),
        ("RELINK_DATABASE_URL", database),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", free_address().to_string()),
        ("RELINK_CATCH_UP_SILENCE_SECONDS", "1".to_owned()),
    ]);
    let role = start(stage.folder(), "standalone", &["standalone"], settings.clone()).await;
    until(async || match role.process.out().matches("relink.prompt_relink.v1").count() {
        0 => Err("no prompt yet".to_owned()),
        _ => Ok(()),
    })
    .await;
    let shown = operator(&["catch-up", "--json"], &settings).await;
    assert_eq!(summary(&shown)["known"], 4, "{shown}");
    for arguments in [&["catch-up", "--write"][..], &["reconcile", "--once", "--write"]] {
        let output = run(arguments, &settings).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("relink standalone"), "{said}");
    }
    role.process.stop().await;
}
