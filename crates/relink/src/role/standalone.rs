//! All roles in one process: in-process bus, embedded database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use relink_bus::in_process::{EmbeddedPublisher, InProcessBus, Now, Sink};
use relink_bus::parked::ParkedMessages;
use relink_bus::port::{ParkingLot, Publisher, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_engine::balance::Bookkeeper;
use relink_engine::clock::{Clock, SystemClock};
use relink_engine::consume::Order;
use relink_engine::engine::{Availability, Engine};
use relink_engine::link::Links;
use relink_engine::metrics::Figures;
use relink_engine::outbox::SWEEP;
use relink_engine::parked::{Requeuer, StoreLot};
use relink_engine::scheduler::Scheduler;
use relink_engine::store::Store;
use relink_ingress::{Ingress, IngressConfig, Listener, ServeLimits, serve};
use relink_tls::ServerCertificate;
use relink_worker_followup::Duties;
use tokio_util::sync::CancellationToken;

use super::portal::{self, Setup};
use super::worker::{Parts, run_all};
use crate::background::Background;
use crate::cli::StandaloneArgs;
use crate::failure::Failure;
use crate::otlp::Tracing;
use crate::settings::{self, Choices, Databases, Page, Problems, Retention};
use crate::sink::{Post, Stdout};
use crate::telemetry::{Readiness, bind, start_logging};
use crate::wiring::StripeApi;
use crate::{certificate, shutdown, wiring};

/// What is not done without a key of Stripe's.
const UNDONE: &str = "accounts whose details are unknown stay unverified, and events that are not delivered unnoticed";

pub(crate) async fn run(args: StandaloneArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let webhook = problems.webhook(args.webhook);
    let certificate = problems.certificate(args.tls);
    let background = problems.background(&args.background, &args.stripe.stripe_api_base);
    let database = problems.database(args.database, Databases::Both);
    let followup = problems.followup(args.stripe, &args.followup);
    let has_page = args.link.portal_url.as_ref().is_some_and(|url| !url.is_empty());
    let choices = problems.choices(&args.policy, args.link);
    // The page is there where links lead to it.
    let page = if has_page {
        problems.page(args.page, followup.as_ref().map(|followup| &followup.stripe))
    } else {
        problems.no_page(&args.page);
        None
    };
    let page = page.zip(choices.as_ref().and_then(|choices| choices.links.clone()));
    let retention = problems.retention(&args.retention);
    let collector = problems.traces(args.traces);
    let admin = problems.admin(&args.admin);
    let secret =
        problems.secret("RELINK_COMMANDS_SECRET", args.commands_secret, args.commands_secret_file);
    let sinks = sinks(args.commands_url.as_deref(), secret, &mut problems);
    problems.done()?;
    let (
        Some(webhook),
        Some(database),
        Some(followup),
        Some(choices),
        Some(retention),
        Some(collector),
        Some(admin),
    ) = (webhook, database, followup, choices, retention, collector, admin)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let stop = shutdown::on_signal()?;
    let registry = wiring::registry("standalone")?;
    let tracing = Tracing::start(collector, "standalone", &registry)?;
    let store = wiring::open_store(database, &stop).await?;
    let listener = bind("RELINK_INGRESS_LISTEN", webhook.listen).await?;
    let certificate = certificate::keep_fresh(certificate.flatten(), &registry, stop.clone())?;
    let page = match page {
        Some((page, links)) => Some(setup(page, links, certificate.clone()).await?),
        None => None,
    };
    let address: Option<SocketAddr> = listener.local_addr().ok();
    let https = certificate.is_some();
    tracing::info!(listen = ?address, https, "standalone: commands go to standard output");
    let embedded = Embedded {
        store,
        listener: Listener::new(listener, certificate),
        ingress: webhook.config,
        page,
        followup,
        choices,
        retention,
        clock: Arc::new(SystemClock),
        sinks,
        pace: 1.0,
        background,
        database: Availability::default(),
        tracing: tracing.clone(),
    };
    let mut readiness = Readiness::default();
    let watched = embedded.database.clone();
    readiness.needs("database", move || watched.is_available());
    let work = embedded.run(registry.clone(), stop.clone());
    super::run(admin, registry, readiness, tracing, stop, work).await
}

async fn setup(
    page: Page,
    links: Links,
    certificate: Option<ServerCertificate>,
) -> Result<Setup, Failure> {
    let listener = bind("RELINK_PORTAL_LISTEN", page.listen).await?;
    tracing::info!(listen = %page.listen, url = links.base(), "the relink page");
    let listener = Listener::new(listener, certificate);
    Ok(Setup { listener, config: page.config(&links), links })
}

pub(crate) fn sinks(
    url: Option<&str>,
    secret: Option<String>,
    problems: &mut Problems,
) -> Vec<Arc<dyn Sink>> {
    let mut sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Stdout)];
    let is_set = secret.is_some();
    let key = secret.and_then(|secret| problems.signing_key("RELINK_COMMANDS_SECRET", &secret));
    if let Some(url) = url.filter(|url| !url.is_empty()) {
        match Post::new(url, key) {
            Ok(post) => sinks.push(Arc::new(post)),
            Err(problem) => problems.add(problem),
        }
    } else if is_set {
        problems.add("RELINK_COMMANDS_SECRET is set without RELINK_COMMANDS_URL");
    }
    sinks
}

/// Everything in one process; the demo runs it with a clock and a pace of its own.
pub(super) struct Embedded {
    pub(super) store: Arc<dyn Store>,
    pub(super) listener: Listener,
    pub(super) ingress: IngressConfig,
    /// `None`: no relink page.
    pub(super) page: Option<Setup>,
    pub(super) followup: settings::Followup,
    pub(super) choices: Choices,
    pub(super) retention: Retention,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sinks: Vec<Arc<dyn Sink>>,
    pub(super) pace: f64,
    /// `None`: Stripe is not asked for anything but what a command names.
    pub(super) background: Option<settings::Background>,
    pub(super) database: Availability,
    pub(super) tracing: Tracing,
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
        let beside = beside(Arc::clone(&self.store), bus.clone(), &registry, stop.clone())?;
        let publisher: Arc<dyn Publisher> = Arc::new(EmbeddedPublisher::new(bus, self.sinks));
        let publisher = self.tracing.publisher(publisher);
        let settings::Followup { stripe, duties } = self.followup;
        let stripe = StripeApi::open(stripe, UNDONE)?;
        let page = match self.page {
            Some(page) => {
                let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
                let lot = store_lot(&self.store);
                let publisher = Arc::clone(&publisher);
                Some(page.build(store, lot, publisher, &stripe, clock, &registry)?)
            }
            None => None,
        };
        let engine = wiring::engine(
            self.store,
            Arc::clone(&publisher),
            self.choices,
            self.clock,
            self.database,
            &registry,
        )?;
        let router = Ingress::new(self.ingress, Arc::clone(&publisher), &registry)
            .map_err(Failure::software)?
            .router();
        let background = match self.background {
            Some(settings) => {
                let store = &engine.store;
                let lot = store_lot(store);
                Some(Background::new(&stripe, settings, store, &lot, &publisher, &registry)?)
            }
            None => None,
        };
        let relay = engine.outbox.clone().relay(SWEEP, stop.clone());
        let scheduler = schedule(engine.clone(), &self.retention, &registry)?;
        let parts = parts(engine, publisher, (stripe, duties), registry);
        let subscribers = WorkQueue::ALL
            .into_iter()
            .zip(subscribers)
            .map(|(queue, one)| (queue, self.tracing.subscriber(queue, one as Arc<dyn Subscriber>)))
            .collect();
        // Webhooks and sessions in hand need the workers: those stop when the servers have
        // drained.
        let served = CancellationToken::new();
        let webhooks = serve(self.listener, router, ServeLimits::default(), stop.cancelled());
        let servers = async {
            tokio::join!(webhooks, serve_page(page, &stop));
            served.cancel();
        };
        let workers = async {
            let result = run_all(subscribers, parts, served.clone()).await;
            stop.cancel();
            result
        };
        let background = run_background(background, &stop);
        let (result, (), (), (), (), ()) =
            tokio::join!(workers, servers, relay, scheduler.run(stop.clone()), background, beside);
        result
    }
}

fn parts(
    engine: Engine,
    publisher: Arc<dyn Publisher>,
    followup: (StripeApi, Duties),
    registry: Registry,
) -> Parts {
    Parts {
        engine,
        publisher,
        followup: Some(followup),
        registry,
        order: Order::AcknowledgeFirst,
        // A webhook waits for its batch.
        linger_max: Duration::ZERO,
        // The usual database here has one writer,
        halves_from: usize::MAX,
        // which decides one batch while the disk takes the one before.
        at_once: 2,
    }
}

fn schedule(
    engine: Engine,
    retention: &Retention,
    registry: &Registry,
) -> Result<Scheduler, Failure> {
    let figures = Figures::register(registry).map_err(Failure::software)?;
    Ok(Scheduler { engine, figures, tick: retention.tick, retention_days: retention.days })
}

/// What puts parked messages back, and what counts them.
fn beside(
    store: Arc<dyn Store>,
    bus: InProcessBus,
    registry: &Registry,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let (lot, wall) = (store_lot(&store), Arc::new(SystemClock));
    let bookkeeper = Bookkeeper::new(Arc::clone(&store), lot, wall, registry)
        .map_err(Failure::software)?
        .run(stop.clone());
    let requeuer = Requeuer { store, bus: Arc::new(bus) }.run(stop);
    Ok(async { _ = tokio::join!(requeuer, bookkeeper) })
}

fn store_lot(store: &Arc<dyn Store>) -> Arc<dyn ParkedMessages> {
    Arc::new(StoreLot { store: Arc::clone(store), clock: Arc::new(SystemClock) })
}

async fn run_background(background: Option<Background>, stop: &CancellationToken) {
    if let Some(background) = background {
        background.run(stop.clone()).await;
    }
}

async fn serve_page(page: Option<portal::Page>, stop: &CancellationToken) {
    if let Some(page) = page {
        page.run(stop.clone()).await;
    }
}
