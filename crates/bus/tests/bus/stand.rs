//! A bus with a parking lot that can be looked into, and messages for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use relink_bus::in_process::{InProcessBus, InProcessSubscriber, Now};
use relink_bus::message::{CONTENT_TYPE_JSON, Delivery, Headers, Message};
use relink_bus::port::{Parked, ParkingLot, Publisher as _, Settlement, Subscriber as _};
use relink_bus::topology::{Exchange, WorkQueue};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) type Answer = JoinHandle<Result<(), relink_bus::port::PublishError>>;

/// Keeps what was parked, or refuses to.
#[derive(Default)]
pub(crate) struct Lot {
    pub(crate) parked: Mutex<Vec<Parked>>,
    pub(crate) full: bool,
}

#[async_trait]
impl ParkingLot for Lot {
    async fn park(&self, parked: Parked) -> Result<(), String> {
        if self.full {
            return Err("no room".into());
        }
        self.parked.lock().unwrap().push(parked);
        Ok(())
    }
}

pub(crate) struct Stand {
    pub(crate) bus: InProcessBus,
    pub(crate) subscriber: Arc<InProcessSubscriber>,
    pub(crate) lot: Arc<Lot>,
}

/// A bus with one queue; its clock is the runtime's, so that a paused one turns it.
pub(crate) fn stand(queue: WorkQueue, lot: Lot, pace: f64) -> Stand {
    let lot = Arc::new(lot);
    let as_port: Arc<dyn ParkingLot> = lot.clone();
    let start = Instant::now();
    let now: Now = Arc::new(move || i64::try_from(start.elapsed().as_millis()).unwrap());
    let (bus, mut subscribers) = InProcessBus::new(&[queue], &as_port, pace, &now);
    Stand { bus, subscriber: subscribers.remove(0), lot }
}

pub(crate) fn lifecycle() -> Stand {
    stand(WorkQueue::Lifecycle, Lot::default(), 1.0)
}

pub(crate) fn event(id: &str) -> Message {
    message(Exchange::Events, "financial_connections.account.deactivated", id, true)
}

pub(crate) fn message(exchange: Exchange, key: &str, id: &str, mandatory: bool) -> Message {
    Message {
        exchange,
        routing_key: key.into(),
        also_to: None,
        mandatory,
        id: id.into(),
        kind: key.into(),
        timestamp_unix_s: 1,
        correlation: Some("case".into()),
        content_type: CONTENT_TYPE_JSON,
        headers: Headers::default(),
        body: Bytes::from_static(b"{}"),
    }
}

impl Stand {
    /// Publishes beside the test and lets the message reach the queue.
    pub(crate) async fn send(&self, message: Message) -> Answer {
        let bus = self.bus.clone();
        let answer = tokio::spawn(async move { bus.publish(message).await });
        tokio::task::yield_now().await;
        answer
    }

    pub(crate) async fn next(&self) -> Vec<Delivery> {
        self.subscriber.next_batch(256, Duration::ZERO).await.unwrap()
    }

    pub(crate) async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        self.subscriber.settle(vec![(delivery.receipt, settlement)]).await;
        tokio::task::yield_now().await;
    }
}

pub(crate) fn ids(batch: &[Delivery]) -> Vec<&str> {
    batch.iter().filter_map(|delivery| delivery.id.as_deref()).collect()
}
