//! How webhooks travel.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use relink_sim::{Delivery, GA_VERSION, Link, PREVIEW_VERSION, SimConfig};
use serde_json::json;
use sha2::Sha256;

use crate::harness::{Receiver, Running, START, Schemas, flush, still};

fn to(receiver: &Receiver, delivery: Delivery) -> SimConfig {
    SimConfig { webhook_url: Some(receiver.url.clone()), delivery, ..still() }
}

#[tokio::test]
async fn a_webhook_is_signed_with_the_real_time_and_stamped_with_the_simulated() {
    let receiver = Receiver::start(0).await;
    let running = Running::start(to(&receiver, Delivery::default())).await;
    let before = jiff::Timestamp::now().as_second();
    running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    flush(&running.sim).await;

    let arrival = receiver.arrivals().remove(0);
    assert_eq!(arrival.body["created"], START);
    Schemas::of(PREVIEW_VERSION).check_event(&arrival.body);
    let (time, signature) = arrival.signature.split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    assert!((before..before + 60).contains(&time.parse().unwrap()));

    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_sim").unwrap();
    mac.update(&[time.as_bytes(), b".", &arrival.bytes].concat());
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(signature, format!("v1={hex}"));
}

#[tokio::test]
async fn a_refused_webhook_is_tried_again_until_it_is_accepted() {
    let receiver = Receiver::start(2).await;
    let retry_first = Duration::from_millis(5);
    let running =
        Running::start(to(&receiver, Delivery { retry_first, ..Delivery::default() })).await;
    let change = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    flush(&running.sim).await;
    let attempts: Vec<_> = running.sim.deliveries().iter().map(|a| (a.attempt, a.status)).collect();
    assert_eq!(attempts, [(1, Some(503)), (2, Some(503)), (3, Some(200))]);
    assert!(running.sim.delivered().contains(&change.events[0]));
}

#[tokio::test]
async fn a_webhook_that_is_never_accepted_ends_and_can_be_sent_again() {
    let receiver = Receiver::start(2).await;
    let delivery =
        Delivery { retry_first: Duration::from_millis(1), retries: 1, ..Delivery::default() };
    let running = Running::start(to(&receiver, delivery)).await;
    let change = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    flush(&running.sim).await;
    assert_eq!(receiver.ids().len(), 2);
    let path = "/v1/events?delivery_success=false";
    let undelivered = running.get(path, PREVIEW_VERSION).await.body;
    assert_eq!(undelivered["data"][0]["id"], change.events[0].as_str());

    running.control("redeliver", json!({ "event": change.events[0] })).await;
    flush(&running.sim).await;
    assert_eq!(receiver.ids().len(), 3);
    assert_eq!(running.get(path, PREVIEW_VERSION).await.body["data"], json!([]));
}

#[tokio::test]
async fn duplicates_twins_and_losses_happen_as_often_as_asked() {
    let receiver = Receiver::start(0).await;
    let delivery = Delivery {
        duplicate: 1.0,
        twin: 1.0,
        max_delay: Duration::from_millis(20),
        ..Delivery::default()
    };
    let running = Running::start(to(&receiver, delivery)).await;
    running.sim.link(Link::of("cus_1", "Harbor", 5)).unwrap();
    flush(&running.sim).await;
    let mut count = BTreeMap::new();
    receiver.ids().into_iter().for_each(|id| *count.entry(id).or_insert(0) += 1);
    assert_eq!(count.len(), 10, "five changes, two events each");
    assert!(count.values().all(|times| *times == 2), "{count:?}");

    let lose = json!({ "lose": 1.0, "twin": 0.0, "duplicate": 0.0 });
    running.control("delivery", lose).await;
    let lost = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    flush(&running.sim).await;
    assert_eq!(receiver.ids().len(), 20);
    assert_eq!(running.sim.events().last().unwrap()["id"], lost.events[0].as_str());

    running.control("delivery", json!({ "unmade": 1.0 })).await;
    assert!(running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap().events.is_empty());
    assert_eq!(running.control("delivery", json!({ "lose": 1.5 })).await.status, 400);
}

#[tokio::test]
async fn one_at_a_time_keeps_the_order_and_reordering_breaks_it() {
    let run = async |reorder: f64| {
        let receiver = Receiver::start(0).await;
        let delivery = Delivery {
            reorder,
            concurrency: 1,
            max_delay: Duration::from_millis(50),
            ..Delivery::default()
        };
        let running = Running::start(to(&receiver, delivery)).await;
        let made = running.sim.link(Link::of("cus_1", "Harbor", 30)).unwrap().events;
        flush(&running.sim).await;
        (made, receiver.ids())
    };
    let (made, arrived) = run(0.0).await;
    assert_eq!(made, arrived);
    let (made, arrived) = run(0.5).await;
    assert_ne!(made, arrived);
    let sets: [HashSet<String>; 2] = [made, arrived].map(|ids| ids.into_iter().collect());
    assert_eq!(sets[0], sets[1]);
}

#[tokio::test]
async fn thin_destinations_get_thin_notifications_of_the_types_that_have_them() {
    let receiver = Receiver::start(0).await;
    let delivery = Delivery { thin: true, concurrency: 1, ..Delivery::default() };
    let running = Running::start(to(&receiver, delivery)).await;
    let linked = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    running.sim.warn(linked.authorization.as_deref().unwrap(), START + 1, None).unwrap();
    flush(&running.sim).await;
    let arrivals = receiver.arrivals();
    let schemas = Schemas::of(PREVIEW_VERSION);
    schemas.check_thin(&arrivals[0].body);
    schemas.check_thin(&arrivals[1].body);
    assert_eq!(arrivals[0].body["created"], "2026-11-02T01:00:00.000Z");
    assert_eq!(arrivals[0].body["snapshot_event"], linked.events[0].as_str());
    assert_eq!(arrivals[0].body["related_object"]["id"], linked.accounts[0].as_str());
    schemas.check_event(&arrivals[2].body);
}

#[tokio::test]
async fn the_control_api_drives_it_all() {
    let receiver = Receiver::start(0).await;
    let running = Running::start(still()).await;
    let knobs = json!({ "webhook_url": receiver.url, "webhook_version": GA_VERSION });
    assert_eq!(running.control("delivery", knobs).await.status, 200);
    let link = json!({ "holder": "cus_1", "accounts": [{ "last4": "1234" }, {}] });
    let linked = running.control("link", link).await.body;
    let authorization = &linked["authorization"]["id"];
    let body = json!({ "authorization": authorization });
    let expired = running.control("expire", body.clone()).await.body;
    assert_eq!(expired["accounts"][1]["status"], "inactive");
    let relinked = running.control("relink", body).await.body;
    assert_eq!(relinked["authorization"]["status"], "active");
    assert_eq!(running.control("flush", json!({})).await.body["pending"], 0);
    let arrivals = receiver.arrivals();
    assert_eq!(arrivals.len(), 6);
    arrivals.iter().for_each(|arrival| Schemas::of(GA_VERSION).check_event(&arrival.body));

    assert_eq!(running.control("explode", json!({})).await.status, 400);
    assert_eq!(running.control("expire", json!({ "authorisation": "x" })).await.status, 400);
    let unknown = running.control("expire", json!({ "authorization": "fcauth_none" })).await;
    assert_eq!(unknown.status, 404);
}
