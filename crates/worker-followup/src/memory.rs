//! What the worker remembers of commands, because the broker does not.
//!
//! A connection that is lost brings again whatever was in hand, also what is done and was only not
//! acknowledged. Reading once more would do no harm, but reads are what is scarce, and each lost
//! connection counts towards the queue's delivery limit: with sixteen commands in hand, all begun
//! anew each time, an innocent one could reach it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relink_bus::message::{Delivery, Receipt};

/// How many finished commands are kept: several times what is ever unacknowledged.
const FINISHED_MAX: usize = 256;

/// What to do with a delivery.
pub(crate) enum Next {
    /// Carry it out.
    Begin(UnderWay),
    /// It is being carried out; this delivery is settled with the other.
    Wait,
    /// It was carried out, which the broker was not told.
    Acknowledge,
}

/// The commands of one worker.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Commands>>);

#[derive(Default)]
struct Commands {
    under_way: BTreeMap<Name, Vec<Receipt>>,
    finished: VecDeque<Name>,
}

/// The id, and a hash of the body: whoever gives two commands one id means both.
type Name = (Arc<str>, u64);

fn name(delivery: &Delivery) -> Option<Name> {
    let mut hasher = DefaultHasher::new();
    delivery.body.hash(&mut hasher);
    Some((Arc::clone(delivery.id.as_ref()?), hasher.finish()))
}

/// A command that is being carried out; forgotten when dropped, so that one that panics can come
/// again.
pub(crate) struct UnderWay {
    memory: Memory,
    name: Option<Name>,
    first: Receipt,
}

impl Memory {
    /// Takes a delivery up.
    pub(crate) fn take(&self, delivery: &Delivery) -> Next {
        let memory = self.clone();
        let under_way = |name| UnderWay { memory, name, first: delivery.receipt };
        let Some(name) = name(delivery) else { return Next::Begin(under_way(None)) };
        let mut commands = self.lock();
        if let Some(receipts) = commands.under_way.get_mut(&name) {
            receipts.push(delivery.receipt);
            return Next::Wait;
        }
        // Only then: whoever sends a command a second time wants it to be carried out again.
        if delivery.redelivered && commands.finished.contains(&name) {
            return Next::Acknowledge;
        }
        commands.under_way.insert(name.clone(), vec![delivery.receipt]);
        Next::Begin(under_way(Some(name)))
    }

    fn lock(&self) -> MutexGuard<'_, Commands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// The deliveries to settle, in their order; one that is done is remembered.
    pub(crate) fn end(self, done: bool) -> Vec<Receipt> {
        let Some(name) = &self.name else { return vec![self.first] };
        let mut commands = self.memory.lock();
        if done {
            if commands.finished.len() == FINISHED_MAX {
                commands.finished.pop_front();
            }
            commands.finished.push_back(name.clone());
        }
        commands.under_way.remove(name).unwrap_or_default()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.memory.lock().under_way.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use relink_bus::message::Headers;

    use super::*;

    fn delivery(id: Option<&str>, tag: u64, redelivered: bool) -> Delivery {
        Delivery {
            receipt: receipt(tag),
            id: id.map(Arc::from),
            kind: None,
            routing_key: "relink.verify_accounts.v1".into(),
            timestamp_unix_s: None,
            correlation: None,
            headers: Headers::default(),
            redelivered,
            body: Bytes::new(),
        }
    }

    fn receipt(tag: u64) -> Receipt {
        Receipt { generation: 1, tag }
    }

    fn begun(next: Next) -> UnderWay {
        match next {
            Next::Begin(under_way) => under_way,
            Next::Wait => panic!("it waits"),
            Next::Acknowledge => panic!("it is only acknowledged"),
        }
    }

    #[test]
    fn what_comes_again_while_it_is_under_way_ends_with_it() {
        let memory = Memory::default();
        let first = begun(memory.take(&delivery(Some("a"), 1, false)));
        assert!(matches!(memory.take(&delivery(Some("a"), 2, true)), Next::Wait));
        let other = begun(memory.take(&delivery(Some("b"), 3, true)));
        assert_eq!(first.end(false), [receipt(1), receipt(2)]);
        assert_eq!(other.end(true), [receipt(3)]);
        let again = begun(memory.take(&delivery(Some("a"), 4, true)));
        assert_eq!(again.end(true), [receipt(4)], "it was not done, so it is begun once more");
    }

    #[test]
    fn only_what_the_broker_brings_again_is_not_carried_out_again() {
        let memory = Memory::default();
        begun(memory.take(&delivery(Some("a"), 1, false))).end(true);
        assert!(matches!(memory.take(&delivery(Some("a"), 2, true)), Next::Acknowledge));
        begun(memory.take(&delivery(Some("a"), 3, false)));
    }

    #[test]
    fn two_bodies_under_one_id_are_two_commands() {
        let memory = Memory::default();
        let one = begun(memory.take(&delivery(Some("a"), 1, false)));
        let other = Delivery { body: "other".into(), ..delivery(Some("a"), 2, true) };
        assert_eq!(begun(memory.take(&other)).end(true), [receipt(2)]);
        assert_eq!(one.end(false), [receipt(1)]);
        begun(memory.take(&delivery(Some("a"), 3, true)));
    }

    #[test]
    fn one_that_panics_or_has_no_name_is_begun_each_time() {
        let memory = Memory::default();
        drop(begun(memory.take(&delivery(Some("a"), 1, false))));
        begun(memory.take(&delivery(Some("a"), 2, true)));
        assert_eq!(begun(memory.take(&delivery(None, 3, false))).end(true), [receipt(3)]);
        begun(memory.take(&delivery(None, 4, true)));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let memory = Memory::default();
        for number in 0..=FINISHED_MAX {
            let id = number.to_string();
            begun(memory.take(&delivery(Some(&id), 1, false))).end(true);
        }
        begun(memory.take(&delivery(Some("0"), 2, true)));
        assert!(matches!(memory.take(&delivery(Some("1"), 3, true)), Next::Acknowledge));
    }
}
