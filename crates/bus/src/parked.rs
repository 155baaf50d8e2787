//! Messages that were set aside, for whoever looks at them, puts them back or drops them.
//!
//! One port for both kinds of bus: [`ParkedMessages`] shows a queue's parked messages one after
//! the other, and a [`Visitor`] says what becomes of each. What is not touched stays where it is,
//! and a process that is killed at any moment leaves every message parked, put back, or both.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::message::{CONTENT_TYPE_CLOUD_EVENT, CONTENT_TYPE_JSON, Delivery, Headers, Message};
use crate::port::ParkReason;
use crate::topology::{Exchange, UNKNOWN_TYPE_KEY, WorkQueue, is_bound};

/// The reason of a message that the broker set aside, because it was handed out as often as its
/// queue allows.
pub const DELIVERY_LIMIT_REASON: &str = "delivery_limit";

/// The reason of a message of which nothing says why it is there.
pub const UNKNOWN_REASON: &str = "unknown";

/// Every reason there is.
pub fn reasons() -> impl Iterator<Item = &'static str> {
    let known = ParkReason::ALL.into_iter().map(ParkReason::as_str);
    known.chain([DELIVERY_LIMIT_REASON, UNKNOWN_REASON])
}

/// A message that is parked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedMessage {
    /// Names it as long as it is parked; of no meaning but that.
    pub id: Arc<str>,
    /// The queue whose worker gave up on it.
    pub queue: WorkQueue,
    /// The message; its receipt settles nothing.
    pub delivery: Delivery,
    /// Why: the name of a [`ParkReason`], or one of those above.
    pub reason: Arc<str>,
    /// The error's text, without bodies or secrets.
    pub error: Arc<str>,
    /// When it failed for the first time, Unix milliseconds of our clock.
    pub first_failed_at_unix_ms: Option<i64>,
    /// When it was parked.
    pub parked_at_unix_ms: Option<i64>,
}

impl ParkedMessage {
    /// How many times it has been parked: once, and once more for each time it was put back.
    pub fn times(&self) -> u32 {
        self.delivery.headers.requeues.saturating_add(1)
    }

    /// The headers with which it is put back: its way up the retry ladder begins anew, and it
    /// carries how often it was put back.
    pub fn requeued_headers(&self) -> Headers {
        Headers { attempts: 0, requeues: self.times(), ..self.delivery.headers.clone() }
    }

    /// The message to publish where publishing takes it to the queue it came from.
    pub fn requeued(&self) -> Message {
        let delivery = &self.delivery;
        let exchange = self.queue.exchange();
        let is_cloud_event = delivery.routing_key.starts_with("relink.");
        let is_unknown = exchange == Exchange::Events && !is_bound(&delivery.routing_key);
        Message {
            exchange,
            routing_key: Arc::clone(&delivery.routing_key),
            also_to: is_unknown.then_some(UNKNOWN_TYPE_KEY),
            mandatory: true,
            id: delivery.id.clone().unwrap_or_default(),
            kind: delivery.kind.clone().unwrap_or_default(),
            timestamp_unix_s: delivery.timestamp_unix_s.unwrap_or_default(),
            correlation: delivery.correlation.clone(),
            content_type: if is_cloud_event { CONTENT_TYPE_CLOUD_EVENT } else { CONTENT_TYPE_JSON },
            headers: self.requeued_headers(),
            body: delivery.body.clone(),
        }
    }
}

/// What becomes of a parked message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It stays parked.
    Leave,
    /// It goes back to its work queue, and only then leaves the parked ones.
    Requeue,
    /// It is forgotten; whoever says so has recorded it.
    Remove,
    /// It stays parked, and those behind it are not looked at.
    Stop,
}

/// Decides about parked messages.
#[async_trait]
pub trait Visitor: Send {
    /// What becomes of this one.
    ///
    /// It may take its time: nothing else waits for it but the rest of the walk.
    async fn visit(&mut self, message: ParkedMessage) -> Fate;
}

/// What a walk came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Walked {
    /// How many messages were put back or removed.
    pub carried_out: u64,
    /// What ended the walk before its end; what was carried out is carried out.
    pub trouble: Option<ParkedError>,
}

/// How many messages wait in a queue, as far as can be seen: those in the hands of a worker are
/// not among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Depth {
    /// Which.
    pub queue: WorkQueue,
    /// In the work queue.
    pub ready: u64,
    /// On the retry ladder.
    pub retrying: u64,
    /// Parked.
    pub parked: u64,
    /// The queues of it that the broker does not have; nothing waits in those.
    pub missing: Vec<String>,
}

impl Depth {
    /// Which of its queues are missing, and what to do; nothing where all are there.
    pub fn lacks(&self) -> Option<String> {
        let verb = match self.missing.len() {
            0 => return None,
            1 => "is",
            _ => "are",
        };
        Some(format!("{} {verb} missing; run `relink migrate`", self.missing.join(", ")))
    }
}

/// The parked messages of a bus.
#[async_trait]
pub trait ParkedMessages: Send + Sync {
    /// Shows the parked messages of a queue, in about the order of parking (a broker may turn
    /// round what it gets back), each at most once, and no more than there were when the walk
    /// began: what is put back and fails again does not make it longer.
    ///
    /// Where another walk would not see what this one holds, it waits for the end of this one, and
    /// answers [`ParkedError::Busy`] where that takes too long.
    async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked;

    /// How many messages wait where; waits like a walk.
    ///
    /// # Errors
    /// See [`ParkedError`].
    async fn depths(&self) -> Result<Vec<Depth>, ParkedError>;
}

/// Why parked messages cannot be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParkedError {
    /// Trying again may help.
    Away(String),
    /// Something has to be corrected first; says what.
    Misconfigured(String),
    /// Somebody else looks at them, and did not end in time; nothing was looked at.
    Busy,
}

impl fmt::Display for ParkedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(text) => write!(f, "the parked messages cannot be reached: {text}"),
            Self::Misconfigured(text) => f.write_str(text),
            Self::Busy => f.write_str(
                "somebody else looks at the parked messages (another command, the API or the \
                 scheduler), and what he holds cannot be seen; try again when he is done",
            ),
        }
    }
}

impl std::error::Error for ParkedError {}
