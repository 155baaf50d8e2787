//! The task behind an `outlet`: connects, publishes, observes confirms, and starts over.

use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, Event};
use relink_bus::port::PublishError;
use relink_bus::topology::Exchange;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::backoff::Backoff;
use crate::config::RabbitConfig;
use crate::connection::{self, Trouble, bounded};
use crate::ledger::{Ledger, Verdict};
use crate::outlet::{Job, Waiting, publish, returned_nonce};
use crate::properties::Parcel;
use crate::state::BrokerState;

/// How many parcels are taken over at a time: enough to write many frames at once, few enough to
/// look at confirms in between.
const TAKEN_AT_ONCE: usize = 64;

/// How often the connection is looked at although nothing happens.
const HEALTH_CHECK: Duration = Duration::from_millis(500);

/// The owner of a connection and its one channel in confirm mode.
pub(crate) struct Driver {
    config: RabbitConfig,
    purpose: &'static str,
    jobs: mpsc::Receiver<Job>,
    state: BrokerState,
}

/// Why a session ended.
enum End {
    /// Nobody publishes any more.
    Dropped,
    /// Something went wrong.
    Lost(Trouble),
}

/// What the task observes.
enum Observed {
    /// The verdict, and which publish's return came with it.
    Confirm {
        nonce: u64,
        result: Result<(Verdict, Option<u64>), Trouble>,
    },
    Barrier,
}

impl Driver {
    pub(crate) fn new(
        config: RabbitConfig,
        purpose: &'static str,
        jobs: mpsc::Receiver<Job>,
        state: BrokerState,
    ) -> Self {
        Self { config, purpose, jobs, state }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.config);
        loop {
            let opened = tokio::select! {
                opened = open(&self.config, self.purpose) => opened,
                () = refuse(&mut self.jobs) => return,
            };
            let mut since = None;
            let trouble = match opened {
                Ok((connection, channel)) => {
                    since = Some(Instant::now());
                    match self.serve(&connection, &channel).await {
                        End::Dropped => {
                            connection::close(&connection, self.config.confirm_timeout).await;
                            return;
                        }
                        End::Lost(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            let wait = backoff.after(since);
            self.state.lost(trouble.misconfigured());
            let (purpose, broker) = (self.purpose, self.config.broker());
            tracing::warn!(purpose, broker, cause = %trouble, ?wait, "broker connection lost");
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = refuse(&mut self.jobs) => return,
            }
        }
    }

    async fn serve(&mut self, connection: &Connection, channel: &Channel) -> End {
        let mut events = Box::pin(connection.events_listener());
        self.state.connected();
        let (purpose, broker) = (self.purpose, self.config.broker());
        tracing::info!(purpose, broker, vhost = self.config.vhost(), "broker connected");
        let mut ledger = Ledger::default();
        let end = self.exchange(connection, channel, &mut events, &mut ledger).await;
        // Before the callers hear of it, so that none of them finds the state still up.
        self.state.down();
        abandon(ledger, &end);
        end
    }

    async fn exchange(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        events: &mut (impl Stream<Item = Event> + Unpin),
        ledger: &mut Ledger<Waiting>,
    ) -> End {
        let mut observed = FuturesUnordered::new();
        let mut taken = Vec::with_capacity(TAKEN_AT_ONCE);
        let mut nonce = 0;
        let mut health = tokio::time::interval(HEALTH_CHECK);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(next) = observed.next() => {
                    if let Err(trouble) = note(ledger, next) {
                        return End::Lost(self.cause(events, trouble).await);
                    }
                    if ledger.raise_barrier() {
                        observed.push(observe(None));
                    }
                    for (waiting, answer) in ledger.answers() {
                        waiting.answer(answer);
                    }
                }
                count = self.jobs.recv_many(&mut taken, TAKEN_AT_ONCE) => {
                    if count == 0 {
                        return End::Dropped;
                    }
                    for Job { parcel, waiting } in taken.drain(..) {
                        nonce += 1;
                        ledger.published(nonce, parcel.mandatory, waiting);
                        observed.push(observe(Some((channel.clone(), nonce, parcel))));
                    }
                }
                event = events.next() => {
                    if let Some(trouble) = self.heed(event) {
                        return End::Lost(trouble);
                    }
                }
                _ = health.tick() => {
                    if let Some(trouble) = self.sick(connection, channel, ledger) {
                        return End::Lost(trouble);
                    }
                }
            }
        }
    }

    /// The first failure seen may only say that the channel is closed; the event that follows
    /// says why.
    async fn cause(
        &self,
        events: &mut (impl Stream<Item = Event> + Unpin),
        trouble: Trouble,
    ) -> Trouble {
        if !matches!(trouble, Trouble::Away(_)) {
            return trouble;
        }
        let cause = async {
            while let Some(event) = events.next().await {
                if let Event::Error(error) = event {
                    return Trouble::from(error);
                }
            }
            std::future::pending().await
        };
        tokio::time::timeout(HEALTH_CHECK, cause).await.unwrap_or(trouble)
    }

    fn heed(&self, event: Option<Event>) -> Option<Trouble> {
        let purpose = self.purpose;
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                self.state.blocked(true);
                tracing::warn!(purpose, reason, "broker has blocked publishers");
            }
            Some(Event::ConnectionUnblocked) => {
                self.state.blocked(false);
                tracing::info!(purpose, "broker takes messages again");
            }
            Some(Event::Error(error)) => return Some(error.into()),
            Some(_) => {}
            None => return Some(Trouble::Away("the connection ended".into())),
        }
        None
    }

    fn sick(
        &self,
        connection: &Connection,
        channel: &Channel,
        ledger: &Ledger<Waiting>,
    ) -> Option<Trouble> {
        if !connection.status().connected() || !channel.status().connected() {
            return Some(Trouble::Away("the channel is closed".into()));
        }
        // A blocked broker does not read, so nothing is wrong with the channel.
        let late = ledger.oldest().is_some_and(|at| at.elapsed() > self.config.confirm_timeout);
        (late && !self.state.is_blocked())
            .then(|| Trouble::Away("a confirm is overdue on an open channel".into()))
    }
}

async fn open(config: &RabbitConfig, purpose: &str) -> Result<(Connection, Channel), Trouble> {
    let connection = connection::connect(config, purpose).await?;
    let limit = config.confirm_timeout;
    let channel = bounded(limit, "channel.open", connection.create_channel()).await?;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    bounded(limit, "confirm.select", confirms).await?;
    Ok((connection, channel))
}

/// Answers all who come while there is no channel; ends when nobody can come any more.
async fn refuse(jobs: &mut mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        job.waiting.answer(Err(PublishError::Away));
    }
}

/// Resolves to what the task observes; without a publish, to a barrier. Both are one type, so
/// that they stand in one queue: first in, first observed.
async fn observe(publishing: Option<(Channel, u64, Parcel)>) -> Observed {
    let Some((channel, nonce, parcel)) = publishing else { return Observed::Barrier };
    let result = match publish(channel, nonce, parcel).await {
        Ok(confirmation) => {
            let nacked = confirmation.is_nack();
            let verdict = if nacked { Verdict::Nack } else { Verdict::Ack };
            Ok((verdict, returned_nonce(confirmation)))
        }
        Err(error) => Err(error.into()),
    };
    Observed::Confirm { nonce, result }
}

fn note(ledger: &mut Ledger<Waiting>, observed: Observed) -> Result<(), Trouble> {
    match observed {
        Observed::Barrier => ledger.barrier_passed(),
        Observed::Confirm { nonce, result } => {
            let (verdict, returned) = result?;
            ledger.confirmed(nonce, verdict, returned);
        }
    }
    Ok(())
}

/// Answers those whose confirm will never come. A missing exchange closes the channel: its own
/// messages are unroutable, the others just unlucky.
fn abandon(ledger: Ledger<Waiting>, end: &End) {
    let is_missing = |exchange: Option<Exchange>| match end {
        End::Lost(Trouble::Missing(text)) => {
            exchange.is_some_and(|exchange| text.contains(&format!("'{}'", exchange.name())))
        }
        End::Lost(_) | End::Dropped => false,
    };
    for waiting in ledger.abandon() {
        let missing = is_missing(waiting.exchange);
        waiting.answer(Err(if missing { PublishError::Unroutable } else { PublishError::Away }));
    }
}
