//! Parked messages, looked at and dealt with one by one.
//!
//! A walk takes each message with `basic.get` on one channel, a few ahead of the one it looks at,
//! and acknowledges none but those that are dealt with: a requeued one after its copy was
//! confirmed, a removed one after it was recorded. The rest is handed back at the end, and by the
//! broker itself where this process or the connection ends before that. No plugin is needed.
//!
//! What one walk holds no other connection can see, so whoever looks has the [desk](crate::desk)
//! to himself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use relink_bus::message::{Delivery, Receipt, header};
use relink_bus::parked::{
    DELIVERY_LIMIT_REASON, Depth, Fate, ParkedError, ParkedMessage, ParkedMessages, UNKNOWN_REASON,
    Visitor, Walked,
};
use relink_bus::topology::{RETRY_LADDER, WorkQueue, retry_queue};
use tokio::sync::{Mutex, OnceCell};

use crate::aside::put_back;
use crate::config::RabbitConfig;
use crate::connection::{self, Trouble, bounded};
use crate::desk::{self, PATIENCE};
use crate::outlet::Outlet;
use crate::properties::{headers, number, shared, string, timestamp};
use crate::shelf::{Held, queue_name};

/// How many messages are asked for ahead: one at a time, each costs a way to the broker and back.
const AHEAD: usize = 32;

/// How often it is looked whether the broker has back what was handed back, and how long it is
/// waited in between: a walk that follows at once shall see it.
const LOOKS_MAX: u32 = 50;
const LOOK: Duration = Duration::from_millis(10);

/// The parked queues of a broker.
///
/// One walk at a time, in all processes, since each holds what the other would look for.
/// Publishing has a connection of its own, as everywhere.
pub struct RabbitParked {
    config: RabbitConfig,
    /// Kept from call to call; taken out while one lasts, so that a call that is given up closes
    /// it, and the broker takes back what it held.
    connection: Mutex<Option<Connection>>,
    outlet: OnceCell<Outlet>,
    patience: Duration,
}

impl RabbitParked {
    /// Connects when it is first asked.
    pub fn new(config: RabbitConfig) -> Self {
        let connection = Mutex::default();
        Self { config, connection, outlet: OnceCell::new(), patience: PATIENCE }
    }

    /// Waits so long for whoever looks already, instead of ten seconds.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn connect(&self, kept: Option<Connection>) -> Result<Connection, Trouble> {
        match kept.filter(|connection| connection.status().connected()) {
            Some(connection) => Ok(connection),
            None => connection::connect(&self.config, "parked").await,
        }
    }

    async fn answer<T>(
        &self,
        what: &str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, Trouble> {
        bounded(self.config.confirm_timeout, what, answer).await
    }

    /// How many messages are ready in a queue.
    async fn ready(&self, channel: &Channel, queue: &str) -> Result<u64, Trouble> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = channel.queue_declare(queue_name(queue), passive, FieldTable::default());
        Ok(self.answer(queue, asking).await?.message_count().into())
    }

    async fn go(
        &self,
        channel: &Channel,
        queue: WorkQueue,
        visitor: &mut dyn Visitor,
        carried_out: &mut u64,
    ) -> Result<(), ParkedError> {
        let mut there = self.ready(channel, queue.parked()).await?;
        let (mut held, mut last_held, mut is_over) = (0, None, false);
        let mut ahead = FuturesOrdered::new();
        loop {
            while !is_over && there > 0 && ahead.len() < AHEAD {
                there -= 1;
                ahead.push_back(self.get(channel, queue));
            }
            let Some(got) = ahead.next().await else { break };
            let Some(BasicGetMessage { delivery, .. }) = got? else {
                is_over = true;
                continue;
            };
            let tag = delivery.delivery_tag;
            if is_over {
                (held, last_held) = (held + 1, last_held.max(Some(tag)));
                continue;
            }
            let held_back =
                Held { properties: delivery.properties, body: Bytes::from(delivery.data) };
            let message = parked(queue, &held_back);
            let times = message.times();
            let fate = visitor.visit(message).await;
            match fate {
                Fate::Leave | Fate::Stop => {
                    (held, last_held) = (held + 1, last_held.max(Some(tag)));
                    is_over = fate == Fate::Stop;
                }
                Fate::Requeue => {
                    self.requeue(queue, held_back, times).await?;
                    self.acknowledge(channel, tag).await?;
                    *carried_out += 1;
                }
                Fate::Remove => {
                    self.acknowledge(channel, tag).await?;
                    *carried_out += 1;
                }
            }
        }
        if let Some(tag) = last_held {
            // All that are not acknowledged up to this one, which is not.
            let options = BasicNackOptions { multiple: true, requeue: true };
            self.answer("basic.nack", channel.basic_nack(tag, options)).await?;
        }
        self.returned(channel, queue, held).await
    }

    /// The next message. It is not acknowledged by being got: it is the broker's until it is dealt
    /// with.
    async fn get(
        &self,
        channel: &Channel,
        queue: WorkQueue,
    ) -> Result<Option<BasicGetMessage>, Trouble> {
        let getting =
            channel.basic_get(queue_name(queue.parked()), BasicGetOptions { no_ack: false });
        self.answer("basic.get", getting).await
    }

    /// Waits until the broker shows what was handed back; that it answers at all means that it
    /// has read the acknowledgements before.
    async fn returned(
        &self,
        channel: &Channel,
        queue: WorkQueue,
        held: u64,
    ) -> Result<(), ParkedError> {
        for _ in 0..LOOKS_MAX {
            if self.ready(channel, queue.parked()).await? >= held {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn acknowledge(&self, channel: &Channel, tag: u64) -> Result<(), Trouble> {
        let options = BasicAckOptions { multiple: false };
        self.answer("basic.ack", channel.basic_ack(tag, options)).await
    }

    /// Publishes the copy and waits for its confirm: mandatory, so that a missing queue is no way
    /// to lose it.
    async fn requeue(
        &self,
        queue: WorkQueue,
        held: Held,
        requeues: u32,
    ) -> Result<(), ParkedError> {
        let config = self.config.clone();
        let outlet = self.outlet.get_or_init(|| async { Outlet::start(config, "requeue") }).await;
        outlet.wait_until_open().await;
        let publishing = async {
            outlet.submit_in_turn(put_back(queue, held, requeues)).await?.confirmed().await
        };
        publishing.await.map_err(|error| ParkedError::Away(error.to_string()))
    }

    /// Does something while nobody else looks.
    async fn at_the_desk<T>(
        &self,
        work: impl AsyncFnOnce(&Connection, Channel) -> Result<T, ParkedError>,
    ) -> Result<T, ParkedError> {
        let waiting = tokio::time::timeout(self.patience, self.connection.lock());
        let mut kept = waiting.await.map_err(|_| ParkedError::Busy)?;
        let connection = self.connect(kept.take()).await?;
        let limit = self.config.confirm_timeout;
        let channel = desk::take(&connection, limit, self.patience).await?;
        let done = work(&connection, channel.clone()).await?;
        desk::leave(&channel, limit).await?;
        *kept = Some(connection);
        Ok(done)
    }

    /// How many wait where.
    async fn count(&self, connection: &Connection) -> Result<Vec<Depth>, ParkedError> {
        let mut asking = Asking { lot: self, connection, channel: None };
        let mut depths = Vec::with_capacity(WorkQueue::ALL.len());
        for queue in WorkQueue::ALL {
            let mut missing = Vec::new();
            let mut retrying = 0;
            for (rung, _) in RETRY_LADDER {
                retrying += asking.ready(&retry_queue(queue, rung), &mut missing).await?;
            }
            let ready = asking.ready(queue.name(), &mut missing).await?;
            let parked = asking.ready(queue.parked(), &mut missing).await?;
            depths.push(Depth { queue, ready, retrying, parked, missing });
        }
        asking.end().await?;
        Ok(depths)
    }
}

/// Asks for one queue after the other, of which some may be missing: whoever asks for such a one
/// loses the channel (404, AMQP 0-9-1, "queue.declare"), and not the desk, which is the
/// connection's.
struct Asking<'a> {
    lot: &'a RabbitParked,
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl Asking<'_> {
    /// How many messages are ready; none in a queue that is missing, which is noted.
    async fn ready(&mut self, queue: &str, missing: &mut Vec<String>) -> Result<u64, Trouble> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.lot.answer("channel.open", self.connection.create_channel()).await?,
        };
        match self.lot.ready(&channel, queue).await {
            Err(Trouble::Missing(_)) => {
                missing.push(queue.to_owned());
                Ok(0)
            }
            counted => {
                self.channel = Some(channel);
                counted
            }
        }
    }

    async fn end(self) -> Result<(), Trouble> {
        match self.channel {
            Some(channel) => {
                self.lot.answer("channel.close", channel.close(200, "OK".into())).await
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ParkedMessages for RabbitParked {
    async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked {
        let mut walked = Walked::default();
        let looked = self
            .at_the_desk(async |_, channel| {
                self.go(&channel, queue, visitor, &mut walked.carried_out).await
            })
            .await;
        walked.trouble = looked.err();
        walked
    }

    async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
        self.at_the_desk(async |connection, _| self.count(connection).await).await
    }
}

impl From<Trouble> for ParkedError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(text) => Self::Away(text),
            Trouble::Missing(text) => Self::Misconfigured(format!("{text}; run `relink migrate`")),
            Trouble::Locked(_) => Self::Busy,
            Trouble::Inequivalent(text)
            | Trouble::Forbidden(text)
            | Trouble::Misconfigured(text)
            | Trouble::Untrusted(text) => Self::Misconfigured(text),
        }
    }
}

fn parked(queue: WorkQueue, held: &Held) -> ParkedMessage {
    let Held { properties, body } = held;
    let table = properties.headers().as_ref();
    let get = |name: &str| table.and_then(|table| table.inner().get(name));
    let death = get("x-death").and_then(first_death);
    let reason = match get(header::PARK_REASON).and_then(string) {
        Some(reason) => reason,
        None if death.is_some() => DELIVERY_LIMIT_REASON.into(),
        None => UNKNOWN_REASON.into(),
    };
    let known = headers(properties);
    let first_failed_at_unix_ms = known.first_failed_at_unix_ms;
    let parked_at_unix_ms = get(header::LAST_FAILED_AT).and_then(number).or(death.flatten());
    let delivery = Delivery {
        receipt: Receipt { generation: 0, tag: 0 },
        id: shared(properties.message_id().as_ref()),
        kind: shared(properties.kind().as_ref()),
        routing_key: queue.name().into(),
        timestamp_unix_s: timestamp(properties),
        correlation: shared(properties.correlation_id().as_ref()),
        headers: known,
        redelivered: true,
        body: body.clone(),
    };
    ParkedMessage {
        id: name(queue, properties, body, parked_at_unix_ms),
        queue,
        delivery,
        reason,
        error: get(header::PARK_ERROR).and_then(string).unwrap_or_default(),
        first_failed_at_unix_ms,
        parked_at_unix_ms,
    }
}

/// When the broker dead-lettered it last, in milliseconds, as far as it says.
fn first_death(value: &AMQPValue) -> Option<Option<i64>> {
    let AMQPValue::FieldArray(deaths) = value else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return Some(None) };
    let seconds = match death.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
        _ => None,
    };
    Some(seconds.map(|seconds| seconds.saturating_mul(1000)))
}

/// A name made of what the message is, since a broker gives none: FNV-1a with 64 bits, the same in
/// every process. Only copies that are alike in everything share it.
fn name(
    queue: WorkQueue,
    properties: &BasicProperties,
    body: &[u8],
    parked_at_unix_ms: Option<i64>,
) -> Arc<str> {
    let id = properties.message_id().as_ref().map_or("", |id| id.as_str());
    let at = parked_at_unix_ms.unwrap_or_default().to_be_bytes();
    let parts: [&[u8]; 4] = [queue.name().as_bytes(), id.as_bytes(), &at, body];
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        // The end of a part counts, so that what one ends with cannot be what the next begins with.
        step(part.iter().fold(hash, step), &0xff)
    });
    format!("{hash:016x}").into()
}
