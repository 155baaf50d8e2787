//! The task behind a subscriber: keeps a consumer alive.
//!
//! Any trouble ends the session: the connection is given up, unsettled deliveries come again from
//! the broker, and a new session begins with everything that a consumer needs. Signs of trouble
//! are an error or the end of the stream (connection lost, channel closed, acknowledgement
//! timeout, queue deleted), an acknowledgement that is not written in time, and a probe that
//! finds the broker silent or the consumer gone although nothing was said.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::{Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer, Event};
use relink_bus::topology::{WorkQueue, queues_of};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::backoff::Backoff;
use crate::config::RabbitConfig;
use crate::connection::{self, Trouble, bounded};
use crate::shelf::{Shelf, queue_name};
use crate::state::BrokerState;
use crate::topology;

/// How often a quiet consumer is probed: seldom enough to cost nothing, often enough to notice a
/// consumer that hangs before the queue grows long.
const PROBE: Duration = Duration::from_secs(15);

/// How many deliveries are moved to the shelf at a time.
const MOVED_AT_ONCE: usize = 256;

/// What the subscriber shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Stay connected, consume nothing.
    Idle,
    /// Consume.
    Consuming,
    /// Consume never again.
    Closed,
}

/// What the subscriber and its task share.
pub(crate) struct Shared {
    pub(crate) config: RabbitConfig,
    pub(crate) queue: WorkQueue,
    pub(crate) shelf: Shelf,
    pub(crate) wanted: watch::Sender<Mode>,
    /// Whether there is a consumer.
    pub(crate) consuming: watch::Sender<bool>,
    pub(crate) state: BrokerState,
    /// Rung when an acknowledgement did not get through.
    pub(crate) broken: Notify,
}

/// Runs until the task is aborted, or closed and without a connection.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&shared.config);
    loop {
        let mut since = None;
        let trouble = match open(&shared).await {
            Ok((connection, channel)) => {
                since = Some(Instant::now());
                shared.serve(&connection, channel).await
            }
            Err(Trouble::Missing(_)) => shared.declare_again().await,
            Err(trouble) => trouble,
        };
        shared.retire(&trouble);
        if *shared.wanted.borrow() == Mode::Closed {
            return;
        }
        let wait = backoff.after(since);
        let (queue, broker) = (shared.queue.name(), shared.config.broker());
        tracing::warn!(queue, broker, cause = %trouble, ?wait, "consumer lost");
        tokio::time::sleep(wait).await;
    }
}

async fn open(shared: &Shared) -> Result<(Connection, Channel), Trouble> {
    let config = &shared.config;
    let purpose = format!("consume {}", shared.queue.name());
    let connection = connection::connect(config, &purpose).await?;
    let limit = config.confirm_timeout;
    let channel = bounded(limit, "channel.open", connection.create_channel()).await?;
    inspect(shared, &channel).await?;
    // Per consumer, as quorum queues want it; without a prefetch the broker would push the whole
    // queue into memory.
    let qos = channel.basic_qos(config.prefetch, BasicQosOptions { global: false });
    bounded(limit, "basic.qos", qos).await?;
    Ok((connection, channel))
}

/// Looks whether the queue is there, and how many consume it.
async fn inspect(shared: &Shared, channel: &Channel) -> Result<u32, Trouble> {
    // Passive: answers "not found" instead of creating it.
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let name = queue_name(shared.queue.name());
    let declared = channel.queue_declare(name, options, FieldTable::default());
    let queue = bounded(shared.config.confirm_timeout, "queue.declare", declared).await?;
    Ok(queue.consumer_count())
}

impl Shared {
    fn retire(&self, trouble: &Trouble) {
        self.state.lost(trouble.misconfigured());
        self.shelf.retire();
        self.consuming.send_replace(false);
        self.shelf.arrivals.notify_waiters();
    }

    /// The queue is gone, or was never there: its messages are lost either way, but those to come
    /// need not be.
    async fn declare_again(&self) -> Trouble {
        let queue = self.queue.name();
        match topology::declare_queues(&self.config, &queues_of(self.queue)).await {
            Ok(()) => {
                tracing::warn!(queue, "queue was missing and is declared again");
                Trouble::Away("the queue was missing".into())
            }
            Err(error) if error.is_transient() => Trouble::Away(error.to_string()),
            Err(error) => Trouble::Misconfigured(error.to_string()),
        }
    }

    async fn serve(&self, connection: &Connection, channel: Channel) -> Trouble {
        let mut events = Box::pin(connection.events_listener());
        self.shelf.renew(channel.clone());
        self.state.connected();
        let (queue, broker) = (self.queue.name(), self.config.broker());
        tracing::info!(queue, broker, vhost = self.config.vhost(), "broker connected");
        self.consume(connection, &channel, &mut events).await.unwrap_or_else(|trouble| trouble)
    }

    /// Consumes while that is wanted; ends only with trouble.
    async fn consume(
        &self,
        connection: &Connection,
        channel: &Channel,
        events: &mut (impl Stream<Item = Event> + Unpin),
    ) -> Result<Trouble, Trouble> {
        let mut wanted = self.wanted.subscribe();
        let mut consumer: Option<Consumer> = None;
        let mut probe = tokio::time::interval_at(tokio::time::Instant::now() + PROBE, PROBE);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mode = *wanted.borrow_and_update();
            match (mode, consumer.take()) {
                (Mode::Consuming, None) => consumer = Some(self.start(channel).await?),
                (Mode::Idle | Mode::Closed, Some(running)) => self.stop(channel, running).await?,
                (_, same) => consumer = same,
            }
            self.consuming.send_replace(consumer.is_some());
            tokio::select! {
                _ = wanted.changed() => {}
                next = next(&mut consumer) => self.receive(next, &mut consumer)?,
                event = events.next() => match event {
                    Some(Event::Error(error)) => return Ok(error.into()),
                    Some(_) => {}
                    None => return Ok(Trouble::Away("the connection ended".into())),
                },
                () = self.broken.notified() => {
                    return Ok(Trouble::Away("an acknowledgement did not get through".into()));
                }
                _ = probe.tick() => self.probe(connection, channel, consumer.is_some()).await?,
            }
        }
    }

    async fn start(&self, channel: &Channel) -> Result<Consumer, Trouble> {
        // No automatic acknowledgement: a delivery is done once its effect is committed. Not
        // exclusive: workers share the queue.
        let options =
            BasicConsumeOptions { no_local: false, no_ack: false, exclusive: false, nowait: false };
        let name = queue_name(self.queue.name());
        // An empty tag asks the broker for a unique one.
        let consume = channel.basic_consume(name, "".into(), options, FieldTable::default());
        bounded(self.config.confirm_timeout, "basic.consume", consume).await
    }

    /// Cancels the consumer, collects what was on its way, and hands back what was not given out.
    async fn stop(&self, channel: &Channel, mut consumer: Consumer) -> Result<(), Trouble> {
        let limit = self.config.confirm_timeout;
        let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions { nowait: false });
        bounded(limit, "basic.cancel", cancel).await?;
        let drain = async {
            while let Some(delivery) = consumer.next().await {
                self.shelf.put([delivery?]);
            }
            Ok(())
        };
        bounded(limit, "basic.cancel", drain).await?;
        match self.shelf.hand_back_ready() {
            Some(writing) => bounded(limit, "basic.nack", writing).await,
            None => Ok(()),
        }
    }

    /// Shelves a delivery and whatever else is there already.
    fn receive(
        &self,
        first: Option<lapin::Result<Delivery>>,
        consumer: &mut Option<Consumer>,
    ) -> Result<(), Trouble> {
        let ended = || Trouble::Away("the broker cancelled the consumer".into());
        let mut arrived = VecDeque::from([first.ok_or_else(ended)??]);
        let mut trouble = None;
        while let (Some(consumer), None) = (consumer.as_mut(), &trouble)
            && arrived.len() < MOVED_AT_ONCE
        {
            match consumer.next().now_or_never() {
                Some(Some(Ok(delivery))) => arrived.push_back(delivery),
                Some(Some(Err(error))) => trouble = Some(error.into()),
                Some(None) => trouble = Some(ended()),
                None => break,
            }
        }
        self.shelf.put(arrived);
        trouble.map_or(Ok(()), Err)
    }

    async fn probe(
        &self,
        connection: &Connection,
        channel: &Channel,
        consuming: bool,
    ) -> Result<(), Trouble> {
        if !connection.status().connected() || !channel.status().connected() {
            return Err(Trouble::Away("the channel is closed".into()));
        }
        if inspect(self, channel).await? == 0 && consuming {
            return Err(Trouble::Away("the broker knows of no consumer".into()));
        }
        Ok(())
    }
}

/// The next delivery, or never without a consumer.
async fn next(consumer: &mut Option<Consumer>) -> Option<lapin::Result<Delivery>> {
    match consumer {
        Some(consumer) => consumer.next().await,
        None => std::future::pending().await,
    }
}
