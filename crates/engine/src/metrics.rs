//! What the engine counts: one closed list, every label bounded.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use relink_bus::port::{ParkReason, PublishError};
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::Health;
use relink_core::command::{Body, Reason};

/// The engine's metrics; register once per process.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Deliveries taken from a queue.
    pub deliveries: IntCounterVec,
    /// Of those, handed out before.
    pub redelivered: IntCounterVec,
    /// Deliveries in one transaction.
    pub batch_size: HistogramVec,
    /// Gather, decide and commit of one batch.
    pub commit_seconds: HistogramVec,
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
    /// Committed commands not yet taken by the bus.
    pub outbox_depth: IntGauge,
    /// Age of the oldest of them.
    pub outbox_oldest_seconds: IntGauge,
    /// Authorizations by health.
    pub authorizations: IntGaugeVec,
    /// Open cases by reason.
    pub open_cases: IntGaugeVec,
    /// Homes whose timer fired.
    pub timers: IntCounter,
    /// Messages that the embedded store keeps aside.
    pub parked_messages: IntGauge,
}

impl Metrics {
    /// Registers the list.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            deliveries: counters("relink_worker_deliveries_total", "Deliveries taken", &["queue"])?,
            redelivered: counters(
                "relink_worker_redelivered_total",
                "Deliveries that had been handed out before",
                &["queue"],
            )?,
            batch_size: histograms(
                "relink_worker_batch_size",
                "Deliveries in one transaction",
                &[1.0, 4.0, 16.0, 64.0, 128.0, 256.0],
            )?,
            commit_seconds: histograms(
                "relink_worker_commit_seconds",
                "Gather, decide and commit",
                &SECONDS,
            )?,
            verdicts: counters(
                "relink_worker_verdicts_total",
                "Decisions by verdict",
                &["queue", "verdict"],
            )?,
            parked: counters(
                "relink_worker_parked_total",
                "Messages set aside for a person",
                &["queue", "reason"],
            )?,
            handed_back: counters(
                "relink_worker_handed_back_total",
                "Messages handed back because the database was away",
                &["queue"],
            )?,
            paused: gauges(
                "relink_worker_paused",
                "1 while a consumer waits for the database",
                "queue",
            )?,
            commands: counters("relink_commands_total", "Commands committed", &["command"])?,
            published: IntCounter::new(
                "relink_commands_published_total",
                "Commands that the bus has taken",
            )?,
            publish_failures: counters(
                "relink_commands_publish_failures_total",
                "Publishes of commands that were not confirmed",
                &["reason"],
            )?,
            publish_seconds: Histogram::with_opts(
                HistogramOpts::new("relink_commands_publish_seconds", "Publishing one batch")
                    .buckets(SECONDS.to_vec()),
            )?,
            outbox_depth: IntGauge::new(
                "relink_outbox_depth",
                "Committed commands that the bus has not taken yet",
            )?,
            outbox_oldest_seconds: IntGauge::new(
                "relink_outbox_oldest_seconds",
                "Age of the oldest of them",
            )?,
            authorizations: gauges("relink_authorizations", "Authorizations by health", "health")?,
            open_cases: gauges("relink_open_cases", "Open cases by reason", "reason")?,
            timers: IntCounter::new("relink_scheduler_timers_total", "Homes whose timer fired")?,
            parked_messages: IntGauge::new(
                "relink_parked_messages",
                "Messages that the embedded store keeps aside",
            )?,
        };
        metrics.add_to(registry)?;
        metrics.show_zeros();
        Ok(metrics)
    }

    fn add_to(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.deliveries.clone()))?;
        registry.register(Box::new(self.redelivered.clone()))?;
        registry.register(Box::new(self.batch_size.clone()))?;
        registry.register(Box::new(self.commit_seconds.clone()))?;
        registry.register(Box::new(self.verdicts.clone()))?;
        registry.register(Box::new(self.parked.clone()))?;
        registry.register(Box::new(self.handed_back.clone()))?;
        registry.register(Box::new(self.paused.clone()))?;
        registry.register(Box::new(self.commands.clone()))?;
        registry.register(Box::new(self.published.clone()))?;
        registry.register(Box::new(self.publish_failures.clone()))?;
        registry.register(Box::new(self.publish_seconds.clone()))?;
        registry.register(Box::new(self.outbox_depth.clone()))?;
        registry.register(Box::new(self.outbox_oldest_seconds.clone()))?;
        registry.register(Box::new(self.authorizations.clone()))?;
        registry.register(Box::new(self.open_cases.clone()))?;
        registry.register(Box::new(self.timers.clone()))?;
        registry.register(Box::new(self.parked_messages.clone()))
    }

    /// A counter that was never touched would be missing: an alert on it could not tell.
    fn show_zeros(&self) {
        for queue in WorkQueue::ALL.map(WorkQueue::name) {
            self.deliveries.with_label_values(&[queue]);
            self.handed_back.with_label_values(&[queue]);
            for reason in ParkReason::ALL {
                self.parked.with_label_values(&[queue, reason.as_str()]);
            }
        }
        for name in Body::NAMES {
            self.commands.with_label_values(&[name]);
        }
        for error in PublishError::ALL {
            self.publish_failures.with_label_values(&[error.as_str()]);
        }
        for health in Health::ALL {
            self.authorizations.with_label_values(&[health.as_str()]);
        }
        for reason in REASONS {
            self.open_cases.with_label_values(&[reason.as_str()]);
        }
    }
}

/// Why a case can be open.
pub(crate) const REASONS: [Reason; 3] = [Reason::Inactive, Reason::Upcoming, Reason::Numbers];

/// From a commit on a quiet machine to one that hits a timeout.
const SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauges(name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new(name, help), &[label])
}

fn histograms(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    HistogramVec::new(options, &["queue"])
}
