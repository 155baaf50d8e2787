//! What one incarnation of the consuming channel has delivered, between supervisor and caller.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel};
use relink_bus::message::{Delivery, Receipt};
use tokio::sync::Notify;

use crate::outstanding::{Frame, Outcome, Outstanding};
use crate::properties::{headers, shared, timestamp};

/// Deliveries not given out yet, and those not settled yet.
#[derive(Default)]
pub(crate) struct Shelf {
    inner: Mutex<Inner>,
    /// Wakes who waits for deliveries, or for news about why there are none.
    pub(crate) arrivals: Notify,
}

#[derive(Default)]
struct Inner {
    generation: u64,
    channel: Option<Channel>,
    ready: VecDeque<Delivery>,
    outstanding: Outstanding<Held>,
}

/// What is needed to publish a delivery again; clones share the body.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// The last of the frames being written, if any: the broker has them all once it is.
pub(crate) type Writing = BoxFuture<'static, lapin::Result<()>>;

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Starts over with a new channel. What the old one delivered comes again.
    pub(crate) fn renew(&self, channel: Channel) {
        let mut inner = self.lock();
        let generation = inner.generation + 1;
        *inner = Inner { generation, channel: Some(channel), ..Inner::default() };
    }

    /// Forgets the channel; receipts of it settle nothing any more.
    pub(crate) fn retire(&self) {
        let mut inner = self.lock();
        *inner = Inner { generation: inner.generation + 1, ..Inner::default() };
    }

    pub(crate) fn put(&self, deliveries: impl IntoIterator<Item = lapin::message::Delivery>) {
        let mut inner = self.lock();
        for delivery in deliveries {
            inner.put(delivery);
        }
        drop(inner);
        self.arrivals.notify_waiters();
    }

    /// How many wait to be given out.
    pub(crate) fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// How many are not settled yet, given out or not.
    pub(crate) fn unsettled(&self) -> usize {
        self.lock().outstanding.len()
    }

    /// Gives out at most so many.
    pub(crate) fn take(&self, max: usize) -> Vec<Delivery> {
        let mut inner = self.lock();
        let count = inner.ready.len().min(max);
        inner.ready.drain(..count).collect()
    }

    /// The delivery behind a receipt, unless it is settled or of an earlier incarnation.
    pub(crate) fn held(&self, receipt: Receipt) -> Option<Held> {
        let inner = self.lock();
        let current = inner.generation == receipt.generation;
        inner.outstanding.get(receipt.tag).filter(|_| current).cloned()
    }

    /// Hands back what was not given out.
    pub(crate) fn hand_back_ready(&self) -> Option<Writing> {
        let mut inner = self.lock();
        let ready = std::mem::take(&mut inner.ready);
        let tags = ready.into_iter().map(|delivery| (delivery.receipt.tag, Outcome::Requeue));
        inner.settle(tags.collect())
    }

    /// Settles; the number says how many receipts were of an earlier incarnation or settled
    /// before.
    pub(crate) fn settle(&self, outcomes: Vec<(Receipt, Outcome)>) -> (usize, Option<Writing>) {
        let mut inner = self.lock();
        let generation = inner.generation;
        let count = outcomes.len();
        let decided: BTreeMap<u64, Outcome> = outcomes
            .into_iter()
            .filter(|(receipt, _)| receipt.generation == generation)
            .filter(|(receipt, _)| inner.outstanding.get(receipt.tag).is_some())
            .map(|(receipt, outcome)| (receipt.tag, outcome))
            .collect();
        (count - decided.len(), inner.settle(decided))
    }
}

impl Inner {
    fn put(&mut self, delivery: lapin::message::Delivery) {
        let lapin::message::Delivery { delivery_tag, routing_key, redelivered, .. } = delivery;
        let (properties, body) = (delivery.properties, Bytes::from(delivery.data));
        self.ready.push_back(Delivery {
            receipt: Receipt { generation: self.generation, tag: delivery_tag },
            id: shared(properties.message_id().as_ref()),
            kind: shared(properties.kind().as_ref()),
            routing_key: routing_key.as_str().into(),
            timestamp_unix_s: timestamp(&properties),
            correlation: shared(properties.correlation_id().as_ref()),
            headers: headers(&properties),
            redelivered,
            body: body.clone(),
        });
        self.outstanding.insert(delivery_tag, Held { properties, body });
    }

    /// Plans and queues the frames in one go, under the lock and without waiting: their order
    /// matters, and a caller that is cancelled must not leave some of them unsent.
    fn settle(&mut self, decided: BTreeMap<u64, Outcome>) -> Option<Writing> {
        let channel = self.channel.as_ref()?;
        let mut last = None;
        for frame in self.outstanding.settle(decided) {
            let mut writing = send(channel.clone(), frame);
            // The first poll queues the frame. Frames are written in order, so that only the
            // last one, or one that failed at once, is worth waiting for.
            match (&mut writing).now_or_never() {
                Some(Err(error)) => return Some(std::future::ready(Err(error)).boxed()),
                Some(Ok(())) => {}
                None => last = Some(writing),
            }
        }
        last
    }
}

fn send(channel: Channel, frame: Frame) -> Writing {
    let Frame { tag, multiple, outcome } = frame;
    async move {
        match outcome {
            Outcome::Ack => channel.basic_ack(tag, BasicAckOptions { multiple }).await,
            // Requeue: without it the broker would dead-letter, that is park, the message.
            Outcome::Requeue => {
                channel.basic_nack(tag, BasicNackOptions { multiple, requeue: true }).await
            }
        }
    }
    .boxed()
}

/// Names the queue as the AMQP library wants it. Queue names of ours are far below 255 bytes.
pub(crate) fn queue_name(name: &str) -> ShortString {
    name.into()
}
