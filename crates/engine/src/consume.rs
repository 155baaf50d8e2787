//! The one consume loop: batches in, one transaction, commands out, then acknowledge.

use std::sync::Arc;
use std::time::Duration;

use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{ParkReason, Parking, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_core::bug::{Bug, is_planted};
use relink_core::input::Input;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Engine;
use crate::metrics::QueueMetrics;
use crate::store::{OutboxRow, StoreError};

/// Most deliveries in one transaction: measured, larger batches gain little and lock longer.
pub const BATCH_MAX: usize = 256;

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
    /// How long to wait for a batch to fill after its first delivery; zero takes what is there.
    pub linger: Duration,
    /// What comes first after a commit.
    pub order: Order,
}

/// A delivery that was read.
#[derive(Clone)]
struct Work {
    receipt: Receipt,
    input: Input,
    traceparent: Option<Arc<str>>,
}

/// What became of a batch.
#[derive(Default)]
struct Done {
    settlements: Vec<(Receipt, Settlement)>,
    outbox: Vec<OutboxRow>,
    away: Option<StoreError>,
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
        let result = loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                batch = self.subscriber.next_batch(BATCH_MAX, self.linger) => batch,
            };
            match batch {
                Ok(batch) => {
                    // Taking the slot first bounds what is committed but not acknowledged.
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break Ok(()) };
                    let done = match is_planted(Bug::AcknowledgeBeforeCommit) {
                        true => self.apply_late(batch).await,
                        false => self.apply(batch).await,
                    };
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

    fn metrics(&self) -> &QueueMetrics {
        self.engine.metrics.queue(self.queue.name())
    }

    async fn apply(&self, batch: Vec<Delivery>) -> Done {
        let metrics = self.metrics();
        metrics.deliveries.inc_by(batch.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a few hundred")]
        metrics.batch_size.observe(batch.len() as f64);
        let again = batch.iter().filter(|delivery| delivery.redelivered).count();
        metrics.redelivered.inc_by(again as u64);
        let mut done = Done::default();
        let mut works = Vec::with_capacity(batch.len());
        for delivery in batch {
            match (self.decode)(&delivery) {
                Ok(input) => works.push(Work {
                    receipt: delivery.receipt,
                    input,
                    traceparent: delivery.headers.traceparent,
                }),
                Err(parking) => {
                    let event = delivery.id.as_deref().unwrap_or_default();
                    self.park(&mut done, delivery.receipt, event, parking);
                }
            }
        }
        self.decide_all(works, &mut done).await;
        done
    }

    /// Decides; a batch that the database or the rules refuse is split until the culprit is
    /// alone, so that its mates are applied.
    async fn decide_all(&self, works: Vec<Work>, done: &mut Done) {
        let mut waiting = vec![works];
        while let Some(mut works) = waiting.pop() {
            if works.is_empty() {
                continue;
            }
            if done.away.is_some() {
                self.hand_back(done, &works);
                continue;
            }
            let inputs: Arc<[Input]> = works.iter().map(|work| work.input.clone()).collect();
            let traces = works.iter().map(|work| work.traceparent.clone()).collect();
            match self.engine.decide(self.queue.name(), inputs, traces).await {
                Ok((report, outbox)) => {
                    done.outbox.extend(outbox);
                    for (work, verdict) in works.iter().zip(&report.verdicts) {
                        if verdict.is_some() {
                            done.settlements.push((work.receipt, Settlement::Accept));
                        }
                    }
                    for (index, refusal) in report.refused {
                        let parking = Parking::new(ParkReason::TooManyAccounts, refusal);
                        if let Some(work) = works.get(index) {
                            self.park(done, work.receipt, work.input.id.as_str(), parking);
                        }
                    }
                }
                Err(StoreError::Undecided(index)) if index < works.len() => {
                    let work = works.remove(index);
                    let parking = Parking::new(ParkReason::Panicked, "deciding about it panicked");
                    self.park(done, work.receipt, work.input.id.as_str(), parking);
                    waiting.push(works);
                }
                Err(StoreError::Refused(text)) => match &works[..] {
                    [work] => {
                        let parking = Parking::new(ParkReason::Constraint, text);
                        self.park(done, work.receipt, work.input.id.as_str(), parking);
                    }
                    _ => {
                        let second_half = works.split_off(works.len() / 2);
                        waiting.push(second_half);
                        waiting.push(works);
                    }
                },
                Err(error) => {
                    self.hand_back(done, &works);
                    done.away = Some(error);
                }
            }
        }
    }

    fn park(&self, done: &mut Done, receipt: Receipt, event: &str, parking: Parking) {
        self.metrics().parked.inc(&parking.reason);
        let (queue, reason) = (self.queue.name(), parking.reason.as_str());
        let error = &parking.error;
        tracing::warn!(event.id = event, queue, reason, error, "a message is parked");
        done.settlements.push((receipt, Settlement::Park(parking)));
    }

    fn hand_back(&self, done: &mut Done, works: &[Work]) {
        self.metrics().handed_back.inc_by(works.len() as u64);
        if is_planted(Bug::HandBackForgotten) {
            return;
        }
        let settlement = match is_planted(Bug::RetryCountedOnTransient) {
            true => Settlement::Retry(Parking::new(ParkReason::RetriesExhausted, "a bug")),
            false => Settlement::HandBack,
        };
        done.settlements.extend(works.iter().map(|work| (work.receipt, settlement.clone())));
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
