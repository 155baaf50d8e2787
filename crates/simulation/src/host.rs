//! Starts the roles as the binary does, and starts them again when they were killed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use prometheus::Registry;
use relink_bus::in_process::{EmbeddedPublisher, InProcessBus, Now, Sink};
use relink_bus::port::{Parked, ParkingLot, Publisher, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_engine::claim::Claim;
use relink_engine::clock::Clock;
use relink_engine::consume::{Consumer, Order};
use relink_engine::engine::{Availability, Engine};
use relink_engine::metrics::{Figures, Metrics};
use relink_engine::outbox::Outbox;
use relink_engine::scheduler::Scheduler;
use relink_engine::store::Store;
use relink_ingress::{Ingress, IngressConfig, SIGNATURE_TOLERANCE_SECONDS};
use relink_stripe::client::{Budget, Client, ClientConfig};
use relink_stripe::signature::Verifier;
use relink_worker_followup::catch_up::{self, CatchUp};
use relink_worker_followup::{Duties, Followup, Observer};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::chance::Chance;
use crate::plan::Deployment;
use crate::port::publisher::{GatedPublisher, Platform};
use crate::port::store::GatedStore;
use crate::port::stripe::{GatedStripe, Replica};
use crate::port::subscriber::GatedSubscriber;
use crate::process::Process;
use crate::stage::Stage;

/// How often scheduler and relay look: seldom enough that quiet hours cost little.
const LOOK: Duration = Duration::from_secs(8);

/// How long no webhook comes before Stripe is asked.
const SILENCE: Duration = Duration::from_secs(120);

/// Reads a second; Stripe's own limit is 25.
const READS_PER_SECOND: f64 = 20.0;

/// The key the simulator accepts.
const API_KEY: &str = "sk_test_sim";

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Everything,
    Ingress,
    Worker,
    Scheduler,
}

/// All processes of a run.
pub(crate) struct Hosts {
    stage: Arc<Stage>,
    pub(crate) replica: Arc<Replica>,
    slots: Vec<Slot>,
    /// The endpoints that take webhooks now, with their processes.
    doors: Mutex<Vec<(String, Process, Router)>>,
}

/// A place where a process runs, life after life.
struct Slot {
    name: String,
    role: Role,
    skew_ms: Arc<AtomicI64>,
}

impl Hosts {
    pub(crate) fn new(stage: &Arc<Stage>) -> Arc<Self> {
        let slot = |name: String, role| Slot { name, role, skew_ms: Arc::default() };
        let many = |name: &'static str, role, count: usize| {
            (1..=count).map(move |number| slot(format!("{name}-{number}"), role))
        };
        let slots = match stage.plan.deployment {
            Deployment::Standalone => vec![slot("standalone".to_owned(), Role::Everything)],
            Deployment::Distributed { workers, schedulers } => many("ingress", Role::Ingress, 2)
                .chain(many("worker", Role::Worker, workers))
                .chain(many("scheduler", Role::Scheduler, schedulers))
                .collect(),
        };
        Arc::new(Self {
            stage: Arc::clone(stage),
            replica: Arc::default(),
            slots,
            doors: Mutex::default(),
        })
    }

    /// Keeps every process running, for as long as the run lasts.
    pub(crate) fn start(self: &Arc<Self>) {
        for slot in 0..self.slots.len() {
            let hosts = Arc::clone(self);
            tokio::spawn(async move { hosts.keep_running(slot).await });
        }
    }

    async fn keep_running(&self, slot: usize) {
        let Some(slot) = self.slots.get(slot) else { return };
        let chance = Chance::of(self.stage.plan.seed, &format!("{}/restart", slot.name));
        for life in 0.. {
            let process = Process::start(&self.stage, &slot.name, life, &slot.skew_ms);
            if let Err(error) = self.run(slot, &process) {
                self.stage.broken(format!("{} cannot start: {error}", slot.name));
                return;
            }
            process.died().await;
            self.doors().retain(|(name, _, _)| *name != slot.name);
            for line in process.lines() {
                line.die();
            }
            tokio::time::sleep(Duration::from_millis(chance.between(500, 20_000))).await;
        }
    }

    /// An endpoint that takes webhooks, if any does.
    pub(crate) fn door(&self, pick: u64) -> Option<(Process, Router)> {
        let doors = self.doors();
        let place = usize::try_from(pick).unwrap_or(0).checked_rem(doors.len())?;
        doors.get(place).map(|(_, process, router)| (process.clone(), router.clone()))
    }

    /// Sets the clock of a process wrong, or right again.
    pub(crate) fn set_clock(&self, pick: u64, skew_ms: i64) {
        let place = usize::try_from(pick).unwrap_or(0) % self.slots.len();
        if let Some(slot) = self.slots.get(place) {
            slot.skew_ms.store(skew_ms, Ordering::Relaxed);
            self.stage.note(&slot.name, format_args!("has a clock that is off by {skew_ms} ms"));
        }
    }

    pub(crate) fn set_clocks_right(&self) {
        for slot in &self.slots {
            slot.skew_ms.store(0, Ordering::Relaxed);
        }
    }

    /// What reads accounts back, as an operator would: with a process of its own.
    pub(crate) fn operator(&self) -> Result<Observer, String> {
        let process = Process::start(&self.stage, "operator", 0, &Arc::default());
        let publisher: Arc<dyn Publisher> = match self.stage.plan.deployment {
            Deployment::Distributed { .. } => {
                Arc::new(GatedPublisher { process: process.clone(), alone: None })
            }
            // There the bus is inside the one process.
            Deployment::Standalone => self
                .doors()
                .first()
                .and_then(|(_, process, _)| process.publisher())
                .ok_or("no process runs")?,
        };
        self.observer(&process, publisher, &Registry::new())
    }

    fn doors(&self) -> std::sync::MutexGuard<'_, Vec<(String, Process, Router)>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, slot: &Slot, process: &Process) -> Result<(), String> {
        let registry = Registry::new();
        let store: Arc<dyn Store> = Arc::new(GatedStore(process.clone()));
        let (publisher, subscribers) = match slot.role {
            Role::Everything => self.bus_of_one(process, &store),
            _ => self.broker(process, slot.role),
        };
        process.publishes_through(&publisher);
        if matches!(slot.role, Role::Everything | Role::Ingress) {
            let router = ingress(process, &publisher, &registry)?;
            self.doors().push((slot.name.clone(), process.clone(), router));
        }
        let order = match slot.role {
            Role::Everything => Order::AcknowledgeFirst,
            _ => Order::PublishFirst,
        };
        let engine = self.engine(process, &store, &publisher, &registry)?;
        for (queue, subscriber) in subscribers {
            self.consume(process, queue, subscriber, &engine, order, &publisher)?;
        }
        if matches!(slot.role, Role::Everything | Role::Scheduler) {
            self.schedule(process, engine, &store, &publisher)?;
        }
        Ok(())
    }

    /// The bus of a single process, as in `relink standalone`.
    fn bus_of_one(&self, process: &Process, store: &Arc<dyn Store>) -> Ports {
        let lot: Arc<dyn ParkingLot> = Arc::new(StoreLot(Arc::clone(store)));
        let clock = process.clone();
        let now: Now = Arc::new(move || clock.now().0);
        let (bus, inner) = InProcessBus::new(&WorkQueue::ALL, &lot, 1.0, &now);
        let platform: Arc<dyn Sink> = Arc::new(Platform(Arc::clone(&self.stage)));
        let alone = EmbeddedPublisher::new(bus, vec![platform]);
        let publisher = GatedPublisher { process: process.clone(), alone: Some(alone) };
        let gated = |(queue, inner)| {
            let subscriber = GatedSubscriber::new(process.clone(), queue, inner, None);
            (queue, Arc::new(subscriber) as Arc<dyn Subscriber>)
        };
        let inner = inner.into_iter().map(|one| one as Arc<dyn Subscriber>);
        (Arc::new(publisher), WorkQueue::ALL.into_iter().zip(inner).map(gated).collect())
    }

    /// The broker that all processes share.
    fn broker(&self, process: &Process, role: Role) -> Ports {
        let publisher = GatedPublisher { process: process.clone(), alone: None };
        let queues: &[WorkQueue] = if role == Role::Worker { &WorkQueue::ALL } else { &[] };
        let consumers = queues.iter().map(|queue| {
            let line = Broker::line(&self.stage, *queue);
            process.holds(&line);
            let inner: Arc<dyn Subscriber> = Arc::clone(&line) as Arc<dyn Subscriber>;
            let subscriber = GatedSubscriber::new(process.clone(), *queue, inner, Some(line));
            (*queue, Arc::new(subscriber) as Arc<dyn Subscriber>)
        });
        (Arc::new(publisher), consumers.collect())
    }

    fn engine(
        &self,
        process: &Process,
        store: &Arc<dyn Store>,
        publisher: &Arc<dyn Publisher>,
        registry: &Registry,
    ) -> Result<Engine, String> {
        let metrics = Arc::new(Metrics::register(registry).map_err(text)?);
        let clock: Arc<dyn Clock> = Arc::new(process.clone());
        let outbox = Outbox {
            store: Arc::clone(store),
            publisher: Arc::clone(publisher),
            wall: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            links: None,
        };
        Ok(Engine {
            store: Arc::clone(store),
            policy: Arc::clone(&self.stage.policy),
            clock,
            outbox,
            metrics,
            database: Availability::default(),
        })
    }

    fn consume(
        &self,
        process: &Process,
        queue: WorkQueue,
        subscriber: Arc<dyn Subscriber>,
        engine: &Engine,
        order: Order,
        publisher: &Arc<dyn Publisher>,
    ) -> Result<(), String> {
        let decode = match queue {
            WorkQueue::Lifecycle => relink_worker_lifecycle::decode,
            WorkQueue::Upcoming => relink_worker_upcoming::decode,
            WorkQueue::Followup => {
                let (registry, counted) = (Registry::new(), engine.metrics.queue(queue.name()));
                let metrics = relink_worker_followup::Metrics::register(&registry, counted.clone());
                let metrics = metrics.map_err(text)?;
                let observer = self.observer(process, Arc::clone(publisher), &Registry::new())?;
                let (observer, duties) = (Some(observer), Duties::ALL);
                let worker = Followup { subscriber, observer, duties, metrics };
                tokio::spawn(worker.run(CancellationToken::new()));
                return Ok(());
            }
        };
        let engine = engine.clone();
        let linger_max = Duration::ZERO;
        let consumer = Consumer {
            queue,
            subscriber,
            decode,
            engine,
            linger_max,
            order,
            // Small enough that batches of every kind come apart.
            halves_from: 2,
            at_once: match order {
                Order::PublishFirst => 1,
                Order::AcknowledgeFirst => 2,
            },
        };
        tokio::spawn(consumer.run(CancellationToken::new()));
        Ok(())
    }

    fn schedule(
        &self,
        process: &Process,
        engine: Engine,
        store: &Arc<dyn Store>,
        publisher: &Arc<dyn Publisher>,
    ) -> Result<(), String> {
        let never = CancellationToken::new();
        let registry = Registry::new();
        tokio::spawn(engine.outbox.clone().relay(LOOK, never.clone()));
        let figures = Figures::register(&registry).map_err(text)?;
        let scheduler = Scheduler { engine, figures, tick: LOOK, retention_days: 35 };
        tokio::spawn(scheduler.run(never.clone()));
        let catch_up = CatchUp {
            client: self.client(process)?,
            budget: Arc::new(Budget::new(READS_PER_SECOND)),
            store: Arc::clone(store),
            // Nothing of Stripe's is ever parked here.
            lot: None,
            publisher: Some(Arc::clone(publisher)),
            wall: Arc::new(process.clone()),
            events: catch_up::register(&registry).map_err(text)?,
            waiting: |_, _| {},
        };
        if self.stage.plan.deployment == Deployment::Standalone {
            tokio::spawn(catch_up.keep_up(SILENCE, never));
            return Ok(());
        }
        // Of several schedulers one does it.
        let claim = Claim {
            store: Arc::clone(store),
            work: "background",
            claimant: process.name_of_life().into(),
            wall: Arc::new(process.clone()),
        };
        tokio::spawn(async move {
            claim.hold(never, |stop| catch_up.clone().keep_up(SILENCE, stop)).await;
        });
        Ok(())
    }

    fn observer(
        &self,
        process: &Process,
        publisher: Arc<dyn Publisher>,
        registry: &Registry,
    ) -> Result<Observer, String> {
        Ok(Observer {
            client: self.client(process)?,
            budget: Arc::new(Budget::new(READS_PER_SECOND)),
            publisher,
            wall: Arc::new(process.clone()),
            reads: relink_worker_followup::Reads::unasked(registry).map_err(text)?,
            waiting: |_, _| {},
            held_until: None,
        })
    }

    fn client(&self, process: &Process) -> Result<Client, String> {
        let version = relink_sim::PREVIEW_VERSION;
        let config = ClientConfig::new("https://api.stripe.com", API_KEY.into(), version);
        let replica = Arc::clone(&self.replica);
        let wire = Arc::new(GatedStripe { process: process.clone(), replica });
        Client::over(config, wire).map_err(text)
    }
}

type Ports = (Arc<dyn Publisher>, Vec<(WorkQueue, Arc<dyn Subscriber>)>);

fn ingress(
    process: &Process,
    publisher: &Arc<dyn Publisher>,
    registry: &Registry,
) -> Result<Router, String> {
    // Its own clock may be off; that webhooks are not refused for it is a setting in earnest.
    let tolerance = SIGNATURE_TOLERANCE_SECONDS;
    let verifier = Verifier::new(vec!["whsec_sim".into()], tolerance);
    let clock = process.clone();
    let config = IngressConfig::new(verifier, Arc::new(move || clock.now().0));
    Ok(Ingress::new(config, Arc::clone(publisher), registry).map_err(text)?.router())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Keeps parked messages in the database, as `relink standalone` does.
struct StoreLot(Arc<dyn Store>);

#[async_trait::async_trait]
impl ParkingLot for StoreLot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.0.park(parked).await.map_err(text)
    }
}
