//! The followup worker with a stand-in for Stripe behind real HTTP on this host.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use relink_bus::envelope::{command_type, encode_command};
use relink_bus::in_process::{InProcessBus, InProcessSubscriber, Now};
use relink_bus::message::{CONTENT_TYPE_CLOUD_EVENT, Delivery, Headers, Message};
use relink_bus::port::{
    ParkReason, Parked, ParkingLot, PublishError, Publisher, Settlement, Subscriber as _,
};
use relink_bus::topology::{Exchange, WorkQueue};
use relink_core::command::{About, Because, Body, Command, VerifyAccounts};
use relink_core::id::Scope;
use relink_core::input::Happened;
use relink_core::observation::Holder;
use relink_core::time::Time;
use relink_engine::clock::SystemClock;
use relink_sim::{Fault, FaultKind, Link, PREVIEW_VERSION, Sim, SimConfig};
use relink_stripe::client::{Budget, Client, ClientConfig};
use relink_tests::contract::contract;
use relink_worker_followup::{Duties, Followup, Metrics, Observer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The ladder's first rungs pass in milliseconds.
const PACE: f64 = 0.001;
pub(crate) const READS_PER_SECOND: f64 = 200.0;

#[derive(Default)]
pub(crate) struct Lot(pub(crate) Mutex<Vec<Parked>>);

#[async_trait::async_trait]
impl ParkingLot for Lot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.0.lock().unwrap().push(parked);
        Ok(())
    }
}

/// A bus that refuses so many messages before it takes one.
struct Reluctant {
    bus: InProcessBus,
    refusals: usize,
    refused: watch::Sender<usize>,
}

#[async_trait::async_trait]
impl Publisher for Reluctant {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        contract().hold_body(&message.kind, &message.body);
        let refuses = self.refused.send_if_modified(|refused| {
            let refuses = *refused < self.refusals;
            *refused += usize::from(refuses);
            refuses
        });
        if refuses { Err(PublishError::Refused) } else { self.bus.publish(message).await }
    }

    fn is_ready(&self) -> bool {
        self.bus.is_ready()
    }
}

pub(crate) struct Scene {
    refused: watch::Sender<usize>,
    pub(crate) sim: Sim,
    pub(crate) bus: InProcessBus,
    pub(crate) lifecycle: Arc<InProcessSubscriber>,
    pub(crate) observed: Arc<Mutex<Vec<Delivery>>>,
    pub(crate) lot: Arc<Lot>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
    pub(crate) working: JoinHandle<()>,
    pub(crate) authorization: String,
    pub(crate) accounts: Vec<String>,
}

#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) key: Option<&'static str>,
    pub(crate) version: &'static str,
    pub(crate) duties: Duties,
    /// How many reads a second Stripe admits.
    pub(crate) limit: Option<u32>,
    /// How often the bus refuses an observation before it takes one.
    pub(crate) refusals: usize,
}

pub(crate) const USUAL: Setting = Setting {
    key: Some("sk_test_sim"),
    version: PREVIEW_VERSION,
    duties: Duties::ALL,
    limit: None,
    refusals: 0,
};

/// With somebody who accepts the observations.
pub(crate) async fn scene(setting: Setting) -> Scene {
    let scene = stage(setting).await;
    scene.accept_observations();
    scene
}

pub(crate) async fn stage(setting: Setting) -> Scene {
    let read_limit_per_second = setting.limit;
    let sim = Sim::new(SimConfig { read_limit_per_second, ..SimConfig::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = sim.clone();
    tokio::spawn(async move { server.serve(listener, pending()).await });
    let change = sim.link(Link::of("cus_1", "Harbor Federal Bank", 2)).unwrap();
    let lot = Arc::new(Lot::default());
    let as_port: Arc<dyn ParkingLot> = lot.clone();
    let now: Now = Arc::new(|| 0);
    let queues = [WorkQueue::Lifecycle, WorkQueue::Followup];
    let (bus, mut subscribers) = InProcessBus::new(&queues, &as_port, PACE, &now);
    let followup = subscribers.pop().unwrap();
    let lifecycle = subscribers.pop().unwrap();
    let client = setting.key.map(|key| {
        let config = ClientConfig::new(base, key.into(), setting.version);
        Client::new(ClientConfig { max_retries: 0, ..config }).unwrap()
    });
    let budget = Arc::new(Budget::new(READS_PER_SECOND));
    let engine = relink_engine::metrics::Metrics::register(&Registry::new()).unwrap();
    let counted = engine.queue(WorkQueue::Followup.name()).clone();
    let metrics = Metrics::register(&Registry::new(), counted).unwrap();
    let refused = watch::Sender::new(0);
    let reluctant =
        Reluctant { bus: bus.clone(), refusals: setting.refusals, refused: refused.clone() };
    let observer = client.map(|client| Observer {
        client,
        budget: Arc::clone(&budget),
        publisher: Arc::new(reluctant),
        wall: Arc::new(SystemClock),
        reads: metrics.reads.clone(),
        waiting: relink_worker_followup::quietly,
        held_until: None,
    });
    let (duties, metrics_of_worker) = (setting.duties, metrics.clone());
    let worker = Followup { subscriber: followup, observer, duties, metrics: metrics_of_worker };
    let stop = CancellationToken::new();
    let told = stop.clone();
    let working = tokio::spawn(async move { worker.run(told).await.unwrap() });
    let observed = Arc::new(Mutex::new(Vec::new()));
    let accounts = change.accounts;
    let authorization = change.authorization.unwrap();
    Scene {
        refused,
        sim,
        bus,
        lifecycle,
        observed,
        lot,
        budget,
        metrics,
        stop,
        working,
        authorization,
        accounts,
    }
}

impl Scene {
    fn accept_observations(&self) {
        let (lifecycle, observed) = (Arc::clone(&self.lifecycle), Arc::clone(&self.observed));
        tokio::spawn(async move {
            while let Ok(batch) = lifecycle.next_batch(16, Duration::ZERO).await {
                for delivery in batch {
                    let receipt = delivery.receipt;
                    observed.lock().unwrap().push(delivery);
                    lifecycle.settle(vec![(receipt, Settlement::Accept)]).await;
                }
            }
        });
    }

    pub(crate) fn about(&self) -> About {
        About {
            stripe_account: None,
            livemode: false,
            authorization: Some(self.authorization.as_str().into()),
            holder: Some(Holder { kind: "customer".into(), id: "cus_1".into() }),
            institution_name: None,
        }
    }

    pub(crate) fn verify(&self, accounts: &[&str], read_authorization: bool) -> Message {
        self.command(Body::VerifyAccounts(VerifyAccounts {
            about: self.about(),
            accounts: accounts.iter().map(|id| (*id).into()).collect(),
            because: Because::Doubt,
            read_authorization,
            session: None,
        }))
    }

    pub(crate) fn command(&self, body: Body) -> Message {
        let kind = command_type(body.name());
        let command = Command {
            id: "test:verify-1".into(),
            subject: self.authorization.as_str().into(),
            correlation: "evt_1".into(),
            body,
        };
        let body = encode_command(&command, &Scope::own(false), Time(0)).unwrap();
        message(&kind, body)
    }

    pub(crate) async fn run(&self, message: Message) -> Result<(), PublishError> {
        tokio::time::timeout(Duration::from_secs(30), self.bus.publish(message)).await.unwrap()
    }

    /// Waits until the bus has refused so many.
    pub(crate) async fn is_refused(&self, count: usize) {
        self.refused.subscribe().wait_for(|refused| *refused >= count).await.unwrap();
    }

    pub(crate) fn inject(&self, kind: FaultKind, count: usize) {
        self.sim.inject(Fault { kind, after: Duration::ZERO }, count);
    }

    pub(crate) fn counted(&self, result: &str) -> u64 {
        self.metrics.commands.with_label_values(&[result]).get()
    }

    pub(crate) fn reads(&self, object: &str, result: &str) -> u64 {
        self.metrics.reads.results.with_label_values(&[object, result]).get()
    }

    pub(crate) fn happened(&self) -> Vec<Happened> {
        let observed = self.observed.lock().unwrap();
        observed.iter().map(|one| relink_worker_lifecycle::decode(one).unwrap().happened).collect()
    }

    pub(crate) fn reasons(&self) -> Vec<ParkReason> {
        self.lot.0.lock().unwrap().iter().map(|one| one.parking.reason).collect()
    }
}

pub(crate) fn message(kind: &str, body: bytes::Bytes) -> Message {
    Message {
        exchange: Exchange::Commands,
        routing_key: kind.into(),
        also_to: None,
        mandatory: true,
        id: "test:verify-1".into(),
        kind: kind.into(),
        timestamp_unix_s: 0,
        correlation: None,
        content_type: CONTENT_TYPE_CLOUD_EVENT,
        headers: Headers::default(),
        body,
    }
}
