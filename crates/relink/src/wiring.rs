//! Puts stores, bus and engine together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::{IntGaugeVec, Opts, Registry};
use relink_bus::port::{Parked, ParkingLot, Publisher};
use relink_bus::topology::WorkQueue;
use relink_engine::clock::{Clock, SystemClock};
use relink_engine::consume::Decode;
use relink_engine::engine::{Availability, Engine};
use relink_engine::metrics::Metrics;
use relink_engine::outbox::Outbox;
use relink_engine::store::{Store, StoreError};
use relink_postgres::PostgresStore;
use relink_rabbitmq::{RabbitConfig, TopologyError, Verified};
use relink_sqlite::SqliteStore;
use relink_stripe::client::Client;
use relink_tls::is_this_machine;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::settings::{Choices, Database, Stripe};

/// A client that posts to one URL of the operator's.
pub(crate) fn http_client(to: &reqwest::Url) -> reqwest::ClientBuilder {
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("relink/", env!("CARGO_PKG_VERSION")))
        // What is signed, or told of traces, goes nowhere else.
        .redirect(reqwest::redirect::Policy::none());
    if to.host_str().is_some_and(is_this_machine) {
        // A proxy of the environment could not reach this host's own loopback.
        client = client.no_proxy();
    }
    if to.scheme() == "http" {
        // No TLS, so a container without root certificates will do.
        client = client.tls_certs_only([]);
    }
    client
}

/// Our clock, for crates that take it as a function.
pub(crate) fn now_unix_ms() -> i64 {
    SystemClock.now().0
}

/// Waits between attempts to reach something that is away at the start.
const AGAIN: Duration = Duration::from_secs(1);

/// Opens the store; waits for a database that is away, stops at one that is wrong.
pub(crate) async fn open_store(
    database: Database,
    stop: &CancellationToken,
) -> Result<Arc<dyn Store>, Failure> {
    let config = match database {
        Database::Sqlite(path) => {
            let store = SqliteStore::open(path.as_ref()).map_err(Failure::unavailable)?;
            return Ok(Arc::new(store));
        }
        Database::Postgres(config) => config,
    };
    let mut told = String::new();
    loop {
        match PostgresStore::connect((*config).clone()).await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(StoreError::Transient(error)) if error == told => {}
            Err(StoreError::Transient(error)) => {
                tracing::warn!(error, "waiting for the database of RELINK_DATABASE_URL");
                told = error;
            }
            Err(error) => return Err(Failure::unavailable(error)),
        }
        pause(stop).await?;
    }
}

/// Declares the topology, or where that is not permitted checks it; waits for a broker that is
/// away, stops at one that is wrong.
pub(crate) async fn prepare_broker(
    config: &RabbitConfig,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut told = String::new();
    loop {
        match declare_or_verify(config).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_transient() => {
                let error = error.to_string();
                if error != told {
                    tracing::warn!(error, "waiting for the broker of RELINK_AMQP_URL");
                    told = error;
                }
            }
            Err(error) => return Err(Failure::unavailable(error)),
        }
        pause(stop).await?;
    }
}

async fn declare_or_verify(config: &RabbitConfig) -> Result<(), TopologyError> {
    match relink_rabbitmq::declare(config).await {
        Ok(()) => Ok(()),
        Err(error) if error.is_transient() => Err(error),
        // A role may lack the permission to declare and still find everything in place; if not,
        // what is missing or different says more than what it may not do.
        Err(_) => {
            if relink_rabbitmq::verify(config).await? == Verified::Present {
                tracing::info!(
                    broker = config.broker(),
                    "exchanges and queues are there; this user may not compare them"
                );
            }
            Ok(())
        }
    }
}

async fn pause(stop: &CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        () = stop.cancelled() => Err(Failure::no("stopped before it was ready")),
        () = tokio::time::sleep(AGAIN) => Ok(()),
    }
}

/// The engine over a store and a way out.
pub(crate) fn engine(
    store: Arc<dyn Store>,
    publisher: Arc<dyn Publisher>,
    choices: Choices,
    clock: Arc<dyn Clock>,
    database: Availability,
    registry: &Registry,
) -> Result<Engine, Failure> {
    // It was opened a moment ago.
    database.note(&Ok(()));
    let metrics = Arc::new(Metrics::register(registry).map_err(Failure::software)?);
    let outbox = Outbox {
        store: Arc::clone(&store),
        publisher,
        wall: Arc::new(SystemClock),
        metrics: Arc::clone(&metrics),
        links: choices.links,
    };
    let policy = Arc::new(choices.policy);
    Ok(Engine { store, policy, clock, outbox, metrics, database })
}

/// Stripe's API as all parts of a process share it.
#[derive(Clone)]
pub(crate) struct StripeApi {
    /// `None` without a key.
    pub(crate) client: Option<Client>,
    /// What each part's budget begins with.
    pub(crate) reads_per_second: f64,
}

impl StripeApi {
    /// Opens it; a missing key is said once, with what will not be done without it.
    pub(crate) fn open(stripe: Stripe, undone: &str) -> Result<Self, Failure> {
        let reads_per_second = stripe.reads_per_second;
        let Some(config) = stripe.client else {
            tracing::warn!("RELINK_STRIPE_API_KEY is not set: {undone}");
            return Ok(Self { client: None, reads_per_second });
        };
        let client = Client::new(config).map_err(Failure::unavailable)?;
        Ok(Self { client: Some(client), reads_per_second })
    }
}

/// How each event queue is read.
pub(crate) fn decode(queue: WorkQueue) -> Option<Decode> {
    match queue {
        WorkQueue::Lifecycle => Some(relink_worker_lifecycle::decode),
        WorkQueue::Upcoming => Some(relink_worker_upcoming::decode),
        WorkQueue::Followup => None,
    }
}

/// A metric with one value per version, so that a deploy can be seen.
pub(crate) fn registry(role: &str) -> Result<Registry, Failure> {
    let registry = Registry::new();
    let info = IntGaugeVec::new(Opts::new("relink_build_info", "Always 1"), &["version", "role"])
        .map_err(Failure::software)?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), role]).set(1);
    registry.register(Box::new(info)).map_err(Failure::software)?;
    Ok(registry)
}

/// Lets the in-process bus set messages aside in the store.
pub(crate) struct StoreParkingLot(pub(crate) Arc<dyn Store>);

#[async_trait]
impl ParkingLot for StoreParkingLot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        self.0.park(parked).await.map_err(|error| error.to_string())
    }
}
