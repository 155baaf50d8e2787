//! What every worker and the scheduler share: the store, the rules and the way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use relink_core::input::Input;
use relink_core::policy::Policy;

use crate::batch::{Batch, Report};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::store::{OutboxRow, Store, StoreError};

/// Whether the database answered last; clones share it. A role's readiness follows it.
#[derive(Clone, Debug, Default)]
pub struct Availability(Arc<AtomicBool>);

impl Availability {
    /// Whether the last call got through; `false` before the first.
    pub fn is_available(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes note of a call: data that is refused was answered all the same.
    pub fn note<T>(&self, result: &Result<T, StoreError>) {
        let away = matches!(result, Err(StoreError::Transient(_) | StoreError::Misconfigured(_)));
        self.0.store(!away, Ordering::Relaxed);
    }
}

/// The engine; clones share everything.
#[derive(Clone)]
pub struct Engine {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The operator's choices.
    pub policy: Arc<Policy>,
    /// The clock of the rules.
    pub clock: Arc<dyn Clock>,
    /// The way out, with the machine's clock.
    pub outbox: Outbox,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether the database answers.
    pub database: Availability,
}

impl Engine {
    /// Decides about the inputs in one transaction; returns what became of each, and the commands
    /// that were committed and still have to be sent.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn decide(
        &self,
        queue: &str,
        inputs: Arc<[Input]>,
        traceparents: Arc<[Option<Arc<str>>]>,
    ) -> Result<(Report, Vec<OutboxRow>), StoreError> {
        let started = Instant::now();
        let batch = Batch {
            inputs: Arc::clone(&inputs),
            traceparents,
            policy: Arc::clone(&self.policy),
            now: self.clock.now(),
            wall: Arc::clone(&self.outbox.wall),
        };
        let (decide, report) = batch.decider();
        let written = self.store.transact(Arc::clone(&inputs), decide).await;
        self.database.note(&written);
        let writes = written?;
        let report = report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seconds = started.elapsed().as_secs_f64();
        self.metrics.queue(queue).commit_seconds.observe(seconds);
        self.count(queue, &inputs, &report, &writes.outbox);
        Ok((report, writes.outbox))
    }

    /// Only what was committed is counted.
    fn count(&self, queue: &str, inputs: &[Input], report: &Report, outbox: &[OutboxRow]) {
        let queue = self.metrics.queue(queue);
        queue.decide_seconds.observe(report.took.as_secs_f64());
        for (input, verdict) in inputs.iter().zip(&report.verdicts) {
            if let Some(verdict) = verdict {
                queue.verdicts.inc(verdict);
                self.metrics.inputs.inc(&input.kind, *verdict);
            }
        }
        for milestone in &report.milestones {
            self.metrics.cases.count(milestone);
        }
        for row in outbox {
            self.metrics.command(&row.kind);
        }
    }
}
