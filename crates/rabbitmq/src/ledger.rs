//! Which publish was confirmed, and which was returned: the pairing, without any I/O.
//!
//! RabbitMQ sends `basic.return` for an unroutable mandatory message before its `basic.ack`, and
//! sends returns in the order of publishing. The AMQP library queues returns and hands the oldest
//! one out with whatever confirm comes next, so a confirm can carry another publish's return, and
//! a publish's own return can come with an earlier confirm or, within one multiple acknowledgement
//! (which it works through in no order), with a later one. So:
//!
//! * A return names its publish by a nonce of ours, not by the confirm that carried it.
//! * A confirm of a mandatory message is only believed once its return can no longer be under
//!   way, that is when the queue of returns was seen empty (a confirm that carried none) at or
//!   after its own confirm, or a return of a later publish was seen, or no confirm is awaited.
//! * Confirms are observed by one task, roughly but not exactly in the order in which they came.
//!   A *barrier* is something that the task observes after all that had come before the barrier
//!   was raised; every conclusion waits for one.

use std::collections::BTreeMap;
use std::time::Instant;

use relink_bus::port::PublishError;

/// What the broker said about a publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Taken, or returned.
    Ack,
    /// Not taken.
    Nack,
}

/// The publishes of one channel that are not answered yet.
pub(crate) struct Ledger<T> {
    pending: BTreeMap<u64, Pending<T>>,
    acked: BTreeMap<u64, Acked<T>>,
    newest_return: Option<u64>,
    /// How many of the acknowledged ones are not believed yet.
    suspects: usize,
    barriers_raised: u64,
    barriers_passed: u64,
    barrier_wanted: u64,
    answers: Vec<(T, Result<(), PublishError>)>,
}

struct Pending<T> {
    token: T,
    mandatory: bool,
    returned: bool,
    since: Instant,
}

struct Acked<T> {
    token: T,
    /// From this barrier on, whatever is observed came after the acknowledgement.
    seasoned_at: u64,
    /// From this barrier on, its return would have been seen.
    believed_at: Option<u64>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self {
            pending: BTreeMap::new(),
            acked: BTreeMap::new(),
            newest_return: None,
            suspects: 0,
            barriers_raised: 0,
            barriers_passed: 0,
            barrier_wanted: 0,
            answers: Vec::new(),
        }
    }
}

impl<T> Ledger<T> {
    /// Notes a publish; nonces grow in the order in which messages reach the channel.
    pub(crate) fn published(&mut self, nonce: u64, mandatory: bool, token: T) {
        let since = Instant::now();
        self.pending.insert(nonce, Pending { token, mandatory, returned: false, since });
    }

    /// Notes a confirm and the nonce of the return that came with it, if any.
    pub(crate) fn confirmed(&mut self, nonce: u64, verdict: Verdict, carried: Option<u64>) {
        match carried {
            Some(returned) => self.returned(returned),
            None => self.queue_seen_empty(),
        }
        let Some(pending) = self.pending.remove(&nonce) else { return };
        let Pending { token, mandatory, returned, .. } = pending;
        match verdict {
            _ if returned => self.answers.push((token, Err(PublishError::Unroutable))),
            Verdict::Nack => self.answers.push((token, Err(PublishError::Refused))),
            Verdict::Ack if !mandatory => self.answers.push((token, Ok(()))),
            Verdict::Ack => {
                let next = self.next_barrier();
                let overtaken = self.newest_return.is_some_and(|newest| newest > nonce);
                let believed_at = (carried.is_none() || overtaken).then_some(next);
                self.barrier_wanted = next;
                self.suspects += usize::from(believed_at.is_none());
                self.acked.insert(nonce, Acked { token, seasoned_at: next, believed_at });
            }
        }
        if self.pending.is_empty() {
            // Every confirm was observed, so every return was too.
            self.believe(|_| true);
        }
    }

    /// Whether the caller has to raise a barrier now; at most one is up at a time.
    pub(crate) fn raise_barrier(&mut self) -> bool {
        let due = self.barriers_raised == self.barriers_passed
            && self.barrier_wanted > self.barriers_raised
            && !self.acked.is_empty();
        if due {
            self.barriers_raised += 1;
        }
        due
    }

    /// Notes that the raised barrier was observed.
    pub(crate) fn barrier_passed(&mut self) {
        self.barriers_passed = self.barriers_raised;
        let passed = self.barriers_passed;
        self.believe(|acked| acked.believed_at.is_some_and(|at| at <= passed));
    }

    /// Takes the answers that are due.
    pub(crate) fn answers(&mut self) -> std::vec::Drain<'_, (T, Result<(), PublishError>)> {
        self.answers.drain(..)
    }

    /// Since when the oldest publish waits for its confirm.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(_, pending)| pending.since)
    }

    /// Gives up on all that is left.
    pub(crate) fn abandon(self) -> impl Iterator<Item = T> {
        let pending = self.pending.into_values().map(|pending| pending.token);
        pending.chain(self.acked.into_values().map(|acked| acked.token))
    }

    /// The first barrier that is raised after now.
    fn next_barrier(&self) -> u64 {
        self.barriers_raised + 1
    }

    fn returned(&mut self, nonce: u64) {
        if let Some(acked) = self.acked.remove(&nonce) {
            self.suspects -= usize::from(acked.believed_at.is_none());
            self.answers.push((acked.token, Err(PublishError::Unroutable)));
        } else if let Some(pending) = self.pending.get_mut(&nonce) {
            pending.returned = true;
        }
        if self.newest_return.is_none_or(|newest| newest < nonce) {
            self.newest_return = Some(nonce);
            self.believe_after_barrier(|other, _| other < nonce);
        }
    }

    fn queue_seen_empty(&mut self) {
        let passed = self.barriers_passed;
        self.believe_after_barrier(|_, acked| acked.seasoned_at <= passed);
    }

    fn believe_after_barrier(&mut self, which: impl Fn(u64, &Acked<T>) -> bool) {
        if self.suspects == 0 {
            return;
        }
        let next = self.next_barrier();
        for (nonce, acked) in &mut self.acked {
            if acked.believed_at.is_none() && which(*nonce, acked) {
                acked.believed_at = Some(next);
                self.suspects -= 1;
                self.barrier_wanted = next;
            }
        }
    }

    fn believe(&mut self, which: impl Fn(&Acked<T>) -> bool) {
        for (nonce, acked) in std::mem::take(&mut self.acked) {
            if which(&acked) {
                self.suspects -= usize::from(acked.believed_at.is_none());
                self.answers.push((acked.token, Ok(())));
            } else {
                self.acked.insert(nonce, acked);
            }
        }
    }
}

#[cfg(test)]
mod tests;
