//! The publishing port.

use async_trait::async_trait;
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher};

use crate::config::RabbitConfig;
use crate::lanes::{CHUNK, Lanes};
use crate::properties::{Parcel, parcel};
use crate::state::BrokerState;

/// Publishes over two connections of its own, each with one channel in confirm mode.
///
/// Every message is persistent: a confirm then means that it is on disk on a majority of a quorum
/// queue's members. Share one publisher among all tasks; confirms of many are awaited at once.
/// Messages may pass each other, also those of one list. One connection is enough to go on with;
/// what was in flight on a lost one is answered with an error and not sent over the other, since
/// only its sender knows whether a second copy does harm. Dropping it closes both.
pub struct RabbitPublisher {
    lanes: Lanes,
}

impl RabbitPublisher {
    /// Starts connecting in the background, and never stops trying; needs a Tokio runtime.
    pub fn new(config: RabbitConfig) -> Self {
        Self { lanes: Lanes::start(&config) }
    }

    /// How its connections are, each with the name that the broker shows.
    pub fn connections(&self) -> impl Iterator<Item = (&'static str, BrokerState)> {
        self.lanes.states().map(|(name, state)| (name, state.clone()))
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
        self.lanes.submit(pack(message)?)?.confirmed().await
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let mut handed_over = Vec::with_capacity(messages.len());
        let (mut turn, mut stalled) = (0, None);
        for (index, message) in messages.into_iter().enumerate() {
            if index.is_multiple_of(CHUNK) {
                turn = self.lanes.turn();
            }
            let submitted = match (stalled, pack(message)) {
                // One wait for a turn that came to nothing is enough for all that follow.
                (Some(error), _) | (None, Err(error)) => Err(error),
                (None, Ok(parcel)) => self.lanes.submit_in_turn(turn, parcel).await,
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
        self.lanes.is_open()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lanes::tests::message;
    use crate::outlet::Outlet;

    #[tokio::test]
    async fn a_long_list_goes_over_both_lanes_and_is_answered_in_its_order() {
        let limit = Duration::from_secs(30);
        let each = [Ok(()), Err(PublishError::Refused)];
        let outlets = each.map(|answer| {
            let (outlet, mut jobs) = Outlet::new(4 * CHUNK, limit);
            outlet.state().connected();
            tokio::spawn(async move {
                while let Some(job) = jobs.recv().await {
                    job.waiting.answer(answer);
                }
            });
            outlet
        });
        let publisher = RabbitPublisher { lanes: Lanes::over(outlets, limit) };
        let answers = publisher.publish_all(vec![message(); 4 * CHUNK]).await;
        let by_turns = [[each[0]; CHUNK], [each[1]; CHUNK]].concat();
        assert_eq!(answers, [by_turns.clone(), by_turns].concat());
    }

    #[tokio::test]
    async fn one_wait_in_vain_is_enough_for_a_list() {
        let limit = Duration::from_millis(100);
        let (outlets, _jobs): (Vec<_>, Vec<_>) = (0..2).map(|_| Outlet::new(1, limit)).unzip();
        let outlets: [Outlet; 2] = outlets.try_into().unwrap_or_else(|_| unreachable!());
        outlets.iter().for_each(|outlet| outlet.state().connected());
        let publisher = RabbitPublisher { lanes: Lanes::over(outlets, limit) };
        // With a wait for each it would take far longer.
        let answers = publisher.publish_all(vec![message(); 1000]);
        let answers = tokio::time::timeout(Duration::from_secs(30), answers).await.unwrap();
        assert_eq!(answers, [Err(PublishError::TimedOut); 1000]);
    }
}
