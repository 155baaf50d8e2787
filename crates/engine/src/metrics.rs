//! What the engine counts: one closed list, every label bounded.
//!
//! Every value of every label is there from the start, since an alert cannot tell a counter that
//! was never touched from one that is missing. The whole list, of all roles, is the table in
//! `deploy/README.md`, which a test holds against what the roles show.

mod case;
mod family;
mod figures;
mod inputs;
mod queue;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Registry};
use relink_bus::port::PublishError;
use relink_core::command::{Body, Reason};

pub use case::Cases;
use family::counters;
pub use family::{Counters, Family, Histograms};
pub use figures::Figures;
pub use inputs::Inputs;
pub(crate) use inputs::TIMER;
use queue::Families;
pub use queue::{QueueMetrics, TIMERS};

/// The engine's metrics; register once per process.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Deliveries taken from a queue.
    pub deliveries: IntCounterVec,
    /// Of those, handed out before.
    pub redelivered: IntCounterVec,
    /// Decisions by verdict.
    pub verdicts: IntCounterVec,
    /// Messages set aside.
    pub parked: IntCounterVec,
    /// Messages handed back because the database was away.
    pub handed_back: IntCounterVec,
    /// 1 while a consumer waits for the database.
    pub paused: IntGaugeVec,
    /// Commands committed.
    pub commands: IntCounterVec,
    /// Commands that the bus has taken.
    pub published: IntCounter,
    /// Publishes of commands that were not confirmed; the relay repeats them.
    pub publish_failures: IntCounterVec,
    /// Publishing one batch of commands with confirms.
    pub publish_seconds: Histogram,
    /// Homes whose timer fired.
    pub timers: IntCounter,
    /// Decisions by type.
    pub inputs: Inputs,
    /// How customers fare.
    pub cases: Cases,
    queues: Vec<QueueMetrics>,
    timers_queue: QueueMetrics,
    by_command: Counters<&'static str>,
    by_failure: Counters<PublishError>,
}

impl Metrics {
    /// Registers the list.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let families = Families::register(registry)?;
        let commands =
            counters(registry, "relink_commands_total", "Commands committed", &["command"])?;
        let failures = counters(
            registry,
            "relink_commands_publish_failures_total",
            "Publishes of commands that were not confirmed",
            &["reason"],
        )?;
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let publishing =
            HistogramOpts::new("relink_commands_publish_seconds", "Publishing one batch")
                .buckets(SECONDS.to_vec());
        let publish_seconds = Histogram::with_opts(publishing)?;
        registry.register(Box::new(publish_seconds.clone()))?;
        Ok(Self {
            inputs: Inputs::register(registry)?,
            cases: Cases::register(registry)?,
            queues: families.queues(),
            timers_queue: families.timers(),
            by_command: Counters::of(Body::NAMES, |name| commands.with_label_values(&[name])),
            by_failure: Counters::of(PublishError::ALL, |error| {
                failures.with_label_values(&[error.as_str()])
            }),
            deliveries: families.deliveries,
            redelivered: families.redelivered,
            verdicts: families.verdicts,
            parked: families.parked,
            handed_back: families.handed_back,
            paused: families.paused,
            commands,
            published: counter(
                "relink_commands_published_total",
                "Commands that the bus has taken",
            )?,
            publish_failures: failures,
            publish_seconds,
            timers: counter("relink_scheduler_timers_total", "Homes whose timer fired")?,
        })
    }

    /// What is counted of a queue, or else of [`TIMERS`].
    pub fn queue(&self, name: &str) -> &QueueMetrics {
        self.queues.iter().find(|queue| queue.name == name).unwrap_or(&self.timers_queue)
    }

    /// Counts a committed command by its type, `relink.<name>.v1`.
    pub(crate) fn command(&self, kind: &str) {
        if let Some(name) =
            Body::NAMES.into_iter().find(|name| kind.split('.').nth(1) == Some(*name))
        {
            self.by_command.inc(&name);
        }
    }

    /// Counts a publish that was not confirmed.
    pub(crate) fn not_published(&self, error: PublishError) {
        self.by_failure.inc(&error);
    }
}

/// Why a case can be open.
pub(crate) const REASONS: [Reason; 3] = [Reason::Inactive, Reason::Upcoming, Reason::Numbers];

/// From a commit on a quiet machine to one that hits a timeout.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
