//! What is counted of one queue.

use prometheus::{
    Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use relink_bus::port::ParkReason;
use relink_bus::topology::WorkQueue;
use relink_core::input::Verdict;

use super::SECONDS;
use super::family::{Counters, counters, histograms};

/// The name under which what falls due is counted beside the queues.
pub const TIMERS: &str = "timers";

/// All queues together, as they are registered.
#[derive(Clone, Debug)]
pub(super) struct Families {
    pub(super) deliveries: IntCounterVec,
    pub(super) redelivered: IntCounterVec,
    batch_size: HistogramVec,
    decide_seconds: HistogramVec,
    commit_seconds: HistogramVec,
    pub(super) verdicts: IntCounterVec,
    pub(super) parked: IntCounterVec,
    pub(super) handed_back: IntCounterVec,
    pub(super) paused: IntGaugeVec,
}

impl Families {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| counters(registry, name, help, labels);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            histograms(registry, name, help, "queue", buckets)
        };
        let help = "1 while a consumer waits for the database";
        let paused = IntGaugeVec::new(Opts::new("relink_worker_paused", help), &["queue"])?;
        registry.register(Box::new(paused.clone()))?;
        Ok(Self {
            deliveries: counter("relink_worker_deliveries_total", "Deliveries taken", &["queue"])?,
            redelivered: counter(
                "relink_worker_redelivered_total",
                "Deliveries that had been handed out before",
                &["queue"],
            )?,
            batch_size: histogram(
                "relink_worker_batch_size",
                "Deliveries in one transaction",
                &[1.0, 4.0, 16.0, 64.0, 128.0, 256.0],
            )?,
            decide_seconds: histogram(
                "relink_worker_decide_seconds",
                "Deciding about one batch, without the database",
                &DECIDE_SECONDS,
            )?,
            commit_seconds: histogram(
                "relink_worker_commit_seconds",
                "Gather, decide and commit",
                &SECONDS,
            )?,
            verdicts: counter(
                "relink_worker_verdicts_total",
                "Decisions by verdict",
                &["queue", "verdict"],
            )?,
            parked: counter(
                "relink_worker_parked_total",
                "Messages set aside for a person",
                &["queue", "reason"],
            )?,
            handed_back: counter(
                "relink_worker_handed_back_total",
                "Messages handed back because the database was away",
                &["queue"],
            )?,
            paused,
        })
    }

    /// The queues, each with what is counted of it.
    pub(super) fn queues(&self) -> Vec<QueueMetrics> {
        WorkQueue::ALL.map(|queue| self.queue(queue.name())).into()
    }

    /// What falls due.
    pub(super) fn timers(&self) -> QueueMetrics {
        self.queue(TIMERS)
    }

    fn queue(&self, name: &'static str) -> QueueMetrics {
        QueueMetrics {
            name,
            deliveries: self.deliveries.with_label_values(&[name]),
            redelivered: self.redelivered.with_label_values(&[name]),
            batch_size: self.batch_size.with_label_values(&[name]),
            decide_seconds: self.decide_seconds.with_label_values(&[name]),
            commit_seconds: self.commit_seconds.with_label_values(&[name]),
            verdicts: Counters::of(Verdict::all(), |verdict| {
                self.verdicts.with_label_values(&[name, verdict.as_str()])
            }),
            parked: Counters::of(ParkReason::ALL, |reason| {
                self.parked.with_label_values(&[name, reason.as_str()])
            }),
            handed_back: self.handed_back.with_label_values(&[name]),
            paused: self.paused.with_label_values(&[name]),
        }
    }
}

/// What is counted of one queue.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    /// Its name.
    pub name: &'static str,
    /// Deliveries taken from it.
    pub deliveries: IntCounter,
    /// Of those, handed out before.
    pub redelivered: IntCounter,
    /// Deliveries in one transaction.
    pub batch_size: Histogram,
    /// Deciding about one batch.
    pub decide_seconds: Histogram,
    /// Gather, decide and commit of one batch.
    pub commit_seconds: Histogram,
    /// Decisions by verdict.
    pub verdicts: Counters<Verdict>,
    /// Messages set aside.
    pub parked: Counters<ParkReason>,
    /// Messages handed back because the database was away.
    pub handed_back: IntCounter,
    /// 1 while its consumer waits for the database.
    pub paused: IntGauge,
}

/// From one input to a full batch of large authorizations.
const DECIDE_SECONDS: [f64; 8] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1];
