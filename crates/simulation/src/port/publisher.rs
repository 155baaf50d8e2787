//! The way to the bus, and out of it.

use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::in_process::{EmbeddedPublisher, Sink};
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher, publish_together};
use relink_bus::topology::Exchange;

use crate::fault::Fault;
use crate::process::Process;
use crate::stage::Stage;

/// Publishes for a process.
#[derive(Clone)]
pub(crate) struct GatedPublisher {
    pub(crate) process: Process,
    /// The bus of a single process; `None`: the broker.
    pub(crate) alone: Option<EmbeddedPublisher>,
}

impl GatedPublisher {
    fn refuses(&self) -> bool {
        let broker = &self.process.stage().broker;
        let refuses = self.process.strikes(Fault::BrokerRefuses);
        self.alone.is_none() && (broker.is_away() || refuses)
    }

    async fn pass_on(&self, message: Message) -> Result<(), PublishError> {
        if let Some(alone) = &self.alone {
            return alone.publish(message).await;
        }
        let stage = self.process.stage();
        if !stage.broker.take(&message) {
            return Err(PublishError::Unroutable);
        }
        if message.exchange == Exchange::Commands {
            stage.watch.came_out(&message);
        }
        Ok(())
    }
}

#[async_trait]
impl Publisher for GatedPublisher {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let id = Arc::clone(&message.id);
        self.process.point("publish").await;
        if self.refuses() {
            self.process.note(format_args!("cannot publish {id}"));
            return Err(PublishError::Away);
        }
        let result = self.pass_on(message).await;
        self.process.point("confirm").await;
        match result {
            Ok(()) if self.process.strikes(Fault::ConfirmLost) => {
                self.process.note(format_args!("published {id}, and does not know it"));
                Err(PublishError::TimedOut)
            }
            Ok(()) => {
                self.process.note(format_args!("published {id}"));
                Ok(())
            }
            Err(error) => {
                self.process.note(format_args!("cannot publish {id}: {}", error.as_str()));
                Err(error)
            }
        }
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        publish_together(self, messages).await
    }

    fn is_ready(&self) -> bool {
        self.alone.is_some() || !self.process.stage().broker.is_away()
    }
}

/// Whoever receives the commands of a standalone process.
pub(crate) struct Platform(pub(crate) Arc<Stage>);

#[async_trait]
impl Sink for Platform {
    async fn deliver(&self, command: &Message) -> Result<(), PublishError> {
        self.0.watch.came_out(command);
        Ok(())
    }
}
