//! The bus of a single process: the same topology and settlements, no broker.
//!
//! A publish resolves when the message's consumer has settled it. That is what makes the embedded
//! mode durable without a queue on disk: ingress answers 2xx after the database has committed,
//! and a command stays in the outbox until its consumer has accepted it. What is set aside goes
//! to a [`ParkingLot`]. Queues are bounded; a full one makes publishers wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::message::{Delivery, Message, Receipt};
use crate::port::{
    ParkReason, Parked, Parking, ParkingLot, PublishError, Publisher, Settlement, SubscribeError,
    Subscriber,
};
use crate::topology::{RETRY_LADDER, UNKNOWN_TYPE_KEY, WorkQueue};

/// How many messages a queue holds before its publishers wait.
const QUEUE_CAPACITY: usize = 4096;

/// Our clock, Unix milliseconds; given from outside so that tests can turn it.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A message on its way, with the publisher that waits for it.
struct Entry {
    delivery: Delivery,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// The bus; clones share it.
#[derive(Clone)]
pub struct InProcessBus {
    queues: Arc<HashMap<WorkQueue, mpsc::Sender<Entry>>>,
    /// Multiplies the waits of the retry ladder: 1 in earnest, less where time runs faster.
    pace: f64,
}

/// One queue's consumer.
pub struct InProcessSubscriber {
    queue: WorkQueue,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Entry>>,
    again: mpsc::Sender<Entry>,
    given_out: Mutex<HashMap<u64, Entry>>,
    next_tag: AtomicU64,
    parking_lot: Arc<dyn ParkingLot>,
    closed: watch::Sender<bool>,
    paused: AtomicBool,
    pace: f64,
    now: Now,
}

impl InProcessBus {
    /// A bus with these queues, and their subscribers. Messages for other queues are unroutable
    /// where mandatory, and dropped where not, as with a broker.
    pub fn new(
        queues: &[WorkQueue],
        parking_lot: &Arc<dyn ParkingLot>,
        pace: f64,
        now: &Now,
    ) -> (Self, Vec<Arc<InProcessSubscriber>>) {
        let mut senders = HashMap::new();
        let mut subscribers = Vec::new();
        for queue in queues {
            let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
            senders.insert(*queue, sender.clone());
            subscribers.push(Arc::new(InProcessSubscriber {
                queue: *queue,
                receiver: tokio::sync::Mutex::new(receiver),
                again: sender,
                given_out: Mutex::new(HashMap::new()),
                next_tag: AtomicU64::new(1),
                parking_lot: Arc::clone(parking_lot),
                closed: watch::Sender::new(false),
                paused: AtomicBool::new(false),
                pace,
                now: Arc::clone(now),
            }));
        }
        (Self { queues: Arc::new(senders), pace }, subscribers)
    }

    /// Whether a queue of this bus takes the message.
    pub fn routes(&self, message: &Message) -> bool {
        self.route(message).is_some()
    }

    fn route(&self, message: &Message) -> Option<&mpsc::Sender<Entry>> {
        let takes = |queue: &WorkQueue, key: &str| {
            queue.exchange() == message.exchange && queue.keys().contains(&key)
        };
        // No message is bound to two work queues: the topology's keys are disjoint.
        let direct = self.queues.iter().find(|(queue, _)| takes(queue, &message.routing_key));
        let also = message.also_to.or(Some(UNKNOWN_TYPE_KEY).filter(|_| message.mandatory));
        let found = direct.or_else(|| {
            self.queues.iter().find(|(queue, _)| also.is_some_and(|key| takes(queue, key)))
        });
        found.map(|(_, sender)| sender)
    }

    /// The pace of the retry ladder.
    pub fn pace(&self) -> f64 {
        self.pace
    }
}

#[async_trait]
impl Publisher for InProcessBus {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let Some(sender) = self.route(&message) else {
            return if message.mandatory { Err(PublishError::Unroutable) } else { Ok(()) };
        };
        let (done, settled) = oneshot::channel();
        let delivery = Delivery {
            receipt: Receipt { generation: 0, tag: 0 },
            id: Some(message.id),
            kind: Some(message.kind),
            routing_key: message.routing_key,
            correlation: message.correlation,
            headers: message.headers,
            redelivered: false,
            body: message.body,
        };
        sender.send(Entry { delivery, done }).await.map_err(|_| PublishError::Away)?;
        // A consumer that is gone has handed everything back.
        settled.await.unwrap_or(Err(PublishError::Away))
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let mut waiting = tokio::task::JoinSet::new();
        let count = messages.len();
        for (index, message) in messages.into_iter().enumerate() {
            let bus = self.clone();
            waiting.spawn(async move { (index, bus.publish(message).await) });
        }
        let mut results = vec![Err(PublishError::Away); count];
        while let Some(joined) = waiting.join_next().await {
            if let Ok((index, result)) = joined
                && let Some(slot) = results.get_mut(index)
            {
                *slot = result;
            }
        }
        results
    }

    fn is_ready(&self) -> bool {
        true
    }
}

impl InProcessSubscriber {
    fn hand_out(&self, mut entry: Entry) -> Delivery {
        let tag = self.next_tag.fetch_add(1, Ordering::Relaxed);
        entry.delivery.receipt = Receipt { generation: 1, tag };
        let delivery = entry.delivery.clone();
        self.given_out.lock().unwrap_or_else(PoisonError::into_inner).insert(tag, entry);
        delivery
    }

    fn take_back(&self, receipt: Receipt) -> Option<Entry> {
        self.given_out.lock().unwrap_or_else(PoisonError::into_inner).remove(&receipt.tag)
    }

    fn now(&self) -> i64 {
        (self.now)()
    }

    async fn settle_one(&self, entry: Entry, settlement: Settlement) {
        let answer = match settlement {
            Settlement::Accept => Ok(()),
            Settlement::HandBack => Err(PublishError::Away),
            Settlement::Retry(parking) => return self.retry(entry, parking).await,
            Settlement::Park(parking) => return self.park(entry, parking).await,
        };
        // The publisher may have given up waiting; then its copy comes again.
        let _ = entry.done.send(answer);
    }

    /// Puts it back after the rung's wait, or parks it when the ladder is exhausted.
    async fn retry(&self, mut entry: Entry, parking: Parking) {
        let attempt = entry.delivery.headers.attempts;
        let rung = usize::try_from(attempt).ok().and_then(|rung| RETRY_LADDER.get(rung));
        let Some((_, wait)) = rung else {
            let parking = Parking { reason: ParkReason::RetriesExhausted, ..parking };
            return self.park(entry, parking).await;
        };
        entry.delivery.headers.attempts = attempt + 1;
        entry.delivery.headers.first_failed_at_unix_ms.get_or_insert(self.now());
        entry.delivery.redelivered = true;
        let (again, wait) = (self.again.clone(), wait.mul_f64(self.pace));
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // A closed queue drops the entry, and with it tells the publisher.
            let _ = again.send(entry).await;
        });
    }

    async fn park(&self, entry: Entry, parking: Parking) {
        let now = self.now();
        let first = entry.delivery.headers.first_failed_at_unix_ms.unwrap_or(now);
        let parked = Parked {
            queue: self.queue.name(),
            delivery: entry.delivery.clone(),
            parking,
            first_failed_at_unix_ms: first,
            last_failed_at_unix_ms: now,
        };
        let answer = match self.parking_lot.park(parked).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::error!(queue = self.queue.name(), error, "cannot park a message");
                Err(PublishError::Refused)
            }
        };
        let _ = entry.done.send(answer);
    }
}

#[async_trait]
impl Subscriber for InProcessSubscriber {
    async fn next_batch(
        &self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        let mut closed = self.closed.subscribe();
        let mut receiver = self.receiver.lock().await;
        self.paused.store(false, Ordering::Relaxed);
        let first = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => return Err(SubscribeError::Closed),
            entry = receiver.recv() => entry.ok_or(SubscribeError::Closed)?,
        };
        let mut batch = vec![self.hand_out(first)];
        let full = tokio::time::sleep(linger);
        tokio::pin!(full);
        while batch.len() < max {
            if let Ok(entry) = receiver.try_recv() {
                batch.push(self.hand_out(entry));
                continue;
            }
            if linger.is_zero() {
                break;
            }
            tokio::select! {
                () = &mut full => break,
                entry = receiver.recv() => match entry {
                    Some(entry) => batch.push(self.hand_out(entry)),
                    None => break,
                },
            }
        }
        Ok(batch)
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        for (receipt, settlement) in settlements {
            if let Some(entry) = self.take_back(receipt) {
                self.settle_one(entry, settlement).await;
            }
        }
    }

    async fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
        let mut receiver = self.receiver.lock().await;
        while let Ok(entry) = receiver.try_recv() {
            let _ = entry.done.send(Err(PublishError::Away));
        }
    }

    async fn close(&self) {
        self.closed.send_replace(true);
        let mut receiver = self.receiver.lock().await;
        receiver.close();
        while let Some(entry) = receiver.recv().await {
            let _ = entry.done.send(Err(PublishError::Away));
        }
    }

    fn is_ready(&self) -> bool {
        !self.paused.load(Ordering::Relaxed)
    }
}
