//! What roles between a broker and a database stand on.

use std::sync::Arc;

use prometheus::Registry;
use relink_bus::port::Publisher;
use relink_engine::clock::SystemClock;
use relink_engine::engine::{Availability, Engine};
use relink_engine::store::Store;
use relink_rabbitmq::{BrokerState, RabbitConfig, RabbitPublisher};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::otlp::Tracing;
use crate::settings::{Choices, Collector, Database};
use crate::telemetry::Readiness;
use crate::{broker_metrics, shutdown, wiring};

/// The beginnings of such a role: nothing is connected yet.
pub(super) struct Footing {
    role: &'static str,
    pub(super) stop: CancellationToken,
    pub(super) registry: Registry,
    pub(super) publisher: Arc<dyn Publisher>,
    database: Availability,
}

impl Footing {
    /// `consuming`: the connections of the role's consumers, each with its queue.
    pub(super) fn new(
        role: &'static str,
        amqp: &RabbitConfig,
        consuming: Vec<(&'static str, BrokerState)>,
    ) -> Result<Self, Failure> {
        let stop = shutdown::on_signal()?;
        let registry = wiring::registry(role)?;
        let publisher = RabbitPublisher::new(amqp.clone());
        let connections = publisher.connections().chain(consuming);
        broker_metrics::register(&registry, connections.collect())?;
        Ok(Self {
            role,
            stop,
            registry,
            publisher: Arc::new(publisher),
            database: Availability::default(),
        })
    }

    /// What it publishes is told to the collector, where there is one.
    pub(super) fn told(self, collector: Option<Collector>) -> Result<(Self, Tracing), Failure> {
        let tracing = Tracing::start(collector, self.role, &self.registry)?;
        let publisher = tracing.publisher(Arc::clone(&self.publisher));
        Ok((Self { publisher, ..self }, tracing))
    }

    /// Ready when broker and database are.
    pub(super) fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::default();
        let publisher = Arc::clone(&self.publisher);
        readiness.needs("broker", move || publisher.is_ready());
        let database = self.database.clone();
        readiness.needs("database", move || database.is_available());
        readiness
    }

    /// The database, open, once the broker has what it needs.
    pub(super) async fn store(
        &self,
        amqp: &RabbitConfig,
        database: Database,
    ) -> Result<Arc<dyn Store>, Failure> {
        wiring::prepare_broker(amqp, &self.stop).await?;
        let store = wiring::open_store(database, &self.stop).await?;
        self.database.note(&Ok(()));
        Ok(store)
    }

    /// The engine, once the broker has what it needs and the database is open.
    pub(super) async fn engine(
        &self,
        amqp: &RabbitConfig,
        database: Database,
        choices: Choices,
    ) -> Result<Engine, Failure> {
        let store = self.store(amqp, database).await?;
        let (publisher, database) = (Arc::clone(&self.publisher), self.database.clone());
        let clock = Arc::new(SystemClock);
        wiring::engine(store, publisher, choices, clock, database, &self.registry)
    }
}
