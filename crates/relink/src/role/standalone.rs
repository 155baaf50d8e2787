//! All roles in one process: in-process bus, embedded database.

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus::Registry;
use relink_bus::in_process::{InProcessBus, Now};
use relink_bus::port::{ParkingLot, Publisher, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_core::policy::Policy;
use relink_engine::clock::{Clock, SystemClock};
use relink_engine::consume::Order;
use relink_engine::engine::Availability;
use relink_engine::scheduler::Scheduler;
use relink_engine::store::Store;
use relink_ingress::{Ingress, IngressConfig, ServeLimits, serve};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::worker::{Parts, run_all};
use crate::background::Background;
use crate::cli::StandaloneArgs;
use crate::failure::Failure;
use crate::settings::{self, Problems, Retention, Stripe};
use crate::sink::{EmbeddedPublisher, Post, Sink, Stdout};
use crate::telemetry::{Readiness, bind, start_logging};
use crate::{shutdown, wiring};

pub(crate) async fn run(args: StandaloneArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let webhook = problems.webhook(args.webhook);
    let database = problems.database(args.database);
    let stripe = problems.stripe(args.stripe);
    let policy = problems.policy(&args.policy);
    let retention = problems.retention(&args.retention);
    let background = problems.background(&args.background);
    let admin = problems.admin(&args.admin);
    let secret =
        problems.secret("RELINK_COMMANDS_SECRET", args.commands_secret, args.commands_secret_file);
    let sinks = sinks(args.commands_url.as_deref(), secret, &mut problems);
    problems.done()?;
    let (Some(webhook), Some(database), Some(stripe), Some(policy), Some(retention), Some(admin)) =
        (webhook, database, stripe, policy, retention, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let stop = shutdown::on_signal()?;
    let registry = wiring::registry("standalone")?;
    let store = wiring::open_store(database, &stop).await?;
    let listener = bind("RELINK_INGRESS_LISTEN", webhook.listen).await?;
    let address: Option<SocketAddr> = listener.local_addr().ok();
    tracing::info!(listen = ?address, "standalone: commands go to standard output");
    let embedded = Embedded {
        store,
        listener,
        ingress: webhook.config,
        stripe,
        policy,
        retention,
        clock: Arc::new(SystemClock),
        sinks,
        pace: 1.0,
        background,
        database: Availability::default(),
    };
    let mut readiness = Readiness::default();
    let watched = embedded.database.clone();
    readiness.needs("database", move || watched.is_available());
    let work = embedded.run(registry.clone(), stop.clone());
    super::run(admin, registry, readiness, stop, work).await
}

fn sinks(url: Option<&str>, secret: Option<String>, problems: &mut Problems) -> Vec<Arc<dyn Sink>> {
    let mut sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Stdout)];
    if let Some(url) = url.filter(|url| !url.is_empty()) {
        match Post::new(url, secret.map(SecretString::from).as_ref()) {
            Ok(post) => sinks.push(Arc::new(post)),
            Err(problem) => problems.add(problem),
        }
    } else if secret.is_some() {
        problems.add("RELINK_COMMANDS_SECRET is set without RELINK_COMMANDS_URL");
    }
    sinks
}

/// Everything in one process; the demo runs it with a clock and a pace of its own.
pub(super) struct Embedded {
    pub(super) store: Arc<dyn Store>,
    pub(super) listener: TcpListener,
    pub(super) ingress: IngressConfig,
    pub(super) stripe: Stripe,
    pub(super) policy: Policy,
    pub(super) retention: Retention,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sinks: Vec<Arc<dyn Sink>>,
    pub(super) pace: f64,
    /// `None`: Stripe is not asked for anything but what a command names.
    pub(super) background: Option<settings::Background>,
    pub(super) database: Availability,
}

impl Embedded {
    /// Runs until told to stop, or until a part cannot go on.
    pub(super) async fn run(
        self,
        registry: Registry,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let parking_lot: Arc<dyn ParkingLot> =
            Arc::new(wiring::StoreParkingLot(Arc::clone(&self.store)));
        let now: Now = Arc::new(wiring::now_unix_ms);
        let (bus, subscribers) = InProcessBus::new(&WorkQueue::ALL, &parking_lot, self.pace, &now);
        let publisher: Arc<dyn Publisher> = Arc::new(EmbeddedPublisher::new(bus, self.sinks));
        let engine = wiring::engine(
            self.store,
            Arc::clone(&publisher),
            self.policy,
            self.clock,
            self.database,
            &registry,
        )?;
        let ingress = Ingress::new(self.ingress, Arc::clone(&publisher), &registry)
            .map_err(Failure::software)?;
        let background = match self.background {
            Some(settings) => {
                let (stripe, store) = (self.stripe.clone(), &engine.store);
                Some(Background::new(stripe, settings, store, &publisher, &registry)?)
            }
            None => None,
        };
        let relay = engine.outbox.clone().relay(stop.clone());
        let scheduler = Scheduler {
            engine: engine.clone(),
            tick: self.retention.tick,
            retention_days: self.retention.days,
        };
        let parts = Parts {
            engine,
            publisher,
            stripe: Some(self.stripe),
            registry,
            order: Order::AcknowledgeFirst,
        };
        let subscribers = WorkQueue::ALL
            .into_iter()
            .zip(subscribers)
            .map(|(queue, subscriber)| (queue, subscriber as Arc<dyn Subscriber>))
            .collect();
        // Webhooks that are in hand need the workers: those stop when the server has drained.
        let served = CancellationToken::new();
        let webhooks = async {
            serve(self.listener, ingress.router(), ServeLimits::default(), stop.cancelled()).await;
            served.cancel();
        };
        let workers = async {
            let result = run_all(subscribers, parts, served.clone()).await;
            stop.cancel();
            result
        };
        let background = async {
            if let Some(background) = background {
                background.run(stop.clone()).await;
            }
        };
        let (result, (), (), (), ()) =
            tokio::join!(workers, webhooks, relay, scheduler.run(stop.clone()), background);
        result
    }
}
