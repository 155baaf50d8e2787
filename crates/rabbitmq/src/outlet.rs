//! One supervised channel in confirm mode, and the task that owns it.
//!
//! A single task publishes and observes confirms. Two traps of the AMQP library ask for it: a
//! publish takes its delivery tag and queues its frames in two steps, so that two threads
//! publishing on one channel can get each other's confirms; and a confirm can carry another
//! publish's return, which the `ledger` sorts out as long as one task observes them all.
//!
//! Every mandatory publish carries [`header::PUBLISH`], since ids repeat (Stripe sends an event
//! twice, and both copies may be in flight).

use std::sync::Arc;
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::AMQPValue;
use lapin::{Channel, Confirmation};
use relink_bus::message::header;
use relink_bus::port::PublishError;
use relink_bus::topology::Exchange;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::RabbitConfig;
use crate::driver::Driver;
use crate::properties::{Parcel, number};
use crate::state::BrokerState;

/// How a publish ended.
pub(crate) type Answer = Result<(), PublishError>;

/// Hands parcels to the task that owns the channel.
pub(crate) struct Outlet {
    jobs: mpsc::Sender<Job>,
    permits: Arc<Semaphore>,
    state: BrokerState,
    confirm_timeout: Duration,
}

/// A place among the messages in flight, for one that is not handed over yet.
pub(crate) struct Place<'a> {
    outlet: &'a Outlet,
    permit: OwnedSemaphorePermit,
}

/// A parcel on its way to the channel.
pub(crate) struct Job {
    pub(crate) parcel: Parcel,
    pub(crate) waiting: Waiting,
}

/// Who waits for the confirm.
pub(crate) struct Waiting {
    pub(crate) exchange: Option<Exchange>,
    answer: oneshot::Sender<Answer>,
    /// Given back when the broker has answered, not when the caller gave up: that is what bounds
    /// the messages in flight.
    _permit: OwnedSemaphorePermit,
}

impl Waiting {
    /// Tells the caller, who may have given up.
    pub(crate) fn answer(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }
}

/// A parcel handed over.
pub(crate) struct Pending {
    answer: oneshot::Receiver<Answer>,
    deadline: Instant,
}

impl Pending {
    /// Waits for the confirm until the deadline.
    pub(crate) async fn confirmed(self) -> Answer {
        match timeout_at(self.deadline, self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(PublishError::Away),
            Err(_) => Err(PublishError::TimedOut),
        }
    }
}

impl Outlet {
    /// Starts the task; it ends when the outlet is dropped.
    pub(crate) fn start(config: RabbitConfig, purpose: &'static str) -> Self {
        let (outlet, queue) = Self::new(config.in_flight_max, config.confirm_timeout);
        tokio::spawn(Driver::new(config, purpose, queue, outlet.state.clone()).run());
        outlet
    }

    /// An outlet, and what its task has to publish.
    pub(crate) fn new(
        in_flight_max: usize,
        confirm_timeout: Duration,
    ) -> (Self, mpsc::Receiver<Job>) {
        let in_flight_max = in_flight_max.max(1);
        // As many as there are permits: handing a job over never waits.
        let (jobs, queue) = mpsc::channel(in_flight_max);
        let permits = Arc::new(Semaphore::new(in_flight_max));
        (Self { jobs, permits, state: BrokerState::default(), confirm_timeout }, queue)
    }

    pub(crate) fn state(&self) -> &BrokerState {
        &self.state
    }

    /// Takes a place among those in flight, or says at once why there is none.
    pub(crate) fn place(&self) -> Result<Place<'_>, PublishError> {
        self.check()?;
        let permit =
            Arc::clone(&self.permits).try_acquire_owned().map_err(|_| PublishError::Busy)?;
        Ok(Place { outlet: self, permit })
    }

    /// Waits for a place as long as it takes; giving up meanwhile costs nothing.
    pub(crate) async fn next_place(&self) -> Result<Place<'_>, PublishError> {
        self.check()?;
        let turn = Arc::clone(&self.permits).acquire_owned();
        let permit = turn.await.map_err(|_| PublishError::Away)?;
        // The broker may have gone while this one waited for its turn.
        self.check().map(|()| Place { outlet: self, permit })
    }

    /// Hands a parcel over as soon as fewer than the limit are in flight.
    pub(crate) async fn submit_in_turn(&self, parcel: Parcel) -> Result<Pending, PublishError> {
        match timeout(self.confirm_timeout, self.next_place()).await {
            Ok(place) => place?.hand_over(parcel),
            Err(_) => Err(PublishError::TimedOut),
        }
    }

    /// Waits for the broker to be there and to take messages, as long as a confirm may take.
    pub(crate) async fn wait_until_open(&self) {
        let mut status = self.state.watch();
        let open = status.wait_for(|status| status.connected && !status.blocked);
        let _ = timeout(self.confirm_timeout, open).await;
    }

    fn check(&self) -> Result<(), PublishError> {
        if !self.state.is_connected() {
            Err(PublishError::Away)
        } else if self.state.is_blocked() {
            Err(PublishError::Blocked)
        } else {
            Ok(())
        }
    }
}

impl Place<'_> {
    /// Hands over what the place was taken for.
    pub(crate) fn hand_over(self, parcel: Parcel) -> Result<Pending, PublishError> {
        let Self { outlet, permit } = self;
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting { exchange: parcel.exchange, answer, _permit: permit };
        outlet.jobs.try_send(Job { parcel, waiting }).map_err(|_| PublishError::Away)?;
        let deadline = Instant::now() + outlet.confirm_timeout;
        Ok(Pending { answer: receiver, deadline })
    }
}

/// Publishes and waits for the confirm.
pub(crate) async fn publish(
    channel: Channel,
    nonce: u64,
    parcel: Parcel,
) -> lapin::Result<Confirmation> {
    let Parcel { exchange, routing_key, mandatory, properties, mut headers, body } = parcel;
    if mandatory {
        headers.insert(header::PUBLISH.into(), AMQPValue::LongLongInt(nonce.cast_signed()));
    }
    // Mandatory: RabbitMQ drops what no queue takes and confirms it all the same; only with this
    // flag it says so. Immediate is not supported by RabbitMQ and closes the connection.
    let options = BasicPublishOptions { mandatory, immediate: false };
    let exchange = exchange.map_or("", Exchange::name).into();
    let properties = properties.with_headers(headers);
    let written = channel.basic_publish(exchange, routing_key, options, &body, properties).await?;
    drop(body);
    written.await
}

/// Which publish a confirm's return belongs to.
pub(crate) fn returned_nonce(confirmation: Confirmation) -> Option<u64> {
    let returned = confirmation.take_message()?;
    let headers = returned.delivery.properties.headers().as_ref()?;
    headers.inner().get(header::PUBLISH).and_then(number).map(i64::cast_unsigned)
}
