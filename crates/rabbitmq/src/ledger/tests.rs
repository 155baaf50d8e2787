use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// A small generator, so that a failure is repeated by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The AMQP library between broker and task: hands returns out oldest first, works through a
/// multiple acknowledgement in no order, and queues what the task is to observe.
#[derive(Default)]
struct Library {
    returns: VecDeque<u64>,
    observable: VecDeque<Seen>,
}

enum Seen {
    Confirm(u64, Option<u64>),
    Barrier,
}

impl Library {
    fn acknowledged(&mut self, mut nonces: Vec<u64>, dice: &mut Dice) {
        while !nonces.is_empty() {
            let at = usize::try_from(dice.below(nonces.len() as u64)).unwrap();
            let nonce = nonces.swap_remove(at);
            let carried = self.returns.pop_front();
            // What completes before it was looked at even once stands where it was put first,
            // ahead of barriers and of what completed before it.
            let ahead = dice.below(12).min(self.observable.len() as u64);
            let at = self.observable.len() - usize::try_from(ahead).unwrap();
            self.observable.insert(at, Seen::Confirm(nonce, carried));
        }
    }
}

fn run(seed: u64, unroutable_of: u64, mandatory_of: u64) {
    let mut dice = Dice(seed);
    let mut ledger = Ledger::default();
    let mut library = Library::default();
    let mut expected = BTreeMap::new();
    let mut answers = BTreeMap::new();
    let mut unacked = BTreeSet::new();
    let mut next = 0;
    while answers.len() < 300 {
        if next < 300 && dice.below(2) == 0 {
            next += 1;
            let mandatory = dice.below(mandatory_of) == 0;
            let returned = mandatory && dice.below(unroutable_of) == 0;
            ledger.published(next, mandatory, next);
            expected.insert(next, if returned { Err(PublishError::Unroutable) } else { Ok(()) });
            if returned {
                library.returns.push_back(next);
            }
            unacked.insert(next);
        }
        if dice.below(3) == 0 {
            let some: Vec<u64> = unacked.iter().copied().filter(|_| dice.below(2) == 0).collect();
            some.iter().for_each(|nonce| {
                unacked.remove(nonce);
            });
            library.acknowledged(some, &mut dice);
        }
        if dice.below(2) == 0 {
            match library.observable.pop_front() {
                Some(Seen::Confirm(nonce, carried)) => {
                    ledger.confirmed(nonce, Verdict::Ack, carried);
                }
                Some(Seen::Barrier) => ledger.barrier_passed(),
                None => {}
            }
            if ledger.raise_barrier() {
                library.observable.push_back(Seen::Barrier);
            }
            for (nonce, answer) in ledger.answers() {
                assert_eq!(answers.insert(nonce, answer), None, "seed {seed}: twice");
            }
        }
    }
    assert_eq!(answers, expected, "seed {seed}");
    assert_eq!(ledger.abandon().count(), 0, "seed {seed}: left over");
}

#[test]
fn exactly_the_returned_publishes_are_unroutable_whatever_the_confirms_carried() {
    for seed in 0..150 {
        run(seed, 7, 1);
        run(seed, 2, 1);
        run(seed, 1, 1);
        run(seed, 3, 2);
    }
}

#[test]
fn a_lone_publish_is_answered_without_a_barrier() {
    let mut ledger = Ledger::default();
    ledger.published(1, true, "one");
    ledger.confirmed(1, Verdict::Ack, None);
    assert_eq!(ledger.answers().collect::<Vec<_>>(), [("one", Ok(()))]);
    ledger.published(2, true, "two");
    ledger.confirmed(2, Verdict::Ack, Some(2));
    assert_eq!(ledger.answers().next(), Some(("two", Err(PublishError::Unroutable))));
}

#[test]
fn a_refused_publish_is_answered_at_once() {
    let mut ledger = Ledger::default();
    ledger.published(1, true, "one");
    ledger.published(2, true, "two");
    ledger.confirmed(1, Verdict::Nack, None);
    assert_eq!(ledger.answers().next(), Some(("one", Err(PublishError::Refused))));
    assert!(ledger.oldest().is_some());
}

#[test]
fn what_is_left_is_abandoned_whether_acknowledged_or_not() {
    let mut ledger = Ledger::default();
    ledger.published(1, true, "one");
    ledger.published(2, true, "two");
    ledger.confirmed(1, Verdict::Ack, None);
    assert_eq!(ledger.answers().count(), 0);
    assert_eq!(ledger.abandon().count(), 2);
}
