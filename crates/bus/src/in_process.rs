//! The bus of a single process: the same topology and settlements, no broker.
//!
//! A publish resolves when the message's consumer has settled it. That is what makes the embedded
//! mode durable without a queue on disk: ingress answers 2xx after the database has committed,
//! and a command stays in the outbox until its consumer has accepted it. What is set aside goes
//! to a [`ParkingLot`]. Queues are bounded; a full one makes publishers wait.

mod embedded;
mod subscriber;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::message::{Delivery, Message, Receipt};
use crate::port::{ParkingLot, PublishError, Publisher, publish_together};
use crate::topology::{Exchange, WorkQueue};

pub use embedded::{EmbeddedPublisher, Sink};
pub use subscriber::InProcessSubscriber;

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

impl InProcessBus {
    /// A bus with these queues, and their subscribers. Of messages for other queues commands are
    /// dropped, and events are unroutable where mandatory, as with a broker.
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
            let aside = Arc::clone(parking_lot);
            let subscriber =
                InProcessSubscriber::new(*queue, receiver, sender, aside, pace, Arc::clone(now));
            subscribers.push(Arc::new(subscriber));
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
        let also = |queue: &WorkQueue| message.also_to.is_some_and(|key| takes(queue, key));
        let found = direct.or_else(|| self.queues.iter().find(|(queue, _)| also(queue)));
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
            // Here no queue goes missing: one that takes commands and is not there is not wanted.
            let lost = message.mandatory && message.exchange == Exchange::Events;
            return if lost { Err(PublishError::Unroutable) } else { Ok(()) };
        };
        let (done, settled) = oneshot::channel();
        let delivery = Delivery {
            receipt: Receipt { generation: 0, tag: 0 },
            id: Some(message.id),
            kind: Some(message.kind),
            routing_key: message.routing_key,
            timestamp_unix_s: Some(message.timestamp_unix_s),
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
        publish_together(self, messages).await
    }

    fn is_ready(&self) -> bool {
        true
    }
}
