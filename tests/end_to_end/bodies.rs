//! Every body of the reference goes through ingress, broker and worker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use relink_tests::captured::Captured;
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::http::Connection;
use relink_tests::ledger::{nothing_is_left, settled};
use relink_tests::process::free_address;
use relink_tests::send::{TRACEPARENT, post};
use relink_tests::stage::Stage;
use serde_json::{Value, json};

pub(crate) async fn every_example_body_goes_through(stage: &Stage) {
    let examples = examples();
    assert_eq!(examples.len(), 47);
    // One event is among them twice, once as Amazon EventBridge wraps it.
    let ids: BTreeSet<String> = examples.iter().map(|body| id_of(body)).collect();
    assert_eq!(ids.len(), 46);
    let place = stage.place("bodies").await;
    place.migrate().await;
    let consumer = Consumer::bind(&place, "relink.events", "#").await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let ingress = place.ingress(free_address()).await;
    let worker = place.start("worker", &["worker"], &[]).await;
    let scheduler = place.start("scheduler", &["scheduler"], &[]).await;

    let mut connection = Connection::open(ingress.listen).await.unwrap();
    for body in &examples {
        let answer = post(&mut connection, body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    settled(&database, &mut foreign, ids.len(), false).await;
    let sql = "SELECT id, count(*) FROM inbox GROUP BY id";
    let rows = database.query(sql, &[]).await.unwrap();
    let inbox: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let once = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(inbox, once, "each id is in the inbox once");
    for role in [ingress, worker, scheduler] {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;

    let seen = consumer.finish().await;
    assert_eq!(seen.len(), examples.len());
    // One connection, so that they travel in the order in which they were sent.
    for (message, body) in seen.iter().zip(&examples) {
        assert_eq!(message.id, Some(id_of(body)));
        is_what_was_sent(message, body);
    }
}

fn examples() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/stripe/fixtures/events");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| std::fs::read(path).unwrap()).collect()
}

fn id_of(body: &[u8]) -> String {
    event(body)["id"].as_str().unwrap().to_owned()
}

/// The event, whatever is wrapped around it.
fn event(body: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    if body["detail"].is_object() { body["detail"].take() } else { body }
}

fn is_what_was_sent(message: &Captured, body: &[u8]) {
    let (event, seen) = (event(body), &message.properties);
    let kind = event["type"].as_str().unwrap();
    assert_eq!(message.body, body, "{kind}: byte for byte");
    assert_eq!(seen["type"], kind);
    assert_eq!(message.routing_key, kind.strip_prefix("v1.").unwrap_or(kind));
    assert_eq!(seen["app_id"], "relink");
    assert_eq!(seen["content_type"], "application/json");
    assert_eq!(seen["delivery_mode"], 2, "{kind}: persistent");
    // A thin event's time is a text with milliseconds; all examples of them are of that second.
    let created = if event["created"].is_i64() { &event["created"] } else { &seen["timestamp"] };
    assert_eq!(&seen["timestamp"], created, "{kind}");
    assert!(seen["timestamp"].as_i64().unwrap() > 1_700_000_000, "{kind}");
    let headers = &seen["headers"];
    assert_eq!(headers["relink-livemode"], event["livemode"], "{kind}");
    assert_eq!(headers["relink-api-version"], event["api_version"], "{kind}");
    let account = if event["account"].is_null() { &event["context"] } else { &event["account"] };
    assert_eq!(headers["relink-stripe-account"], *account, "{kind}");
    assert_eq!(headers["traceparent"], json!(TRACEPARENT), "{kind}");
    assert!(headers["relink-received-at"].as_i64().unwrap() > 1_700_000_000_000, "{kind}");
}
