//! A bus with parked messages, of either kind, and a person at a desk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relink_bus::in_process::{InProcessBus, Now};
use relink_bus::message::{
    CONTENT_TYPE_CLOUD_EVENT, CONTENT_TYPE_JSON, Delivery, Headers, Message,
};
use relink_bus::parked::{ParkedMessage, Walked};
use relink_bus::port::{
    ParkReason, Parked, Parking, ParkingLot, Publisher, Settlement, Subscriber,
};
use relink_bus::topology::{Exchange, WorkQueue};
use relink_engine::clock::SystemClock;
use relink_engine::consume::Decode;
use relink_engine::parked::{Desk, DropReason, Listed, ParkedFilter, Reach, Requeuer, StoreLot};
use relink_engine::store::Store;
use relink_rabbitmq::{RabbitConfig, RabbitParked, RabbitPublisher, RabbitSubscriber, declare};
use relink_sqlite::SqliteStore;
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// As far as it goes.
pub(crate) const ALL: Reach = Reach { at_most: usize::MAX, looked_at: usize::MAX };

/// When every event was made: 2026-10-27 in UTC.
pub(crate) const CREATED_S: i64 = 1_793_100_000;

pub(crate) struct World {
    publisher: Arc<dyn Publisher>,
    subscribers: Vec<(WorkQueue, Arc<dyn Subscriber>)>,
    pub(crate) desk: Desk,
    /// Another process.
    pub(crate) patient: Desk,
    /// One more, which waits for nobody.
    pub(crate) hasty: Desk,
    pub(crate) store: Arc<dyn Store>,
    _requeuer: Option<Stopping>,
}

/// Ends a task with the value.
struct Stopping(JoinHandle<()>);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct InStore(Arc<dyn Store>);

#[async_trait::async_trait]
impl ParkingLot for InStore {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.0.park(parked).await.map_err(|error| error.to_string())
    }
}

fn decode(queue: WorkQueue) -> Option<Decode> {
    match queue {
        WorkQueue::Lifecycle => Some(relink_worker_lifecycle::decode),
        WorkQueue::Upcoming => Some(relink_worker_upcoming::decode),
        WorkQueue::Followup => None,
    }
}

impl World {
    /// A single process over a database in memory.
    pub(crate) fn embedded() -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let lot: Arc<dyn ParkingLot> = Arc::new(InStore(Arc::clone(&store)));
        let now: Now = Arc::new(|| relink_engine::clock::Clock::now(&SystemClock).0);
        let (bus, subscribers) = InProcessBus::new(&WorkQueue::ALL, &lot, 1.0, &now);
        let requeuer = Requeuer { store: Arc::clone(&store), bus: Arc::new(bus.clone()) };
        let requeuer = tokio::spawn(requeuer.run(CancellationToken::new()));
        let subscribers = WorkQueue::ALL.into_iter().zip(subscribers);
        let desk = Desk {
            lot: Arc::new(StoreLot { store: Arc::clone(&store), clock: Arc::new(SystemClock) }),
            store: Some(Arc::clone(&store)),
            decode,
            clock: Arc::new(SystemClock),
        };
        Self {
            publisher: Arc::new(bus),
            subscribers: subscribers
                .map(|(queue, one)| (queue, one as Arc<dyn Subscriber>))
                .collect(),
            patient: desk.clone(),
            hasty: desk.clone(),
            desk,
            store,
            _requeuer: Some(Stopping(requeuer)),
        }
    }

    /// A virtual host of its own; the ledger is in memory here as well.
    pub(crate) async fn rabbitmq(stage: &Stage) -> Self {
        let place = stage.place("parked").await;
        let config = RabbitConfig::new(&place.amqp_url).unwrap();
        declare(&config).await.unwrap();
        let publisher = Arc::new(RabbitPublisher::new(config.clone()));
        until(async || publisher.is_ready().then_some(()).ok_or("no publisher".to_owned())).await;
        let subscriber = |queue| {
            let one: Arc<dyn Subscriber> = Arc::new(RabbitSubscriber::new(config.clone(), queue));
            (queue, one)
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().unwrap());
        let desk = |lot: RabbitParked| Desk {
            lot: Arc::new(lot),
            store: Some(Arc::clone(&store)),
            decode,
            clock: Arc::new(SystemClock),
        };
        Self {
            publisher,
            subscribers: WorkQueue::ALL.into_iter().map(subscriber).collect(),
            desk: desk(RabbitParked::new(config.clone())),
            patient: desk(RabbitParked::new(config.clone())),
            hasty: desk(RabbitParked::new(config).with_patience(Duration::ZERO)),
            store,
            _requeuer: None,
        }
    }

    fn subscriber(&self, queue: WorkQueue) -> &Arc<dyn Subscriber> {
        &self.subscribers.iter().find(|(known, _)| *known == queue).unwrap().1
    }

    /// Exactly so many deliveries of a queue, which must come.
    pub(crate) async fn deliveries(&self, queue: WorkQueue, count: usize) -> Vec<Delivery> {
        let mut all = Vec::new();
        while all.len() < count {
            let batch = self.subscriber(queue).next_batch(count - all.len(), Duration::ZERO);
            let batch = tokio::time::timeout(relink_tests::wait::DEADLINE, batch).await;
            all.extend(batch.expect("a delivery").unwrap());
        }
        all
    }

    pub(crate) async fn settle(&self, queue: WorkQueue, of: &[Delivery], how: &Settlement) {
        let settlements = of.iter().map(|one| (one.receipt, how.clone())).collect();
        self.subscriber(queue).settle(settlements).await;
    }

    /// Publishes messages of a queue and lets its worker park them for a reason.
    pub(crate) async fn park(&self, messages: Vec<Message>, queue: WorkQueue, reason: ParkReason) {
        let count = messages.len();
        let before = self.list(&ParkedFilter::default()).await.total();
        let publisher = Arc::clone(&self.publisher);
        let publishing = tokio::spawn(async move { publisher.publish_all(messages).await });
        let deliveries = self.deliveries(queue, count).await;
        let parking = Parking::new(reason, "for a test");
        self.settle(queue, &deliveries, &Settlement::Park(parking)).await;
        assert!(publishing.await.unwrap().iter().all(Result::is_ok));
        self.until_parked(before + u64::try_from(count).unwrap()).await;
    }

    /// Parks events with these ids, each in its place.
    pub(crate) async fn park_events(&self, ids: &[&str]) {
        for id in ids {
            self.park(vec![event(id)], WorkQueue::Lifecycle, ParkReason::Constraint).await;
        }
    }

    pub(crate) async fn until_parked(&self, count: u64) {
        until(async || match self.list(&ParkedFilter::default()).await.total() {
            found if found == count => Ok(()),
            found => Err(format!("{found} are parked, not {count}")),
        })
        .await;
    }

    pub(crate) async fn list(&self, filter: &ParkedFilter) -> Listed {
        self.desk.list(filter, ALL).await.unwrap()
    }

    /// The ids of the messages that a filter means, in order.
    pub(crate) async fn ids(&self, filter: &ParkedFilter) -> Vec<String> {
        let listed = self.list(filter).await;
        listed.messages.iter().map(|one| one.delivery.id.as_deref().unwrap_or("–").into()).collect()
    }

    pub(crate) async fn one(&self, id: &str) -> ParkedMessage {
        let mut found = self.desk.show(id, ALL).await.unwrap();
        assert_eq!(found.len(), 1, "{id}");
        found.remove(0)
    }

    pub(crate) async fn requeue(&self, filter: &ParkedFilter, reach: Reach) -> u64 {
        finished(&self.desk.requeue(filter, reach, Duration::ZERO, &mut |_| {}).await)
    }

    pub(crate) async fn drop_all(&self, filter: &ParkedFilter) -> u64 {
        let reason = DropReason::new("it was a test").unwrap();
        finished(&self.desk.drop_messages(filter, ALL, &reason, &mut |_| {}).await)
    }
}

fn finished(walked: &Walked) -> u64 {
    assert_eq!(walked.trouble, None);
    walked.carried_out
}

/// An event as ingress publishes it, about an account of its own.
pub(crate) fn event(id: &str) -> Message {
    let body = body(id).to_string();
    Message { body: body.into(), ..raw(id, Bytes::new()) }
}

pub(crate) fn body(id: &str) -> Value {
    let object = json!({
        "id": "fca_1", "object": "financial_connections.account", "authorization": "fcauth_1",
        "status": "active", "status_details": {}, "livemode": true,
    });
    json!({
        "id": id, "object": "event", "api_version": "2026-09-30.preview", "created": CREATED_S,
        "data": { "object": object }, "livemode": true,
        "type": "financial_connections.account.created",
    })
}

/// One whose body is something else.
pub(crate) fn raw(id: &str, body: Bytes) -> Message {
    let kind: Arc<str> = "financial_connections.account.created".into();
    Message {
        exchange: Exchange::Events,
        routing_key: Arc::clone(&kind),
        also_to: None,
        mandatory: true,
        id: id.into(),
        kind,
        timestamp_unix_s: CREATED_S,
        correlation: None,
        content_type: CONTENT_TYPE_JSON,
        headers: Headers {
            livemode: Some(true),
            traceparent: Some("00-1-2-01".into()),
            received_at_unix_ms: Some(7),
            ..Headers::default()
        },
        body,
    }
}

/// A command of the followup queue.
pub(crate) fn command(id: &str) -> Message {
    let kind: Arc<str> = "relink.verify_accounts.v1".into();
    let body = json!({
        "specversion": "1.0", "id": id, "source": "/relink/live", "type": kind,
        "subject": "fcauth_1", "time": "2026-10-27T00:00:00Z",
        "datacontenttype": "application/json", "data": { "accounts": [] },
    });
    Message {
        exchange: Exchange::Commands,
        routing_key: Arc::clone(&kind),
        kind,
        correlation: Some("evt_0".into()),
        content_type: CONTENT_TYPE_CLOUD_EVENT,
        body: body.to_string().into(),
        ..raw(id, Bytes::new())
    }
}
