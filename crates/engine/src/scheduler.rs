//! What falls due: prompts, reminders, escalations, verifies to repeat, dates that have passed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use relink_core::id::InputId;
use relink_core::input::{Happened, Input};
use relink_core::time::Second;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::metrics::{Figures, TIMER, TIMERS};
use crate::store::{DueHome, StoreError};

/// Homes taken at a time.
const DUE_MAX: usize = 256;
/// How often partitions are prepared and dropped.
const MAINTAIN: Duration = Duration::from_secs(3600);
/// How often the database is looked at for metrics.
const LOOK: Duration = Duration::from_secs(15);

/// Fires timers, keeps the database in order, shows figures. Any number may run at once: a
/// home that another one works on is skipped, and one that was done meanwhile is no longer due.
#[derive(Clone)]
pub struct Scheduler {
    /// What decides.
    pub engine: Engine,
    /// What it shows of the database.
    pub figures: Figures,
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
            self.every(LOOK, &stop, "figures", || self.look()),
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
            self.engine.database.note(&result);
            if let (Err(error), false) = (&result, failing) {
                tracing::warn!(%error, what, "the scheduler waits for the database");
            }
            failing = result.is_err();
            // After a failure soon again, whatever the period.
            let wait = if failing { period.min(Duration::from_secs(2)) } else { period };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Decides about everything that is due now, each home once: one that stays due, because it
    /// cannot be decided, waits for the next look and holds up nobody behind it.
    ///
    /// # Errors
    /// When the store is away; nothing is lost, what is due stays due.
    pub async fn fire(&self) -> Result<(), StoreError> {
        let now = self.engine.clock.now();
        let mut looked_at = HashSet::new();
        let mut still_due = 0;
        loop {
            let limit = DUE_MAX + still_due;
            let mut due = self.engine.store.due_homes(now, limit).await?;
            let found = due.len();
            due.retain(|one| looked_at.insert(one.home.clone()));
            still_due = found - due.len();
            if !due.is_empty() {
                self.decide(due).await?;
            }
            if found < limit {
                return Ok(());
            }
        }
    }

    async fn decide(&self, due: Vec<DueHome>) -> Result<(), StoreError> {
        let inputs: Arc<[Input]> = due.into_iter().map(input).collect();
        match self.decide_together(Arc::clone(&inputs)).await {
            Err(StoreError::Undecided(_) | StoreError::Refused(_)) => {}
            result => return result,
        }
        // One home that cannot be decided must not hold up the others.
        for input in inputs.iter() {
            match self.decide_together([input.clone()].into()).await {
                Err(error @ (StoreError::Undecided(_) | StoreError::Refused(_))) => {
                    tracing::error!(timer = %input.id, %error, "a timer fails");
                }
                result => result?,
            }
        }
        Ok(())
    }

    async fn decide_together(&self, inputs: Arc<[Input]>) -> Result<(), StoreError> {
        let (count, traces) = (inputs.len(), inputs.iter().map(|_| None).collect());
        let (_, outbox) = self.engine.decide(TIMERS, inputs, traces).await?;
        self.engine.metrics.timers.inc_by(count as u64);
        self.engine.outbox.send(outbox).await;
        Ok(())
    }

    async fn maintain(&self) -> Result<(), StoreError> {
        let now = self.engine.outbox.wall.now();
        self.engine.store.maintain(now, self.retention_days).await
    }

    async fn look(&self) -> Result<(), StoreError> {
        let outlook = self.engine.store.outlook(self.engine.clock.now()).await?;
        self.figures.show(&outlook, self.engine.clock.now());
        Ok(())
    }
}

fn input(due: DueHome) -> Input {
    Input {
        id: InputId::new(format!("timer:{}:{}", due.home.home.as_str(), due.due.0)),
        scope: due.home.scope.clone(),
        kind: TIMER.into(),
        at: Second(due.due.0.div_euclid(1000)),
        happened: Happened::TimerDue(due.home),
    }
}
