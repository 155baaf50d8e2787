//! One process: bus, store, engine, and hands on both clocks.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use prometheus::Registry;
use relink_bus::in_process::{InProcessBus, InProcessSubscriber, Now};
use relink_bus::message::Message;
use relink_bus::port::{Parked, ParkingLot, PublishError, Publisher as _, SubscribeError};
use relink_bus::topology::WorkQueue;
use relink_core::policy::Policy;
use relink_core::time::{Span, Time};
use relink_engine::clock::Clock;
use relink_engine::consume::{Consumer, Order};
use relink_engine::engine::Engine;
use relink_engine::metrics::{Figures, Metrics};
use relink_engine::outbox::Outbox;
use relink_engine::scheduler::Scheduler;
use relink_engine::store::Store;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bodies::CREATED_S;
use crate::faults::{FaultyStore, Wire};

pub(crate) const QUEUE: &str = "relink.lifecycle";

/// A clock that stands until it is turned.
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) fn turn(&self, span: Span) {
        self.0.fetch_add(span.0, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// Remembers what is parked and keeps it in the store.
pub(crate) struct Lot {
    pub(crate) parked: Mutex<Vec<Parked>>,
    store: Arc<FaultyStore>,
}

#[async_trait]
impl ParkingLot for Lot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.parked.lock().unwrap().push(parked.clone());
        self.store.park(parked).await.map_err(|error| error.to_string())
    }
}

pub(crate) struct Stand {
    pub(crate) bus: InProcessBus,
    pub(crate) subscriber: Arc<InProcessSubscriber>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) wire: Arc<Wire>,
    pub(crate) lot: Arc<Lot>,
    /// The clock of the rules.
    pub(crate) clock: Arc<Hands>,
    /// The clock of claims.
    pub(crate) wall: Arc<Hands>,
    pub(crate) engine: Engine,
    /// From how many inputs on a batch is decided in halves.
    pub(crate) halves_from: usize,
    /// How long a batch may fill.
    pub(crate) linger_max: Duration,
    /// How many batches are decided beside each other.
    pub(crate) at_once: usize,
}

/// A consumer at work.
pub(crate) struct Working {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), SubscribeError>>,
}

impl Working {
    /// Stops it and waits until it has ended.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

impl Stand {
    /// Prompts at once, so that one event leads to all its commands.
    pub(crate) fn new() -> Self {
        Self::with(Policy { settle: Span::ZERO, ..Policy::default() })
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let store = Arc::new(FaultyStore::new());
        let lot = Arc::new(Lot { parked: Mutex::default(), store: Arc::clone(&store) });
        let as_port: Arc<dyn ParkingLot> = lot.clone();
        let clock = Arc::new(Hands(AtomicI64::new(CREATED_S * 1000)));
        let wall = Arc::new(Hands(AtomicI64::new(CREATED_S * 1000)));
        let told = Arc::clone(&wall);
        let now: Now = Arc::new(move || told.now().0);
        let queues = [WorkQueue::Lifecycle];
        let (bus, mut subscribers) = InProcessBus::new(&queues, &as_port, 1.0, &now);
        let wire = Arc::new(Wire::new(bus.clone()));
        let metrics = Arc::new(Metrics::register(&Registry::new()).unwrap());
        let outbox = Outbox {
            store: store.clone(),
            publisher: wire.clone(),
            wall: wall.clone(),
            metrics: Arc::clone(&metrics),
            links: None,
        };
        let engine = Engine {
            database: relink_engine::engine::Availability::default(),
            store: store.clone(),
            policy: Arc::new(policy),
            clock: clock.clone(),
            outbox,
            metrics,
        };
        let subscriber = subscribers.remove(0);
        Self {
            bus,
            subscriber,
            store,
            wire,
            lot,
            clock,
            wall,
            engine,
            halves_from: usize::MAX,
            linger_max: Duration::ZERO,
            at_once: 1,
        }
    }

    pub(crate) fn consume(&self, order: Order) -> Working {
        let consumer = Consumer {
            queue: WorkQueue::Lifecycle,
            subscriber: self.subscriber.clone(),
            decode: relink_worker_lifecycle::decode,
            engine: self.engine.clone(),
            linger_max: self.linger_max,
            order,
            halves_from: self.halves_from,
            at_once: self.at_once,
        };
        let stop = CancellationToken::new();
        Working { task: tokio::spawn(consumer.run(stop.clone())), stop }
    }

    /// Publishes beside the test and lets the messages reach the queue.
    pub(crate) async fn send(
        &self,
        messages: Vec<Message>,
    ) -> JoinHandle<Vec<Result<(), PublishError>>> {
        let bus = self.bus.clone();
        let answers = tokio::spawn(async move { bus.publish_all(messages).await });
        settle_down().await;
        answers
    }

    /// Publishes all in one batch and waits until everything is done.
    pub(crate) async fn run(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let answers = self.send(messages).await;
        let working = self.consume(Order::PublishFirst);
        let answers = answers.await.unwrap();
        // Not stopped: that would close the queue, and tests go on with it.
        working.task.abort();
        settle_down().await;
        answers
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        let tick = Duration::from_secs(1);
        let figures = Figures::register(&Registry::new()).unwrap();
        Scheduler { engine: self.engine.clone(), figures, tick, retention_days: 35 }
    }

    pub(crate) async fn outbox_depth(&self) -> i64 {
        self.store.census().await.unwrap().outbox_depth
    }

    /// The verdict in the ledger.
    pub(crate) async fn verdict(&self, id: &str) -> Option<&'static str> {
        self.store.inbox_row(id).await.unwrap().map(|row| row.verdict.as_str())
    }

    pub(crate) fn counted(&self, verdict: &str) -> u64 {
        self.engine.metrics.verdicts.with_label_values(&[QUEUE, verdict]).get()
    }

    /// Ids and reasons of what was parked.
    pub(crate) fn parked(&self) -> Vec<(String, &'static str)> {
        let parked = self.lot.parked.lock().unwrap();
        let told = |one: &Parked| {
            let id = one.delivery.id.as_deref().unwrap_or_default().to_owned();
            (id, one.parking.reason.as_str())
        };
        parked.iter().map(told).collect()
    }
}

/// Lets every task run that can.
pub(crate) async fn settle_down() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
