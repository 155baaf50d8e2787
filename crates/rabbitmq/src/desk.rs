//! The desk at which one person at a time looks at parked messages.
//!
//! It is an exclusive queue of a fixed name: the broker gives it to one connection and refuses it
//! to every other one (405, AMQP 0-9-1, "queue.declare"), and takes it away with the connection,
//! so that nobody who was killed leaves it taken. Nothing is ever in it. An exclusive consumer
//! would take no permission of its own, but quorum queues do not have any.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use relink_bus::topology::PARKED_DESK;
use tokio::time::Instant;

use crate::connection::{Trouble, bounded};
use crate::properties::text;

/// How long it is waited for whoever looks already: longer than a look at a thousand messages
/// takes, and less than a person or a caller of the API waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is waited between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

/// What it is declared with: classic whatever the virtual host's default is, since only those can
/// be exclusive.
pub(crate) fn declaration() -> (QueueDeclareOptions, FieldTable) {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("classic"));
    (options, arguments)
}

/// Takes it, waiting for whoever has it, and answers the channel to work with.
pub(crate) async fn take(
    connection: &Connection,
    limit: Duration,
    patience: Duration,
) -> Result<Channel, Trouble> {
    let end = Instant::now() + patience;
    let mut has_waited = false;
    loop {
        // A refusal closes the channel.
        let channel = bounded(limit, "channel.open", connection.create_channel()).await?;
        let (options, arguments) = declaration();
        let declaring = channel.queue_declare(PARKED_DESK.into(), options, arguments);
        match bounded(limit, "queue.declare", declaring).await {
            Ok(_) => {
                if has_waited {
                    // Whoever was killed loses the desk and what he held at about the same time.
                    tokio::time::sleep(AGAIN).await;
                }
                return Ok(channel);
            }
            Err(Trouble::Locked(_)) if Instant::now() < end => {
                has_waited = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

/// Leaves it to the next one, and closes the channel.
pub(crate) async fn leave(channel: &Channel, limit: Duration) -> Result<(), Trouble> {
    let deleting = channel.queue_delete(PARKED_DESK.into(), QueueDeleteOptions::default());
    bounded(limit, "queue.delete", deleting).await?;
    bounded(limit, "channel.close", channel.close(200, "OK".into())).await
}
