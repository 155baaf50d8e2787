//! One queue of a single process, as its worker sees it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::{Entry, Now};
use crate::message::{Delivery, Receipt};
use crate::port::{
    ParkReason, Parked, Parking, ParkingLot, PublishError, Settlement, SubscribeError, Subscriber,
};
use crate::topology::{RETRY_LADDER, WorkQueue};

/// One queue's consumer.
pub struct InProcessSubscriber {
    queue: WorkQueue,
    shelf: tokio::sync::Mutex<Shelf>,
    again: mpsc::Sender<Entry>,
    given_out: Mutex<HashMap<u64, Entry>>,
    next_tag: AtomicU64,
    parking_lot: Arc<dyn ParkingLot>,
    closed: watch::Sender<bool>,
    paused: AtomicBool,
    pace: f64,
    now: Now,
}

/// What was not given out yet.
struct Shelf {
    receiver: mpsc::Receiver<Entry>,
    /// The batch in the making: a cancelled `next_batch` leaves it to the next one.
    taken: VecDeque<Entry>,
}

impl Shelf {
    fn take_what_is_there(&mut self, max: usize) {
        while self.taken.len() < max {
            let Ok(entry) = self.receiver.try_recv() else { return };
            self.taken.push_back(entry);
        }
    }

    fn hand_back(&mut self) {
        for entry in self.taken.drain(..) {
            let _ = entry.done.send(Err(PublishError::Away));
        }
    }
}

impl InProcessSubscriber {
    pub(super) fn new(
        queue: WorkQueue,
        receiver: mpsc::Receiver<Entry>,
        again: mpsc::Sender<Entry>,
        parking_lot: Arc<dyn ParkingLot>,
        pace: f64,
        now: Now,
    ) -> Self {
        Self {
            queue,
            shelf: tokio::sync::Mutex::new(Shelf { receiver, taken: VecDeque::new() }),
            again,
            given_out: Mutex::new(HashMap::new()),
            next_tag: AtomicU64::new(1),
            parking_lot,
            closed: watch::Sender::new(false),
            paused: AtomicBool::new(false),
            pace,
            now,
        }
    }

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
        let mut closed = self.closed.subscribe();
        tokio::spawn(async move {
            let closing = async { _ = closed.wait_for(|closed| *closed).await };
            if tokio::time::timeout(wait, closing).await.is_err() {
                let _ = again.send(entry).await;
            }
            // A closed queue drops the entry, and with it tells the publisher.
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
        let mut shelf = self.shelf.lock().await;
        self.paused.store(false, Ordering::Relaxed);
        if *closed.borrow() {
            return Err(SubscribeError::Closed);
        }
        if shelf.taken.is_empty() {
            let first = tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return Err(SubscribeError::Closed),
                entry = shelf.receiver.recv() => entry.ok_or(SubscribeError::Closed)?,
            };
            shelf.taken.push_back(first);
        }
        let full = tokio::time::sleep(linger);
        tokio::pin!(full);
        loop {
            shelf.take_what_is_there(max);
            if shelf.taken.len() >= max || linger.is_zero() {
                break;
            }
            tokio::select! {
                biased;
                () = &mut full => break,
                entry = shelf.receiver.recv() => match entry {
                    Some(entry) => shelf.taken.push_back(entry),
                    None => break,
                },
            }
        }
        // From here on nothing waits, so that nothing is given out to a caller that has gone.
        let size = shelf.taken.len().min(max.max(1));
        Ok(shelf.taken.drain(..size).map(|entry| self.hand_out(entry)).collect())
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
        let mut shelf = self.shelf.lock().await;
        shelf.take_what_is_there(usize::MAX);
        shelf.hand_back();
    }

    async fn close(&self) {
        self.closed.send_replace(true);
        let mut shelf = self.shelf.lock().await;
        shelf.receiver.close();
        while let Some(entry) = shelf.receiver.recv().await {
            shelf.taken.push_back(entry);
        }
        shelf.hand_back();
    }

    fn is_ready(&self) -> bool {
        !self.paused.load(Ordering::Relaxed)
    }
}
