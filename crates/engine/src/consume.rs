//! The one consume loop: batches in, one transaction, commands out, then acknowledge.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{Parking, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_core::bug::{Bug, is_planted};
use relink_core::input::Input;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::Done;
use crate::engine::Engine;
use crate::fill::Fill;
use crate::metrics::QueueMetrics;
use crate::store::StoreError;

/// Most deliveries in a batch: measured, larger ones gain little and lock longer.
pub const BATCH_MAX: usize = 512;

/// How many committed batches may still be publishing and acknowledging while the next ones are
/// decided; bounds what a crash repeats.
const SETTLING_MAX: usize = 4;

/// The first pause before a database that has failed is probed.
const PROBE_MIN: Duration = Duration::from_millis(50);

/// Longest pause between two probes of a database that is away: consuming again within 5 s of
/// its return is promised.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// How many batches may be sending their commands after they were acknowledged; beyond that the
/// relay takes over.
const SENDING_MAX: usize = 64;

/// What comes first after a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Publish the commands, then acknowledge: the usual order, with a broker.
    PublishFirst,
    /// Acknowledge, then publish: on the bus of a single process an acknowledgement answers a
    /// webhook, which must not wait for whoever receives the commands.
    AcknowledgeFirst,
}

/// Turns a delivery into an input, or says why it has to be parked.
pub type Decode = fn(&Delivery) -> Result<Input, Parking>;

/// Consumes one queue.
#[derive(Clone)]
pub struct Consumer {
    /// Which.
    pub queue: WorkQueue,
    /// Where deliveries come from.
    pub subscriber: Arc<dyn Subscriber>,
    /// How they are read.
    pub decode: Decode,
    /// What decides.
    pub engine: Engine,
    /// The longest that a batch waits for more once a queue is busy; zero takes what is there.
    pub linger_max: Duration,
    /// What comes first after a commit.
    pub order: Order,
    /// From how many inputs on a batch is decided in two halves at once, none of which touches
    /// what the other does: while one waits for the database, the other one decides. Only where
    /// two transactions can run beside each other.
    pub halves_from: usize,
    /// How many batches are decided beside each other. More than one only where the first of them
    /// would leave everything idle: while a database of one writer waits for its disk.
    pub at_once: usize,
}

/// A batch that was applied.
struct Decided {
    done: Done,
    slot: OwnedSemaphorePermit,
    size: usize,
    took: Duration,
}

/// What a task came to; a panic goes on here.
pub(crate) fn unwound<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

impl Consumer {
    /// Consumes until told to stop, then finishes what is in hand and hands back the rest.
    ///
    /// # Errors
    /// [`SubscribeError::Misconfigured`], when trying again cannot help.
    pub async fn run(self, stop: CancellationToken) -> Result<(), SubscribeError> {
        let settling = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(SETTLING_MAX.max(self.at_once)));
        let sending = Arc::new(Semaphore::new(SENDING_MAX));
        let mut deciding = JoinSet::new();
        let finish = |decided: Decided| {
            let Decided { done, slot, .. } = decided;
            settling.spawn(self.clone().finish(done, slot, Arc::clone(&sending)));
        };
        let mut wait = PROBE_MIN;
        let mut fill = Fill::new(self.linger_max);
        let result = loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                Some(decided) = deciding.join_next() => {
                    let decided: Decided = unwound(decided);
                    fill.after(decided.size, decided.took);
                    let away = decided.done.away.clone();
                    finish(decided);
                    let Some(error) = away else {
                        wait = PROBE_MIN;
                        continue;
                    };
                    self.stop_consuming(&error).await;
                    // What they meet is the same trouble, and nobody shall wait for its end.
                    deciding.join_all().await.into_iter().for_each(finish);
                    deciding = JoinSet::new();
                    self.wait_for_database(&mut wait, &stop).await;
                    continue;
                }
                batch = fill.batch(&*self.subscriber), if deciding.len() < self.at_once => batch,
            };
            match batch {
                Ok(batch) => {
                    // Taking the slot first bounds what is committed but not acknowledged.
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break Ok(()) };
                    deciding.spawn(self.clone().take(batch, slot));
                }
                Err(SubscribeError::Closed) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        deciding.join_all().await.into_iter().for_each(finish);
        self.subscriber.close().await;
        settling.close();
        settling.wait().await;
        result
    }

    /// Applies a batch that has its slot.
    async fn take(self, batch: Vec<Delivery>, slot: OwnedSemaphorePermit) -> Decided {
        let (size, began) = (batch.len(), Instant::now());
        let done = match is_planted(Bug::AcknowledgeBeforeCommit) {
            true => self.apply_late(batch).await,
            false => self.apply(batch).await,
        };
        Decided { done, slot, size, took: began.elapsed() }
    }

    /// What is left to do for a batch that was applied.
    async fn finish(self, done: Done, slot: OwnedSemaphorePermit, sending: Arc<Semaphore>) {
        match self.order {
            Order::PublishFirst => self.publish_then_settle(done).await,
            Order::AcknowledgeFirst => {
                self.settle(done.settlements).await;
                drop(slot);
                if let Ok(_sending) = sending.try_acquire() {
                    self.engine.outbox.send(done.outbox).await;
                }
            }
        }
    }

    /// The bug of that name.
    async fn apply_late(&self, batch: Vec<Delivery>) -> Done {
        let accept = |delivery: &Delivery| (delivery.receipt, Settlement::Accept);
        self.settle(batch.iter().map(accept).collect()).await;
        Done { settlements: Vec::new(), ..self.apply(batch).await }
    }

    pub(crate) fn metrics(&self) -> &QueueMetrics {
        self.engine.metrics.queue(self.queue.name())
    }

    /// A crash in between repeats work and loses nothing.
    async fn publish_then_settle(&self, done: Done) {
        self.engine.outbox.send(done.outbox).await;
        self.settle(done.settlements).await;
    }

    async fn settle(&self, mut settlements: Vec<(Receipt, Settlement)>) {
        settlements.sort_unstable_by_key(|(receipt, _)| *receipt);
        self.subscriber.settle(settlements).await;
    }

    /// Stops consuming, so that messages do not spin between broker and worker.
    async fn stop_consuming(&self, error: &StoreError) {
        let queue = self.queue.name();
        tracing::error!(queue, %error, "consuming stops until the database is back");
        self.metrics().paused.set(1);
        self.subscriber.pause().await;
    }

    /// Probes until the database is back. The pauses grow until a batch succeeds: a database that
    /// answers probes and fails batches would use up the queue's delivery limit.
    async fn wait_for_database(&self, wait: &mut Duration, stop: &CancellationToken) {
        let queue = self.queue.name();
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(*wait) => {}
            }
            *wait = (*wait * 2).min(PROBE_MAX);
            let probed = self.engine.store.probe().await;
            self.engine.database.note(&probed);
            if probed.is_ok() {
                tracing::info!(queue, "the database is back");
                break;
            }
        }
        self.metrics().paused.set(0);
    }
}
