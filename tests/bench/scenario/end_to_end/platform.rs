//! A platform's consumer: which command came when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::Consumer;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use super::PATIENCE;
use crate::drive::Driven;
use crate::limit::channel;
use crate::traffic::Slice;

/// Deliveries on their way to the consumer.
const PREFETCH: u16 = 1024;

/// How often the consumer acknowledges, in deliveries.
const ACKNOWLEDGE_EVERY: usize = 64;

/// How long nothing has come once it seems that all has.
const SILENCE: Duration = Duration::from_millis(50);

/// How often it is asked what has come: that costs neither broker nor database anything.
const ASK: Duration = Duration::from_millis(5);

/// A consumer in this process.
pub(super) struct Platform {
    came: Arc<Mutex<Came>>,
}

#[derive(Default)]
struct Came {
    /// The first command of each event that caused one.
    first: HashMap<String, Instant>,
    all: Vec<Instant>,
}

impl Platform {
    /// Consumes from a queue that is there, as long as this process lives.
    pub(super) async fn listen(amqp_url: &str, queue: &str) -> Self {
        let (connection, channel) = channel(amqp_url).await;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, arguments).await;
        let came = Arc::new(Mutex::new(Came::default()));
        let platform = Self { came: Arc::clone(&came) };
        tokio::spawn(async move {
            consume(consumer.unwrap(), &came).await;
            drop((connection, channel));
        });
        platform
    }

    /// Begins anew.
    pub(super) async fn forget(&self) {
        *self.came.lock().await = Came::default();
    }

    /// When the first command of each webhook came, and how long after the webhook was sent.
    pub(super) async fn times(&self, slice: &Slice, driven: &Driven) -> Vec<(Instant, Duration)> {
        let came = self.came.lock().await;
        let events = slice.events.iter().zip(&driven.sent);
        let times: Vec<_> = events
            .filter_map(|(event, sent)| {
                came.first.get(&event.id).map(|came| (*came, came.duration_since(sent.unwrap())))
            })
            .collect();
        assert!(!times.is_empty(), "no command came");
        times
    }

    /// Waits until so many commands have come and no more do; tells when each came.
    pub(super) async fn rests(&self, least: usize) -> Vec<Instant> {
        let began = Instant::now();
        loop {
            let came = self.came.lock().await;
            let is_silent = came.all.last().is_some_and(|last| last.elapsed() >= SILENCE);
            if is_silent && came.all.len() >= least {
                return came.all.clone();
            }
            let count = came.all.len();
            drop(came);
            assert!(began.elapsed() < PATIENCE, "{count} commands came, of {least} at least");
            tokio::time::sleep(ASK).await;
        }
    }
}

async fn consume(mut consumer: Consumer, came: &Mutex<Came>) {
    let mut count = 0;
    while let Some(Ok(delivery)) = consumer.next().await {
        let now = Instant::now();
        let mut came = came.lock().await;
        came.all.push(now);
        // The event that caused it; commands that the time caused have none.
        if let Some(event) = delivery.properties.correlation_id() {
            came.first.entry(event.as_str().to_owned()).or_insert(now);
        }
        drop(came);
        count += 1;
        if count % ACKNOWLEDGE_EVERY == 0 || delivery.delivery_tag % 16 == 1 {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
}
