//! The one consume loop: batches in, one transaction, commands out, then acknowledge.

use std::sync::Arc;
use std::time::Duration;

use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{Parking, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_core::bug::{Bug, is_planted};
use relink_core::input::Input;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::Done;
use crate::engine::Engine;
use crate::metrics::QueueMetrics;
use crate::store::StoreError;

/// Most deliveries in a batch: measured, larger ones gain little and lock longer.
pub const BATCH_MAX: usize = 512;

/// For each further delivery of a batch, the next one may wait this part of what the batch took.
const LINGER_SHARE: u32 = 8;

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
    /// The longest that a batch waits for more after its first delivery, see [`linger`]; zero
    /// takes what is there.
    pub linger: Duration,
    /// What comes first after a commit.
    pub order: Order,
    /// From how many inputs on a batch is decided in two halves at once, none of which touches
    /// what the other does: while one waits for the database, the other one decides. Only where
    /// two transactions can run beside each other.
    pub halves_from: usize,
}

/// How long the next batch waits for more, after one of so many deliveries that took so long.
///
/// Each transaction costs as much as dozens of events, in the worker and in the database. So the
/// busier a queue is the longer a batch may fill, and less is to be done for each event: nothing
/// where a delivery came alone, and nothing where batches fill by themselves while the one before
/// is decided.
fn linger(size: usize, took: Duration) -> Duration {
    if size > BATCH_MAX / 2 {
        return Duration::ZERO;
    }
    let further = u32::try_from(size.saturating_sub(1)).unwrap_or(u32::MAX);
    took.saturating_mul(further) / LINGER_SHARE
}

impl Consumer {
    /// Consumes until told to stop, then finishes what is in hand and hands back the rest.
    ///
    /// # Errors
    /// [`SubscribeError::Misconfigured`], when trying again cannot help.
    pub async fn run(self, stop: CancellationToken) -> Result<(), SubscribeError> {
        let settling = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(SETTLING_MAX));
        let sending = Arc::new(Semaphore::new(SENDING_MAX));
        let mut wait = PROBE_MIN;
        let mut fill = Duration::ZERO;
        let result = loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                batch = self.subscriber.next_batch(BATCH_MAX, fill) => batch,
            };
            match batch {
                Ok(batch) => {
                    // Taking the slot first bounds what is committed but not acknowledged.
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break Ok(()) };
                    let (size, began) = (batch.len(), Instant::now());
                    let done = match is_planted(Bug::AcknowledgeBeforeCommit) {
                        true => self.apply_late(batch).await,
                        false => self.apply(batch).await,
                    };
                    fill = linger(size, began.elapsed()).min(self.linger);
                    let away = done.away.clone();
                    let consumer = self.clone();
                    let sending = Arc::clone(&sending);
                    settling.spawn(async move {
                        match consumer.order {
                            Order::PublishFirst => consumer.publish_then_settle(done).await,
                            Order::AcknowledgeFirst => {
                                consumer.settle(done.settlements).await;
                                drop(slot);
                                if let Ok(_sending) = sending.try_acquire() {
                                    consumer.engine.outbox.send(done.outbox).await;
                                }
                            }
                        }
                    });
                    match away {
                        Some(error) => self.wait_for_database(&error, &mut wait, &stop).await,
                        None => wait = PROBE_MIN,
                    }
                }
                Err(SubscribeError::Closed) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.subscriber.close().await;
        settling.close();
        settling.wait().await;
        result
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

    /// Stops consuming, so that messages do not spin between broker and worker, and probes until
    /// the database is back. The pauses grow until a batch succeeds: a database that answers
    /// probes and fails batches would use up the queue's delivery limit.
    async fn wait_for_database(
        &self,
        error: &StoreError,
        wait: &mut Duration,
        stop: &CancellationToken,
    ) {
        let queue = self.queue.name();
        tracing::error!(queue, %error, "consuming stops until the database is back");
        let paused = &self.metrics().paused;
        paused.set(1);
        self.subscriber.pause().await;
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
        paused.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_the_longer_the_busier_the_queue_is_but_not_where_it_fills_by_itself() {
        let after = |size| linger(size, Duration::from_millis(4)).as_micros();
        assert_eq!([0, 1, 2, 9, 256].map(after), [0, 0, 500, 4_000, 127_500]);
        assert_eq!([257, BATCH_MAX].map(after), [0, 0]);
    }
}
