//! The ports: a confirmed publisher and a subscriber whose deliveries are settled explicitly.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use relink_core::input::Verdict;
use tokio::task::JoinSet;

use crate::mask::masked;
use crate::message::{Delivery, Message, Receipt};

/// Publishes and waits until the bus has taken the message.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Resolves once this very message is durable on the bus.
    ///
    /// Bounded: it answers within the adapter's confirm timeout whatever happens. An error does
    /// not prove that the message was not taken.
    ///
    /// # Errors
    /// Says why it is not known to be taken.
    async fn publish(&self, message: Message) -> Result<(), PublishError>;

    /// Publishes all with as many in flight as the adapter allows; answers in the same order.
    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(self.publish(message).await);
        }
        answers
    }

    /// Whether a publish has a chance right now.
    fn is_ready(&self) -> bool;
}

/// [`Publisher::publish_all`] of publishers without a window of their own: all at once, each on a
/// task.
pub async fn publish_together<P>(
    publisher: &P,
    messages: Vec<Message>,
) -> Vec<Result<(), PublishError>>
where
    P: Publisher + Clone + 'static,
{
    let mut results = vec![Err(PublishError::Away); messages.len()];
    let mut under_way = JoinSet::new();
    for (index, message) in messages.into_iter().enumerate() {
        let publisher = publisher.clone();
        under_way.spawn(async move { (index, publisher.publish(message).await) });
    }
    while let Some(joined) = under_way.join_next().await {
        if let Ok((index, result)) = joined
            && let Some(slot) = results.get_mut(index)
        {
            *slot = result;
        }
    }
    results
}

/// Why a publish is not known to have succeeded: a closed list that feeds metric and answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum PublishError {
    /// No queue takes it: the topology is incomplete.
    #[error("no queue takes the message; run `relink migrate`")]
    Unroutable,
    /// The broker refused it, for instance because a queue is full.
    #[error("the broker refused the message")]
    Refused,
    /// No confirm within the timeout.
    #[error("the broker did not confirm in time")]
    TimedOut,
    /// The broker has blocked publishers (a memory or disk alarm).
    #[error("the broker has blocked publishers")]
    Blocked,
    /// There is no connection.
    #[error("the broker is away")]
    Away,
    /// Too many publishes are waiting for their confirms.
    #[error("too many messages are waiting for the broker")]
    Busy,
}

impl PublishError {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Unroutable, Self::Refused, Self::TimedOut, Self::Blocked, Self::Away, Self::Busy];

    /// The name for metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unroutable => "unroutable",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Blocked => "blocked",
            Self::Away => "away",
            Self::Busy => "busy",
        }
    }
}

/// Hands out deliveries of one queue in batches.
#[async_trait]
pub trait Subscriber: Send + Sync {
    /// Waits for a first delivery, then takes what else is there, at most `max`, waiting up to
    /// `linger` for more, as long as more can come. Never empty. Reconnects by itself, with
    /// backoff, as long as it takes. Cancelling it loses nothing.
    ///
    /// # Errors
    /// Only [`SubscribeError::Closed`] after [`Subscriber::close`], and
    /// [`SubscribeError::Misconfigured`] when trying again cannot help.
    async fn next_batch(
        &self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError>;

    /// Is told what was concluded from a delivery, before it is settled; whoever keeps no record
    /// of that does nothing.
    fn concluded(&self, _receipt: Receipt, _verdict: Verdict) {}

    /// Settles deliveries; one of an earlier incarnation is skipped, since the broker hands it
    /// out again. Parking and retrying publish to their queue first and accept afterwards.
    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>);

    /// Stops consuming and hands back what was not given out yet; `next_batch` starts again.
    async fn pause(&self);

    /// Stops for good: hands back what was not given out, lets `next_batch` end with `Closed`.
    /// Deliveries already given out can still be settled until the value is dropped.
    async fn close(&self);

    /// Whether it is consuming, or would be if asked.
    fn is_ready(&self) -> bool;
}

/// What becomes of a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// Done.
    Accept,
    /// Not done, not its fault: give it out again, count nothing.
    HandBack,
    /// Try again later: the next rung of the retry ladder, or parked when there is none.
    Retry(Parking),
    /// Set aside for a person.
    Park(Parking),
}

/// Why a message is retried or parked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parking {
    /// Why.
    pub reason: ParkReason,
    /// The error's text, without bodies or secrets; cut to [`PARK_ERROR_BYTES_MAX`].
    pub error: String,
}

impl Parking {
    /// Masks the text, which may repeat what was in the message, and cuts it to size.
    pub fn new(reason: ParkReason, error: impl fmt::Display) -> Self {
        let mut error = masked(&error.to_string());
        if error.len() > PARK_ERROR_BYTES_MAX {
            let end = (0..=PARK_ERROR_BYTES_MAX).rev().find(|at| error.is_char_boundary(*at));
            error.truncate(end.unwrap_or(0));
        }
        Self { reason, error }
    }
}

/// Longest error text that travels with a parked message: enough for a sentence with its cause,
/// and headers stay well below AMQP's frame size.
pub const PARK_ERROR_BYTES_MAX: usize = 1000;

/// Why a message is parked: a closed list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ParkReason {
    /// The body is not what its type promises.
    Unparsable,
    /// The event has no usable id.
    NoId,
    /// Something in it cannot be: an id of the wrong kind, a time before time.
    Impossible,
    /// The authorization already has as many accounts as the limit allows.
    TooManyAccounts,
    /// Deciding about it panicked.
    Panicked,
    /// The database refuses it for what it is.
    Constraint,
    /// The retry ladder is exhausted.
    RetriesExhausted,
    /// Stripe refuses the read for good.
    Refused,
}

impl ParkReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unparsable,
        Self::NoId,
        Self::Impossible,
        Self::TooManyAccounts,
        Self::Panicked,
        Self::Constraint,
        Self::RetriesExhausted,
        Self::Refused,
    ];

    /// The name for headers, metrics and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unparsable => "unparsable",
            Self::NoId => "no_id",
            Self::Impossible => "impossible",
            Self::TooManyAccounts => "too_many_accounts",
            Self::Panicked => "panicked",
            Self::Constraint => "constraint",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Refused => "refused",
        }
    }
}

/// Why no more deliveries come.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// It was closed.
    #[error("the subscriber is closed")]
    Closed,
    /// The broker's state contradicts what is needed; says what to do.
    #[error("{0}")]
    Misconfigured(String),
}

/// Where messages go that the in-process bus sets aside.
#[async_trait]
pub trait ParkingLot: Send + Sync {
    /// Keeps the message durably.
    ///
    /// # Errors
    /// The storage's error as text; the message is then handed back to its publisher.
    async fn park(&self, parked: Parked) -> Result<(), String>;
}

/// A message that was set aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The queue whose worker gave up on it.
    pub queue: &'static str,
    /// The message.
    pub delivery: Delivery,
    /// Why.
    pub parking: Parking,
    /// When it failed for the first time, Unix milliseconds of our clock.
    pub first_failed_at_unix_ms: i64,
    /// When it was parked.
    pub last_failed_at_unix_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_secrets_and_not_at_length() {
        let parking = Parking::new(ParkReason::Unparsable, "unknown type `sk_live_hunter2`");
        assert_eq!(parking.error, "unknown type `•••`");
        let parking = Parking::new(ParkReason::Unparsable, "•".repeat(PARK_ERROR_BYTES_MAX));
        assert_eq!(parking.error.len(), PARK_ERROR_BYTES_MAX - 1, "three bytes a character");
    }
}
