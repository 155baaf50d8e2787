//! A broker that outlives the processes: durable queues, redelivery, the retry ladder.
//!
//! It keeps what the topology promises and what RabbitMQ's documentation says of quorum queues:
//! what is not acknowledged comes again, marked as redelivered, when its consumer is gone; a
//! message that was handed out more often than the limit is parked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use relink_bus::message::{Delivery, Message, Receipt};
use relink_bus::port::{ParkReason, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::{DELIVERY_LIMIT, RETRY_LADDER, WorkQueue};
use tokio::sync::Notify;

use crate::stage::Stage;

/// The broker.
#[derive(Default)]
pub(crate) struct Broker {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<WorkQueue, Queue>,
    taken: BTreeSet<Arc<str>>,
    away: bool,
    next_consumer: u64,
    next_tag: u64,
    /// Messages that wait on a rung of the ladder.
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Stored>,
    in_hand: BTreeMap<u64, (u64, Stored)>,
    /// Who consumes it, in the order of coming; the first one alone where there is to be one.
    consumers: Vec<u64>,
}

#[derive(Clone)]
struct Stored {
    delivery: Delivery,
    handed_out: i64,
}

impl Broker {
    /// Takes a message for all queues that it is for; whether there is one.
    pub(crate) fn take(&self, message: &Message) -> bool {
        let queues = routes(message);
        if queues.is_empty() && message.mandatory {
            return false;
        }
        let mut state = self.lock();
        state.taken.insert(Arc::clone(&message.id));
        for queue in queues {
            let delivery = Delivery {
                receipt: Receipt { generation: 0, tag: 0 },
                id: Some(Arc::clone(&message.id)),
                kind: Some(Arc::clone(&message.kind)),
                routing_key: Arc::clone(&message.routing_key),
                timestamp_unix_s: Some(message.timestamp_unix_s),
                correlation: message.correlation.clone(),
                headers: message.headers.clone(),
                redelivered: false,
                body: message.body.clone(),
            };
            let stored = Stored { delivery, handed_out: 0 };
            state.queues.entry(queue).or_default().ready.push_back(stored);
        }
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Whether a message with this id was ever taken.
    pub(crate) fn has_taken(&self, id: &str) -> bool {
        self.lock().taken.contains(id)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.lock().away
    }

    /// Goes away, which breaks every connection, or comes back.
    pub(crate) fn set_away(&self, away: bool) {
        let mut state = self.lock();
        state.away = away;
        if away {
            for queue in state.queues.values_mut() {
                queue.hand_back(|_| true);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Messages that nobody has settled yet.
    pub(crate) fn depth(&self) -> usize {
        let state = self.lock();
        let of = |queue: &Queue| queue.ready.len() + queue.in_hand.len();
        state.waiting + state.queues.values().map(of).sum::<usize>()
    }

    /// A new consumer of a queue.
    pub(crate) fn line(stage: &Arc<Stage>, queue: WorkQueue) -> Arc<Line> {
        let mut state = stage.broker.lock();
        state.next_consumer += 1;
        let consumer = state.next_consumer;
        state.queues.entry(queue).or_default().consumers.push(consumer);
        drop(state);
        Arc::new(Line { stage: Arc::clone(stage), queue, consumer })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn routes(message: &Message) -> Vec<WorkQueue> {
    let takes = |queue: &WorkQueue, key: &str| {
        queue.exchange() == message.exchange && queue.keys().contains(&key)
    };
    let is_for = |queue: &WorkQueue| {
        takes(queue, &message.routing_key) || message.also_to.is_some_and(|key| takes(queue, key))
    };
    WorkQueue::ALL.into_iter().filter(is_for).collect()
}

impl Queue {
    fn hand_back(&mut self, whose: impl Fn(u64) -> bool) {
        let back: Vec<u64> =
            self.in_hand.iter().filter(|(_, (of, _))| whose(*of)).map(|(tag, _)| *tag).collect();
        for tag in back.into_iter().rev() {
            if let Some((_, mut stored)) = self.in_hand.remove(&tag) {
                stored.delivery.redelivered = true;
                self.ready.push_front(stored);
            }
        }
    }
}

/// One consumer of one queue.
pub(crate) struct Line {
    stage: Arc<Stage>,
    queue: WorkQueue,
    consumer: u64,
}

impl Line {
    /// The connection breaks: what is in hand comes again, here or elsewhere.
    pub(crate) fn lose_connection(&self) {
        self.change(|queue| queue.hand_back(|consumer| consumer == self.consumer));
    }

    /// The consumer is gone for good.
    pub(crate) fn die(&self) {
        self.change(|queue| {
            queue.hand_back(|consumer| consumer == self.consumer);
            queue.consumers.retain(|consumer| *consumer != self.consumer);
        });
    }

    fn change(&self, how: impl FnOnce(&mut Queue)) {
        how(self.stage.broker.lock().queues.entry(self.queue).or_default());
        self.stage.broker.changed.notify_waiters();
    }

    fn try_batch(&self, max: usize) -> Vec<Delivery> {
        let mut state = self.stage.broker.lock();
        if state.away {
            return Vec::new();
        }
        let mut tag = state.next_tag;
        let queue = state.queues.entry(self.queue).or_default();
        let is_first = queue.consumers.first() == Some(&self.consumer);
        let is_here = queue.consumers.contains(&self.consumer);
        if !is_here || (self.queue.is_single_active() && !is_first) {
            return Vec::new();
        }
        let mut batch = Vec::new();
        while batch.len() < max
            && let Some(mut stored) = queue.ready.pop_front()
        {
            tag += 1;
            stored.handed_out += 1;
            stored.delivery.receipt = Receipt { generation: self.consumer, tag };
            batch.push(stored.delivery.clone());
            let over = stored.handed_out > DELIVERY_LIMIT;
            queue.in_hand.insert(tag, (self.consumer, stored));
            if over {
                let id = batch.last().and_then(|one| one.id.clone()).unwrap_or_default();
                self.stage.broken(format!("{id} was handed out more often than the limit"));
            }
        }
        state.next_tag = tag;
        batch
    }

    fn settle_one(&self, tag: u64, settlement: Settlement) {
        let mut state = self.stage.broker.lock();
        let queue = state.queues.entry(self.queue).or_default();
        let Some((_, mut stored)) = queue.in_hand.remove(&tag) else { return };
        match settlement {
            Settlement::Accept => {}
            Settlement::HandBack => {
                stored.delivery.redelivered = true;
                queue.ready.push_front(stored);
            }
            Settlement::Retry(parking) => {
                let attempts = stored.delivery.headers.attempts;
                let rung = usize::try_from(attempts).ok().and_then(|one| RETRY_LADDER.get(one));
                let Some((_, wait)) = rung else {
                    drop(state);
                    self.parked(&stored, ParkReason::RetriesExhausted, &parking.error);
                    return;
                };
                stored.delivery.headers.attempts += 1;
                state.waiting += 1;
                drop(state);
                self.wait_on_the_ladder(stored, *wait);
                return;
            }
            Settlement::Park(parking) => {
                drop(state);
                self.parked(&stored, parking.reason, &parking.error);
                return;
            }
        }
        drop(state);
        self.stage.broker.changed.notify_waiters();
    }

    fn parked(&self, stored: &Stored, reason: ParkReason, error: &str) {
        let id = stored.delivery.id.as_deref().unwrap_or_default();
        self.stage.parked(id, reason, error);
    }

    fn wait_on_the_ladder(&self, mut stored: Stored, wait: Duration) {
        let (stage, queue) = (Arc::clone(&self.stage), self.queue);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            stored.handed_out = 0;
            let mut state = stage.broker.lock();
            state.waiting -= 1;
            state.queues.entry(queue).or_default().ready.push_back(stored);
            drop(state);
            stage.broker.changed.notify_waiters();
        });
    }
}

#[async_trait]
impl Subscriber for Line {
    async fn next_batch(
        &self,
        max: usize,
        _linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        loop {
            let changed = self.stage.broker.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let batch = self.try_batch(max);
            if !batch.is_empty() {
                return Ok(batch);
            }
            changed.await;
        }
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        for (receipt, settlement) in settlements {
            self.settle_one(receipt.tag, settlement);
        }
    }

    async fn pause(&self) {}

    async fn close(&self) {
        self.die();
    }

    fn is_ready(&self) -> bool {
        !self.stage.broker.is_away()
    }
}
