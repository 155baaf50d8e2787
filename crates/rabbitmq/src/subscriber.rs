//! The subscribing port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{PublishError, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use tokio::sync::{Notify, OnceCell, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::aside::{Aside, aside, now_unix_ms};
use crate::config::RabbitConfig;
use crate::connection::bounded;
use crate::outlet::Outlet;
use crate::outstanding::Outcome;
use crate::shelf::{Held, Shelf, Writing};
use crate::state::BrokerState;
use crate::supervisor::{Mode, Shared, supervise};

/// Consumes one work queue over a connection of its own.
///
/// Retries and parked messages go out over another connection, made when the first one comes up.
/// Dropping it closes both; whatever is unsettled then comes again.
pub struct RabbitSubscriber {
    shared: Arc<Shared>,
    outlet: OnceCell<Outlet>,
    supervisor: JoinHandle<()>,
}

impl RabbitSubscriber {
    /// Starts connecting in the background, and never stops trying; consumes once `next_batch` is
    /// called. Needs a Tokio runtime.
    pub fn new(config: RabbitConfig, queue: WorkQueue) -> Self {
        let shared = Arc::new(Shared {
            config,
            queue,
            shelf: Shelf::default(),
            wanted: watch::Sender::new(Mode::Idle),
            consuming: watch::Sender::new(false),
            state: BrokerState::default(),
            broken: Notify::new(),
        });
        let supervisor = tokio::spawn(supervise(Arc::clone(&shared)));
        Self { shared, outlet: OnceCell::new(), supervisor }
    }

    /// How the consuming connection is.
    pub fn state(&self) -> &BrokerState {
        &self.shared.state
    }

    /// How the connection for retries and parked messages is, once there is one.
    pub fn outlet_state(&self) -> Option<&BrokerState> {
        self.outlet.get().map(Outlet::state)
    }

    fn want(&self, mode: Mode) {
        // Closed is for good.
        self.shared.wanted.send_if_modified(|wanted| {
            let changes = *wanted != mode && *wanted != Mode::Closed;
            if changes {
                *wanted = mode;
            }
            changes
        });
    }

    /// Whether deliveries may still come.
    fn check(&self) -> Result<(), SubscribeError> {
        if *self.shared.wanted.borrow() == Mode::Closed {
            return Err(SubscribeError::Closed);
        }
        match self.shared.state.status().misconfigured {
            Some(text) => Err(SubscribeError::Misconfigured(text.to_string())),
            None => Ok(()),
        }
    }

    /// Waits until enough deliveries are there, or something else is to be looked at.
    async fn arrived(&self, is_enough: impl Fn(&Shelf) -> bool) -> Result<(), SubscribeError> {
        loop {
            let mut arrival = std::pin::pin!(self.shared.shelf.arrivals.notified());
            // From here on no arrival is missed, even one before the wait begins.
            arrival.as_mut().enable();
            if is_enough(&self.shared.shelf) {
                return Ok(());
            }
            self.check()?;
            arrival.await;
        }
    }

    /// Publishes what is put aside; says for each whether it may be forgotten.
    async fn put_aside(&self, asides: Vec<(Receipt, Held, Aside)>) -> Vec<(Receipt, Outcome)> {
        if asides.is_empty() {
            return Vec::new();
        }
        let config = self.shared.config.clone();
        let outlet = self.outlet.get_or_init(|| async { Outlet::start(config, "set aside") }).await;
        // Patience here keeps an outage from turning into a loop of redeliveries.
        outlet.wait_until_open().await;
        let (queue, now) = (self.shared.queue, now_unix_ms());
        join_all(asides.into_iter().map(async |(receipt, held, what)| {
            let published: Result<(), PublishError> = async {
                outlet.submit_in_turn(aside(queue, held, what, now)).await?.confirmed().await
            }
            .await;
            match published {
                Ok(()) => (receipt, Outcome::Ack),
                Err(error) => {
                    let queue = queue.name();
                    tracing::warn!(queue, %error, "not put aside, handed back instead");
                    (receipt, Outcome::Requeue)
                }
            }
        }))
        .await
    }

    async fn tell(&self, outcomes: Vec<(Receipt, Outcome)>) {
        let (skipped, writing) = self.shared.shelf.settle(outcomes);
        if skipped > 0 {
            let queue = self.shared.queue.name();
            tracing::debug!(queue, skipped, "deliveries of an earlier incarnation come again");
        }
        self.written(writing).await;
    }

    async fn written(&self, writing: Option<Writing>) {
        let Some(writing) = writing else { return };
        let limit = self.shared.config.confirm_timeout;
        if bounded(limit, "an acknowledgement", writing).await.is_err() {
            self.shared.broken.notify_one();
        }
    }

    /// Waits until nothing is consumed any more; without a connection nothing is.
    async fn stopped(&self) {
        let mut consuming = self.shared.consuming.subscribe();
        // Cancelling, collecting and handing back take at most three answers of the broker.
        let limit = self.shared.config.confirm_timeout * 3;
        let _ = timeout(limit, consuming.wait_for(|consuming| !consuming)).await;
    }
}

impl Drop for RabbitSubscriber {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[async_trait]
impl Subscriber for RabbitSubscriber {
    async fn next_batch(
        &self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        let max = max.max(1);
        loop {
            self.check()?;
            self.want(Mode::Consuming);
            self.arrived(|shelf| shelf.ready() > 0).await?;
            if !linger.is_zero() {
                // Beyond its prefetch the broker hands nothing out, so that nothing more comes.
                let ahead = usize::from(self.shared.config.prefetch);
                let full = self.arrived(|shelf| shelf.ready() >= max || shelf.unsettled() >= ahead);
                // Deliveries stay on the shelf meanwhile, so that cancelling loses none.
                let _ = timeout_at(Instant::now() + linger, full).await;
            }
            let batch = self.shared.shelf.take(max);
            // A connection lost meanwhile took its deliveries with it.
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        let mut outcomes = Vec::with_capacity(settlements.len());
        let mut asides = Vec::new();
        for (receipt, settlement) in settlements {
            let what = match settlement {
                Settlement::Accept => {
                    outcomes.push((receipt, Outcome::Ack));
                    continue;
                }
                Settlement::HandBack => {
                    outcomes.push((receipt, Outcome::Requeue));
                    continue;
                }
                Settlement::Retry(parking) => Aside::Retry(parking),
                Settlement::Park(parking) => Aside::Park(parking),
            };
            // One of an earlier incarnation comes again, and must not be put aside twice.
            if let Some(held) = self.shared.shelf.held(receipt) {
                asides.push((receipt, held, what));
            }
        }
        self.tell(outcomes).await;
        let outcomes = self.put_aside(asides).await;
        self.tell(outcomes).await;
    }

    async fn pause(&self) {
        self.want(Mode::Idle);
        self.stopped().await;
    }

    async fn close(&self) {
        self.want(Mode::Closed);
        self.shared.shelf.arrivals.notify_waiters();
        self.stopped().await;
    }

    fn is_ready(&self) -> bool {
        self.shared.state.is_connected() && *self.shared.wanted.borrow() != Mode::Closed
    }
}
