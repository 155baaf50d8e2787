//! What falls due: prompts, reminders, escalations, verifies to repeat, dates that have passed.

use std::sync::Arc;
use std::time::Duration;

use relink_core::id::InputId;
use relink_core::input::{Happened, Input};
use relink_core::time::Second;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::store::{DueHome, StoreError};

/// Homes taken at a time.
const DUE_MAX: usize = 256;
/// How often partitions are prepared and dropped.
const MAINTAIN: Duration = Duration::from_secs(3600);
/// How often counts for metrics are taken.
const CENSUS: Duration = Duration::from_secs(15);

/// Fires timers, keeps the database in order, takes the census. Any number may run at once: a
/// home that another one works on is skipped, and one that was done meanwhile is no longer due.
#[derive(Clone)]
pub struct Scheduler {
    /// What decides.
    pub engine: Engine,
    /// How often to look.
    pub tick: Duration,
    /// How long inbox and history are kept.
    pub retention_days: u32,
}

impl Scheduler {
    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            self.every(self.tick, &stop, "timers", || self.fire()),
            self.every(MAINTAIN, &stop, "maintenance", || self.maintain()),
            self.every(CENSUS, &stop, "census", || self.census()),
        );
    }

    async fn every<Work, Run>(
        &self,
        period: Duration,
        stop: &CancellationToken,
        what: &'static str,
        work: Work,
    ) where
        Work: Fn() -> Run,
        Run: Future<Output = Result<(), StoreError>>,
    {
        let mut failing = false;
        while !stop.is_cancelled() {
            let result = work().await;
            if let (Err(error), false) = (&result, failing) {
                tracing::warn!(%error, what, "the scheduler waits for the database");
            }
            failing = result.is_err();
            // After a failure soon again, whatever the period.
            let wait = if failing { period.min(Duration::from_secs(2)) } else { period };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Decides about everything that is due now.
    ///
    /// # Errors
    /// When the store is away; nothing is lost, what is due stays due.
    pub async fn fire(&self) -> Result<(), StoreError> {
        loop {
            let due = self.engine.store.due_homes(self.engine.clock.now(), DUE_MAX).await?;
            let count = due.len();
            if count == 0 {
                return Ok(());
            }
            self.decide(due).await?;
            if count < DUE_MAX {
                return Ok(());
            }
        }
    }

    async fn decide(&self, due: Vec<DueHome>) -> Result<(), StoreError> {
        self.engine.metrics.timers.inc_by(due.len() as u64);
        let inputs: Arc<[Input]> = due.into_iter().map(input).collect();
        let traces: Arc<[Option<Arc<str>>]> = inputs.iter().map(|_| None).collect();
        match self.engine.decide("timers", Arc::clone(&inputs), traces).await {
            Ok((_, outbox)) => {
                self.engine.outbox.send(outbox).await;
                Ok(())
            }
            // One home that cannot be decided must not hold up the others.
            Err(StoreError::Undecided(_) | StoreError::Refused(_)) if inputs.len() > 1 => {
                for input in inputs.iter() {
                    let result =
                        self.engine.decide("timers", [input.clone()].into(), [None].into());
                    match result.await {
                        Ok((_, outbox)) => self.engine.outbox.send(outbox).await,
                        Err(error @ StoreError::Transient(_)) => return Err(error),
                        Err(error) => tracing::error!(timer = %input.id, %error, "a timer fails"),
                    }
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn maintain(&self) -> Result<(), StoreError> {
        let now = self.engine.outbox.wall.now();
        self.engine.store.maintain(now, self.retention_days).await
    }

    async fn census(&self) -> Result<(), StoreError> {
        let census = self.engine.store.census().await?;
        let metrics = &self.engine.metrics;
        let labelled = [
            (&metrics.authorizations, census.authorizations),
            (&metrics.open_cases, census.open_cases),
        ];
        for (gauge, counts) in labelled {
            gauge.reset();
            for (label, count) in counts {
                gauge.with_label_values(&[&label]).set(count);
            }
        }
        metrics.outbox_depth.set(census.outbox_depth);
        let oldest =
            census.outbox_oldest.map_or(0, |at| self.engine.clock.now().since(at).0 / 1000);
        metrics.outbox_oldest_seconds.set(oldest);
        metrics.parked_messages.set(census.parked);
        Ok(())
    }
}

fn input(due: DueHome) -> Input {
    Input {
        id: InputId::new(format!("timer:{}:{}", due.home.home.as_str(), due.due.0)),
        scope: due.home.scope.clone(),
        kind: "relink.timer".into(),
        at: Second(due.due.0.div_euclid(1000)),
        happened: Happened::TimerDue(due.home),
    }
}
