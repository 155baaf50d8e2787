//! The publishing port.

use async_trait::async_trait;
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher};

use crate::config::RabbitConfig;
use crate::outlet::Outlet;
use crate::properties::{Parcel, parcel};
use crate::state::BrokerState;

/// Publishes over a connection of its own, on one channel in confirm mode.
///
/// Every message is persistent: a confirm then means that it is on disk on a majority of a quorum
/// queue's members. Share one publisher among all tasks; confirms of many are awaited at once.
/// Dropping it closes the connection.
pub struct RabbitPublisher {
    outlet: Outlet,
}

impl RabbitPublisher {
    /// Starts connecting in the background, and never stops trying; needs a Tokio runtime.
    pub fn new(config: RabbitConfig) -> Self {
        Self { outlet: Outlet::start(config, "publish") }
    }

    /// How the connection is.
    pub fn state(&self) -> &BrokerState {
        self.outlet.state()
    }
}

fn pack(message: Message) -> Result<Parcel, PublishError> {
    parcel(message).map_err(|error| {
        // AMQP has no room for it anywhere: trying again gives the same.
        tracing::warn!(%error, "a property of the message is too long for AMQP");
        PublishError::Refused
    })
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.outlet.submit(pack(message)?)?.confirmed().await
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let mut handed_over = Vec::with_capacity(messages.len());
        let mut stalled = None;
        for message in messages {
            let submitted = match (stalled, pack(message)) {
                // One wait for a turn that came to nothing is enough for all that follow.
                (Some(error), _) | (None, Err(error)) => Err(error),
                (None, Ok(parcel)) => self.outlet.submit_in_turn(parcel).await,
            };
            if let Err(PublishError::TimedOut) = submitted {
                stalled = Some(PublishError::TimedOut);
            }
            handed_over.push(submitted);
        }
        let mut answers = Vec::with_capacity(handed_over.len());
        for submitted in handed_over {
            answers.push(match submitted {
                Ok(pending) => pending.confirmed().await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    fn is_ready(&self) -> bool {
        self.state().is_connected() && !self.state().is_blocked()
    }
}
