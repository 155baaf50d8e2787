//! The publisher of a process that is everything at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::InProcessBus;
use crate::message::Message;
use crate::port::{PublishError, Publisher, publish_together};
use crate::topology::Exchange;

/// Takes commands; an error leaves the command in the outbox, and the relay tries again.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes one.
    ///
    /// # Errors
    /// Says why it is not known to be taken.
    async fn deliver(&self, command: &Message) -> Result<(), PublishError>;
}

/// How long the outbox waits for the followup worker; a command on its retry ladder takes longer
/// and is asked about again by the relay.
const FOLLOWUP_PATIENCE: Duration = Duration::from_secs(10);

/// The publisher of a standalone process: events go to its workers, commands to its sinks and to
/// its followup worker.
#[derive(Clone)]
pub struct EmbeddedPublisher {
    bus: InProcessBus,
    sinks: Arc<[Arc<dyn Sink>]>,
    /// Commands that the followup worker has not settled: the relay must not add another copy.
    under_way: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl EmbeddedPublisher {
    /// Over this bus, to these sinks.
    pub fn new(bus: InProcessBus, sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self { bus, sinks: sinks.into(), under_way: Arc::default() }
    }

    async fn command(&self, message: Message) -> Result<(), PublishError> {
        let followed_up = self.bus.routes(&message);
        if followed_up && !self.mark(&message.id) {
            return Err(PublishError::Busy);
        }
        for sink in self.sinks.iter() {
            if let Err(error) = sink.deliver(&message).await {
                self.unmark(&message.id);
                return Err(error);
            }
        }
        if !followed_up {
            return Ok(());
        }
        let publisher = self.clone();
        let following_up = tokio::spawn(async move {
            let id = Arc::clone(&message.id);
            let result = publisher.bus.publish(message).await;
            publisher.unmark(&id);
            result
        });
        match tokio::time::timeout(FOLLOWUP_PATIENCE, following_up).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PublishError::Away),
            Err(_) => Err(PublishError::TimedOut),
        }
    }

    fn mark(&self, id: &Arc<str>) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(Arc::clone(id))
    }

    fn unmark(&self, id: &str) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[async_trait]
impl Publisher for EmbeddedPublisher {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        match message.exchange {
            Exchange::Events => self.bus.publish(message).await,
            Exchange::Commands => self.command(message).await,
        }
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        publish_together(self, messages).await
    }

    fn is_ready(&self) -> bool {
        self.bus.is_ready()
    }
}
