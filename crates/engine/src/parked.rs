//! What a person does with messages that were set aside: look, put back, drop.
//!
//! [`Desk`] does it over the port of whatever bus there is, for the operator's commands and for
//! the API alike. Putting back never turns into a loop: a walk ends with the messages that were
//! there when it began, and one that fails again is parked again and carries how often. Dropping
//! is written to the ledger first, as [`Ignored::Dropped`](relink_core::input::Ignored), so that
//! accepted = applied + ignored + parked stays true.

mod dropping;
mod lot;
mod requeuer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use relink_bus::parked::{Fate, ParkedError, ParkedMessage, ParkedMessages, Visitor, Walked};
use relink_bus::topology::WorkQueue;

use crate::clock::Clock;
use crate::consume::Decode;
use crate::store::Store;

pub use relink_bus::mask::{masked, shown};

pub use dropping::{DROP_REASON_CHARS_MAX, DropReason, own_home};
pub use lot::StoreLot;
pub use requeuer::Requeuer;

/// Which parked messages; an empty choice is all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ParkedFilter {
    /// With one of these ids, the event's or the one under which it is parked; empty: any.
    pub ids: Vec<Arc<str>>,
    /// Of this queue.
    pub queue: Option<WorkQueue>,
    /// Parked for this reason.
    pub reason: Option<Arc<str>>,
    /// Of this type; `…*`: whose type begins so.
    pub kind: Option<Arc<str>>,
    /// Parked at this time or later, Unix milliseconds.
    pub since_unix_ms: Option<i64>,
    /// Parked at this time or earlier.
    pub until_unix_ms: Option<i64>,
}

impl ParkedFilter {
    /// The one message, or the few, with this id.
    pub fn of(id: &str) -> Self {
        Self { ids: vec![id.into()], ..Self::default() }
    }

    /// Whether it chooses nothing, and so means all.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means this message.
    pub fn takes(&self, message: &ParkedMessage) -> bool {
        let delivery = &message.delivery;
        let named = |id: &Arc<str>| *id == message.id || Some(id) == delivery.id.as_ref();
        let kind = delivery.kind.as_deref().unwrap_or_default();
        let at = message.parked_at_unix_ms;
        (self.ids.is_empty() || self.ids.iter().any(named))
            && self.queue.is_none_or(|queue| queue == message.queue)
            && self.reason.as_ref().is_none_or(|reason| *reason == message.reason)
            && self.kind.as_deref().is_none_or(|wanted| match wanted.strip_suffix('*') {
                Some(start) => kind.starts_with(start),
                None => kind == wanted,
            })
            && self.since_unix_ms.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until_unix_ms.is_none_or(|until| at.is_some_and(|at| at <= until))
    }

    /// The queues behind which they may be.
    pub fn queues(&self) -> impl Iterator<Item = WorkQueue> + use<> {
        let wanted = self.queue;
        WorkQueue::ALL.into_iter().filter(move |queue| wanted.is_none_or(|one| one == *queue))
    }
}

/// How far one look goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// How many messages are handed over, or put back, or dropped, at the most.
    pub at_most: usize,
    /// How many are looked at in each queue, at the most.
    pub looked_at: usize,
}

/// A pile that is lower is not worth sorting.
const PILE_MIN: usize = 256;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listed {
    /// The first queue's longest parked ones, then the next one's.
    pub messages: Vec<ParkedMessage>,
    /// How many there are, by queue and reason.
    pub counts: BTreeMap<(WorkQueue, Arc<str>), u64>,
    /// Whether there were more messages than were looked at.
    pub is_cut: bool,
}

impl Listed {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn keep_oldest(&mut self, most: usize) {
        self.messages.sort_by_key(|message| (message.queue, message.parked_at_unix_ms));
        self.messages.truncate(most);
    }
}

/// Where a person deals with parked messages; clones share it.
#[derive(Clone)]
pub struct Desk {
    /// The parked messages.
    pub lot: Arc<dyn ParkedMessages>,
    /// Where a drop is recorded; without it nothing is dropped.
    pub store: Option<Arc<dyn Store>>,
    /// How each queue's messages are read.
    pub decode: fn(WorkQueue) -> Option<Decode>,
    /// The clock of the records.
    pub clock: Arc<dyn Clock>,
}

impl Desk {
    /// Counts what the filter means and hands over the longest parked of them, without bodies.
    ///
    /// # Errors
    /// See [`ParkedError`].
    pub async fn list(&self, filter: &ParkedFilter, reach: Reach) -> Result<Listed, ParkedError> {
        self.look(filter, reach, false).await
    }

    /// The messages with this id, complete.
    ///
    /// # Errors
    /// See [`ParkedError`].
    pub async fn show(&self, id: &str, reach: Reach) -> Result<Vec<ParkedMessage>, ParkedError> {
        Ok(self.look(&ParkedFilter::of(id), reach, true).await?.messages)
    }

    async fn look(
        &self,
        filter: &ParkedFilter,
        reach: Reach,
        with_bodies: bool,
    ) -> Result<Listed, ParkedError> {
        let mut listed = Listed::default();
        for queue in filter.queues() {
            let left = reach.looked_at;
            let mut lister = Lister { filter, reach, with_bodies, left, listed: &mut listed };
            let walked = self.lot.walk(queue, &mut lister).await;
            if let Some(trouble) = walked.trouble {
                return Err(trouble);
            }
        }
        listed.keep_oldest(reach.at_most);
        Ok(listed)
    }

    /// Puts back what the filter means, with a pause between two of them.
    pub async fn requeue(
        &self,
        filter: &ParkedFilter,
        reach: Reach,
        pause: Duration,
        tell: &mut (dyn FnMut(&ParkedMessage) + Send),
    ) -> Walked {
        let mut all = Walked::default();
        let mut mover = Mover { filter, reach, pause, looked_at: 0, moved: 0, tell };
        for queue in filter.queues() {
            mover.looked_at = 0;
            let walked = self.lot.walk(queue, &mut mover).await;
            all.carried_out += walked.carried_out;
            all.trouble = walked.trouble;
            if all.trouble.is_some() {
                break;
            }
        }
        all
    }

    /// Drops what the filter means: each one is recorded, and then removed.
    pub async fn drop_messages(
        &self,
        filter: &ParkedFilter,
        reach: Reach,
        reason: &DropReason,
        tell: &mut (dyn FnMut(&ParkedMessage) + Send),
    ) -> Walked {
        let mut all = Walked::default();
        let Some(store) = &self.store else {
            let text = "without RELINK_DATABASE_URL a drop cannot be recorded";
            all.trouble = Some(ParkedError::Misconfigured(text.into()));
            return all;
        };
        for queue in filter.queues() {
            let mut dropper = dropping::Dropper {
                filter,
                reach,
                recorder: dropping::Recorder {
                    store: &**store,
                    decode: (self.decode)(queue),
                    now: self.clock.now(),
                    reason,
                },
                looked_at: 0,
                dropped: usize::try_from(all.carried_out).unwrap_or(usize::MAX),
                trouble: None,
                tell: &mut *tell,
            };
            let walked = self.lot.walk(queue, &mut dropper).await;
            all.trouble = dropper.trouble.or(walked.trouble);
            all.carried_out += walked.carried_out;
            if all.trouble.is_some() {
                break;
            }
        }
        all
    }
}

/// Counts and keeps.
struct Lister<'a> {
    filter: &'a ParkedFilter,
    reach: Reach,
    with_bodies: bool,
    /// How many may still be looked at.
    left: usize,
    listed: &'a mut Listed,
}

#[async_trait]
impl Visitor for Lister<'_> {
    async fn visit(&mut self, mut message: ParkedMessage) -> Fate {
        if self.left == 0 {
            self.listed.is_cut = true;
            return Fate::Stop;
        }
        self.left -= 1;
        if self.filter.takes(&message) {
            let key = (message.queue, Arc::clone(&message.reason));
            *self.listed.counts.entry(key).or_default() += 1;
            if !self.with_bodies {
                message.delivery.body = Bytes::new();
            }
            self.listed.messages.push(message);
            if self.listed.messages.len() > self.reach.at_most.saturating_mul(2).max(PILE_MIN) {
                self.listed.keep_oldest(self.reach.at_most);
            }
        }
        Fate::Leave
    }
}

/// Puts back.
struct Mover<'a> {
    filter: &'a ParkedFilter,
    reach: Reach,
    pause: Duration,
    looked_at: usize,
    moved: usize,
    tell: &'a mut (dyn FnMut(&ParkedMessage) + Send),
}

#[async_trait]
impl Visitor for Mover<'_> {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        if self.moved >= self.reach.at_most || self.looked_at >= self.reach.looked_at {
            return Fate::Stop;
        }
        self.looked_at += 1;
        if !self.filter.takes(&message) {
            return Fate::Leave;
        }
        if self.moved > 0 && !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        self.moved += 1;
        (self.tell)(&message);
        Fate::Requeue
    }
}
