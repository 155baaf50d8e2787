//! Catching up: what is published, what is only told, and what a bus that takes nothing leads to.

use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use prometheus::Registry;
use relink_bus::message::{Delivery, Headers, Message, Receipt};
use relink_bus::port::{ParkReason, Parked, Parking, PublishError, Publisher};
use relink_bus::topology::WorkQueue;
use relink_core::time::Second;
use relink_engine::clock::SystemClock;
use relink_engine::parked::StoreLot;
use relink_sim::{Link, PREVIEW_VERSION, Sim, SimConfig};
use relink_sqlite::SqliteStore;
use relink_stripe::client::{Budget, Client, ClientConfig};
use relink_worker_followup::catch_up::{CatchUp, CatchUpError, Found, Since, register};
use tokio::net::TcpListener;

/// Three pages of Stripe's list.
const ACCOUNTS: usize = 230;

/// Takes the first so many messages.
struct Taker {
    room: usize,
    taken: Mutex<Vec<Message>>,
}

#[async_trait]
impl Publisher for Taker {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let mut taken = self.taken.lock().unwrap();
        if taken.len() >= self.room {
            return Err(PublishError::Away);
        }
        taken.push(message);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        true
    }
}

async fn catch_up(sim: &Sim, room: Option<usize>) -> (CatchUp, Option<Arc<Taker>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = sim.clone();
    tokio::spawn(async move { server.serve(listener, pending()).await });
    let config = ClientConfig::new(base, "sk_test_sim".into(), PREVIEW_VERSION);
    let taker = room.map(|room| Arc::new(Taker { room, taken: Mutex::default() }));
    let catch_up = CatchUp {
        client: Client::new(config).unwrap(),
        budget: Arc::new(Budget::new(2000.0)),
        store: Arc::new(SqliteStore::in_memory().unwrap()),
        lot: None,
        publisher: taker.clone().map(|taker| taker as Arc<dyn Publisher>),
        wall: Arc::new(SystemClock),
        waiting: relink_worker_followup::quietly,
        events: register(&Registry::new()).unwrap(),
    };
    (catch_up, taker)
}

const EVER: Since = Since { undelivered: Second(0), all: Second(0) };

#[tokio::test]
async fn every_page_is_published_once_as_the_ingress_would() {
    let sim = Sim::new(SimConfig::default());
    sim.link(Link::of("cus_1", "Harbor Federal Bank", ACCOUNTS)).unwrap();
    let (catch_up, taker) = catch_up(&sim, Some(usize::MAX)).await;
    let found = catch_up.run(EVER, |_| {}).await.unwrap();
    assert_eq!(found, Found { known: 0, missed: 230, refused: 0 });
    assert_eq!(catch_up.events.with_label_values(&["published"]).get(), 230);
    let taken = taker.unwrap().taken.lock().unwrap().clone();
    assert_eq!(taken.len(), ACCOUNTS, "listed twice, published once");
    let newest = sim.events().last().cloned().unwrap();
    let message = &taken[0];
    assert_eq!(*message.id, newest["id"]);
    assert_eq!(&*message.routing_key, "financial_connections.account.created");
    assert_eq!((message.mandatory, message.also_to), (true, None));
    assert_eq!(message.headers.livemode, Some(false));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&message.body).unwrap(), newest);
}

#[tokio::test]
async fn without_a_publisher_it_only_tells() {
    let sim = Sim::new(SimConfig::default());
    sim.link(Link::of("cus_1", "Harbor Federal Bank", 2)).unwrap();
    let (catch_up, _) = catch_up(&sim, None).await;
    let mut told = Vec::new();
    let found = catch_up.run(EVER, |missed| told.push(missed.id.clone())).await.unwrap();
    assert_eq!((found.missed, told.len()), (2, 2));
    let future = Second(sim.now_unix_s() + 60);
    let since = Since { undelivered: future, all: future };
    assert_eq!(catch_up.run(since, |_| {}).await.unwrap(), Found::default());
}

#[tokio::test]
async fn a_bus_that_takes_no_more_ends_it_and_the_next_one_begins_anew() {
    let sim = Sim::new(SimConfig::default());
    sim.link(Link::of("cus_1", "Harbor Federal Bank", ACCOUNTS)).unwrap();
    let (catch_up, taker) = catch_up(&sim, Some(120)).await;
    let ended = catch_up.run(EVER, |_| {}).await;
    assert_eq!(ended, Err(CatchUpError::Bus(PublishError::Away)));
    assert_eq!(taker.unwrap().taken.lock().unwrap().len(), 120);
}

#[tokio::test]
async fn what_is_parked_is_not_fetched_again() {
    let sim = Sim::new(SimConfig::default());
    sim.link(Link::of("cus_1", "Harbor Federal Bank", 3)).unwrap();
    let (mut catch_up, taker) = catch_up(&sim, Some(usize::MAX)).await;
    let event = sim.events()[1].clone();
    let parked = Parked {
        queue: WorkQueue::Lifecycle.name(),
        delivery: Delivery {
            receipt: Receipt { generation: 0, tag: 0 },
            id: Some(event["id"].as_str().unwrap().into()),
            kind: Some(event["type"].as_str().unwrap().into()),
            routing_key: "k".into(),
            timestamp_unix_s: event["created"].as_i64(),
            correlation: None,
            headers: Headers::default(),
            redelivered: false,
            body: Bytes::new(),
        },
        parking: Parking::new(ParkReason::Constraint, "for a test"),
        first_failed_at_unix_ms: 1,
        last_failed_at_unix_ms: 2,
    };
    catch_up.store.park(parked).await.unwrap();
    let store = Arc::clone(&catch_up.store);
    catch_up.lot = Some(Arc::new(StoreLot { store, clock: Arc::new(SystemClock) }));
    let found = catch_up.run(EVER, |_| {}).await.unwrap();
    assert_eq!(found.missed, 2);
    let taken = taker.unwrap().taken.lock().unwrap().clone();
    assert!(taken.iter().all(|message| *message.id != event["id"]));
}
