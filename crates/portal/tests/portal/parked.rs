//! Parked messages over the API.

use bytes::Bytes;
use relink_bus::message::{Delivery, Headers, Receipt};
use relink_bus::port::{ParkReason, Parked, Parking};
use relink_bus::topology::WorkQueue;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::api::Call;
use crate::stand::{READ_TOKEN, Stand, USUAL, WRITE_TOKEN, stand};

async fn park(stand: &Stand, id: &str, reason: ParkReason) {
    let body = json!({ "id": id, "client_secret": "fcsess_1_secret_x", "created": 1_793_100_000 });
    let delivery = Delivery {
        receipt: Receipt { generation: 0, tag: 0 },
        id: Some(id.into()),
        kind: Some("financial_connections.account.created".into()),
        routing_key: "financial_connections.account.created".into(),
        timestamp_unix_s: Some(1_793_100_000),
        correlation: None,
        headers: Headers { livemode: Some(true), ..Headers::default() },
        redelivered: false,
        body: Bytes::from(body.to_string()),
    };
    let parked = Parked {
        queue: WorkQueue::Lifecycle.name(),
        delivery,
        parking: Parking::new(reason, "for a test, sk_live_hunter2"),
        first_failed_at_unix_ms: 1_793_100_001_000,
        last_failed_at_unix_ms: 1_793_100_002_000,
    };
    stand.store.park(parked).await.unwrap();
}

fn messages(body: &Value) -> Vec<&str> {
    body["data"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn parked_messages_are_told_with_their_secrets_masked() {
    let stand = stand(USUAL).await;
    let call = Call::to(&stand).await;
    let (status, nothing) = call.get("parked").await;
    assert_eq!(
        (status, &nothing["total"], &nothing["complete"]),
        (StatusCode::OK, &json!(0), &json!(true))
    );
    park(&stand, "evt_1", ParkReason::Unparsable).await;
    park(&stand, "evt_2", ParkReason::Constraint).await;
    let (_, all) = call.get("parked?limit=1").await;
    assert_eq!((messages(&all), &all["total"]), (vec!["evt_1"], &json!(2)));
    assert_eq!(all["counts"].as_array().unwrap().len(), 2);
    let (_, some) = call.get("parked?parked_for=constraint&since=1793100002&type=financial*").await;
    assert_eq!(messages(&some), ["evt_2"]);
    let (_, none) = call.get("parked?queue=upcoming").await;
    assert_eq!(none["total"], 0);
    for wrong in [
        "parked?queue=other",
        "parked?limit=0",
        "parked?reason=x",
        "parked?parked_for=x",
        "parked?since=2&until=1",
    ] {
        assert_eq!(call.get(wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let (_, found) = call.get("parked/evt_1").await;
    assert_eq!(found["data"][0]["parked"]["error"], "for a test, •••");
    assert_eq!(found["data"][0]["body"]["client_secret"], "•••");
    let id = found["data"][0]["parked"]["id"].as_str().unwrap();
    assert_eq!(call.get(&format!("parked/{id}")).await.1, found);
    assert_eq!(call.get("parked/evt_9").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_who_may_write_changes_what_is_parked() {
    let stand = stand(USUAL).await;
    let call = Call::to(&stand).await;
    park(&stand, "evt_1", ParkReason::Unparsable).await;
    let body = json!({ "ids": ["evt_1"], "write": true, "reason": "x" });
    for path in ["parked/requeue", "parked/drop"] {
        let (status, _) = call.send(Method::POST, path, READ_TOKEN, Some(&body), None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        let (status, _) = call.send(Method::POST, path, "nobody", Some(&body), None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let wrong = [
        ("parked/requeue", json!({})),
        ("parked/requeue", json!({ "all": true, "ids": ["evt_1"] })),
        ("parked/requeue", json!({ "all": true, "limit": 501 })),
        ("parked/requeue", json!({ "all": true, "rate": 1 })),
        ("parked/drop", json!({ "all": true, "write": true })),
        ("parked/drop", json!({ "all": true, "write": true, "reason": " " })),
    ];
    for (path, body) in wrong {
        assert_eq!(call.post(path, &body, None).await.0, StatusCode::BAD_REQUEST, "{path} {body}");
    }
    let url = format!("{}/v1/parked/requeue", stand.url);
    let answer = stand.http.delete(url).bearer_auth(WRITE_TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(call.get("parked").await.1["total"], 1);
}

#[tokio::test]
async fn a_change_is_shown_first_and_then_made() {
    let stand = stand(USUAL).await;
    let call = Call::to(&stand).await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        park(&stand, id, ParkReason::Constraint).await;
    }
    let (_, shown) = call.post("parked/requeue", &json!({ "ids": ["evt_2"] }), None).await;
    assert_eq!((&shown["written"], messages(&shown)), (&json!(false), vec!["evt_2"]));
    assert_eq!(call.get("parked").await.1["total"], 3);
    assert_eq!(shown["not_found"], json!([]));
    let body = json!({ "ids": ["evt_4", "evt_2"], "write": true });
    let (_, made) = call.post("parked/requeue", &body, None).await;
    assert_eq!((&made["written"], messages(&made)), (&json!(true), vec!["evt_2"]));
    assert_eq!(made["not_found"], json!(["evt_4"]));
    assert_eq!(messages(&call.get("parked").await.1), ["evt_1", "evt_3"]);
    let counts = stand.store.parked_counts().await.unwrap();
    assert!(counts.iter().any(|one| one.is_marked && one.count == 1), "{counts:?}");

    let mut body = json!({ "parked_for": "constraint", "limit": 1, "reason": "made by a test" });
    let (_, shown) = call.post("parked/drop", &body, None).await;
    assert_eq!((&shown["written"], messages(&shown)), (&json!(false), vec!["evt_1"]));
    let few = json!({ "ids": ["evt_1", "evt_3"], "limit": 1 });
    let (_, shown) = call.post("parked/requeue", &few, None).await;
    assert_eq!((messages(&shown), &shown["not_found"]), (vec!["evt_1"], &json!([])));
    body["write"] = json!(true);
    assert_eq!(messages(&call.post("parked/drop", &body, None).await.1), ["evt_1"]);
    assert_eq!(messages(&call.get("parked").await.1), ["evt_3"]);
    let row = stand.store.inbox_row("evt_1").await.unwrap().unwrap();
    assert_eq!(row.verdict.as_str(), "ignored(dropped)");
    let told = stand.store.input_history(&row, 9).await.unwrap();
    assert!(told[0].note.ends_with("made by a test"), "{}", told[0].note);
}
