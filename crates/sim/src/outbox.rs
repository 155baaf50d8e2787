//! Deliveries that are due, under way, or done.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::clock::wall_unix_ms;
use crate::event::EventType;

/// How many attempts are kept for `/control/deliveries`; the oldest go first.
const MAX_ATTEMPTS: usize = 10_000;

/// One delivery to make.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// The id in the body: of the snapshot event or of its thin notification.
    pub(crate) id: String,
    /// The id of the snapshot event.
    pub(crate) event: String,
    /// The snapshot event's sequence.
    pub(crate) sequence: usize,
    pub(crate) kind: EventType,
    pub(crate) body: Bytes,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) retries_left: u32,
}

/// One attempt to deliver an event, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// The id in the body.
    pub id: String,
    /// The id of the snapshot event.
    pub event: String,
    /// The snapshot event's type.
    pub r#type: &'static str,
    /// From 1; each copy of a duplicated event counts for itself.
    pub attempt: u32,
    /// When it ended, by the wall clock.
    pub at_unix_ms: i64,
    /// The receiver's answer.
    pub status: Option<u16>,
    /// Why there is no answer.
    pub error: Option<String>,
    /// Whether it was lost on purpose and never sent.
    pub lost: bool,
}

/// What the sender shall do next.
pub(crate) enum Next {
    Send(Outgoing),
    WaitFor(Duration),
    WaitForChange,
}

/// The queue of deliveries, ordered by when they are due and then by when they were queued.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    due: BinaryHeap<Reverse<Entry>>,
    queued: u64,
    under_way: usize,
    attempts: VecDeque<Attempt>,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    order: u64,
    outgoing: Outgoing,
}

impl Outbox {
    pub(crate) fn push(&mut self, outgoing: Outgoing, due: Instant) {
        self.queued += 1;
        self.due.push(Reverse(Entry { due, order: self.queued, outgoing }));
    }

    /// Takes the next delivery if it is due and fewer than `concurrency` are under way.
    pub(crate) fn next(&mut self, now: Instant, concurrency: usize) -> Next {
        if self.under_way >= concurrency {
            return Next::WaitForChange;
        }
        match self.due.peek() {
            None => Next::WaitForChange,
            Some(Reverse(entry)) if entry.due > now => Next::WaitFor(entry.due - now),
            Some(_) => match self.due.pop() {
                Some(Reverse(entry)) => {
                    self.under_way += 1;
                    Next::Send(entry.outgoing)
                }
                None => Next::WaitForChange,
            },
        }
    }

    /// Notes that a delivery taken from [`Outbox::next`] ended, however it did.
    pub(crate) fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Deliveries due or under way, retries that wait included.
    pub(crate) fn pending(&self) -> usize {
        self.due.len() + self.under_way
    }

    pub(crate) fn record(&mut self, of: &Outgoing, answer: Result<u16, String>) {
        let (status, error) = match answer {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        self.keep(of, status, error, false);
    }

    pub(crate) fn record_lost(&mut self, of: &Outgoing) {
        self.keep(of, None, None, true);
    }

    pub(crate) fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    fn keep(&mut self, of: &Outgoing, status: Option<u16>, error: Option<String>, lost: bool) {
        if self.attempts.len() >= MAX_ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Attempt {
            id: of.id.clone(),
            event: of.event.clone(),
            r#type: of.kind.name(),
            attempt: of.attempt,
            at_unix_ms: wall_unix_ms(),
            status,
            error,
            lost,
        });
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}
