//! A foreign publisher sends what no parser should meet, in one batch with good events.

use std::collections::BTreeMap;

use relink_tests::feed::Feed;
use relink_tests::foreign::Foreign;
use relink_tests::ledger::{Picture, settled, verdicts};
use relink_tests::stage::Stage;
use serde_json::{Value, json};

/// Of an authorization with more accounts, those beyond are parked.
const ACCOUNTS_MAX: usize = 200;

const CREATED: &str = "financial_connections.account.created";
const DEACTIVATED: &str = "financial_connections.account.deactivated";

fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-09-30.preview", "created": 1_793_581_200,
        "data": { "object": object }, "livemode": true, "type": kind,
    })
}

fn account(id: &str, authorization: &str) -> Value {
    json!({
        "id": id, "object": "financial_connections.account", "authorization": authorization,
        "status": "active", "status_details": {}, "livemode": true,
    })
}

/// What must be parked: by message id, its key, its body and the reason.
fn bad() -> Vec<(&'static str, &'static str, Vec<u8>, &'static str)> {
    let good = event("evt_bad", CREATED, &account("fca_bad", "fcauth_bad"));
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string().into_bytes()
    };
    let huge = good.to_string().replace("1793581200", "99999999999999999999999999");
    let endless = good.to_string().replace("1793581200", "1e999");
    let twice = good.to_string().replace("\"fca_bad\"", "\"fca_bad\",\"id\":\"fca_worse\"");
    vec![
        ("an id twice", CREATED, twice.into_bytes(), "unparsable"),
        ("not JSON", CREATED, b"<xml/>".to_vec(), "unparsable"),
        ("empty", CREATED, vec![], "unparsable"),
        ("not UTF-8", CREATED, vec![b'{', 0xff, b'}'], "unparsable"),
        ("a list", CREATED, b"[1, 2]".to_vec(), "unparsable"),
        ("deep", CREATED, [vec![b'['; 100_000], vec![b']'; 100_000]].concat(), "unparsable"),
        ("no id", CREATED, with("/id", Value::Null), "no_id"),
        ("id with a blank", CREATED, with("/id", json!("evt 1")), "no_id"),
        (
            "another kind",
            DEACTIVATED,
            with("/data/object/object", json!("financial_connections.authorization")),
            "impossible",
        ),
        (
            "NUL in the account's id",
            CREATED,
            with("/data/object/id", json!("fca_\0")),
            "impossible",
        ),
        ("no object", CREATED, with("/data/object", Value::Null), "impossible"),
        ("before 1970", CREATED, with("/created", json!(-1)), "impossible"),
        ("huge created", CREATED, huge.into_bytes(), "impossible"),
        ("endless created", CREATED, endless.into_bytes(), "unparsable"),
    ]
}

pub(crate) async fn bad_input_is_parked_and_its_mates_are_applied(stage: &Stage) {
    let feed = Feed::new(4, 20, 80);
    let place = stage.place("bad-input").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    // Before the worker starts, so that good and bad come in the same batches.
    for event in &feed.events {
        foreign.publish_event(&event.kind, &event.body, &Value::Null).await;
    }
    for (id, key, body, _) in bad() {
        foreign.publish_event(key, &body, &json!({ "message_id": id })).await;
    }
    let crowd: Vec<String> = (0..250).map(|n| format!("fca_crowd{n:03}")).collect();
    for id in &crowd {
        let body = event(&format!("evt_{id}"), CREATED, &account(id, "fcauth_crowd"));
        let body = body.to_string().into_bytes();
        foreign
            .publish_event(CREATED, &body, &json!({ "message_id": format!("crowd {id}") }))
            .await;
    }
    let mut nul = event("evt_nul", CREATED, &account("fca_nul", "fcauth_nul"));
    nul["data"]["object"]["display_name"] = json!("Every\0day");
    nul["data"]["object"]["created"] = json!(i64::MAX);
    foreign.publish_event(CREATED, &nul.to_string().into_bytes(), &Value::Null).await;
    let unknown = event("evt_unknown", "financial_connections.account.teleported", &json!({}));
    foreign.publish_event("relink.unknown", &unknown.to_string().into_bytes(), &Value::Null).await;

    let worker = place.start("worker", &["worker"], &[]).await;
    let events = feed.events.len() + ACCOUNTS_MAX + 2;
    let scheduler = place.start("scheduler", &["scheduler"], &[]).await;
    settled(&database, &mut foreign, events, false).await;
    let parked_count = worker.metric("relink_worker_parked_total").await;
    for role in [worker, scheduler] {
        role.process.stop().await;
    }
    let picture = Picture::of(&database).await;
    for id in feed.accounts() {
        assert!(picture.accounts.contains_key(&id), "{id} shared a batch with bad input");
    }
    assert_eq!(picture.accounts["fca_nul"].status, "active", "only the text counts as not carried");
    let crowded = picture.accounts.keys().filter(|id| id.starts_with("fca_crowd")).count();
    assert_eq!(crowded, ACCOUNTS_MAX);
    assert_eq!(verdicts(&database).await["ignored(unknown_type)"], 1);

    let mut expected: BTreeMap<String, String> =
        bad().into_iter().map(|(id, _, _, reason)| (id.into(), reason.into())).collect();
    let mut too_many = 0;
    for message in foreign.take("relink.lifecycle.parked").await {
        let headers = &message.properties["headers"];
        let id = message.id.unwrap_or_default();
        let reason = headers["relink-park-reason"].as_str().unwrap_or_default();
        for header in ["relink-park-error", "relink-first-failed-at", "relink-last-failed-at"] {
            assert!(!headers[header].is_null(), "{id}: {header} is missing: {headers}");
        }
        if id.starts_with("crowd ") {
            assert_eq!(reason, "too_many_accounts");
            too_many += 1;
        } else {
            assert_eq!(expected.remove(&id).as_deref(), Some(reason), "{id}: {headers}");
        }
    }
    assert!(expected.is_empty(), "not parked: {expected:?}");
    assert_eq!(too_many, crowd.len() - ACCOUNTS_MAX);
    assert_eq!(parked_count, (bad().len() + too_many) as f64);
}
