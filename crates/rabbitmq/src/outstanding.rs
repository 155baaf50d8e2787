//! Deliveries that are not settled yet, and the fewest frames that settle some of them.

use std::collections::BTreeMap;

/// What the broker is told about a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Forget it.
    Ack,
    /// Hand it out again.
    Requeue,
}

/// One `basic.ack` or `basic.nack`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u64,
    /// Whether it settles every unsettled delivery up to the tag. One frame costs the client
    /// about 30 µs, so that single acknowledgements cap a consumer at a third of its rate.
    pub(crate) multiple: bool,
    pub(crate) outcome: Outcome,
}

/// Unsettled deliveries of one channel by their tag.
pub(crate) struct Outstanding<T>(BTreeMap<u64, T>);

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Outstanding<T> {
    pub(crate) fn insert(&mut self, tag: u64, held: T) {
        self.0.insert(tag, held);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, tag: u64) -> Option<&T> {
        self.0.get(&tag)
    }

    /// Removes the decided ones and says how to tell the broker. The frames must be sent in this
    /// order and before those of any later plan: a multiple frame means "all that are left".
    pub(crate) fn settle(&mut self, mut decided: BTreeMap<u64, Outcome>) -> Vec<Frame> {
        decided.retain(|tag, _| self.0.contains_key(tag));
        let mut frames: Vec<Frame> = Vec::new();
        // While the lowest outstanding tag is decided, a run of equal outcomes is one frame.
        while let Some((&tag, _)) = self.0.first_key_value() {
            let Some(outcome) = decided.remove(&tag) else { break };
            self.0.pop_first();
            match frames.last_mut() {
                Some(last) if last.outcome == outcome => (last.tag, last.multiple) = (tag, true),
                _ => frames.push(Frame { tag, multiple: false, outcome }),
            }
        }
        // Beyond the first undecided one each needs its own.
        for (tag, outcome) in decided {
            self.0.remove(&tag);
            frames.push(Frame { tag, multiple: false, outcome });
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decided: &[(u64, Outcome)], expect: &[(u64, bool, Outcome)]) {
        let mut outstanding = Outstanding::default();
        (1..=6).for_each(|tag| outstanding.insert(tag, ()));
        let frames = outstanding.settle(decided.iter().copied().collect());
        let frames: Vec<_> = frames.iter().map(|f| (f.tag, f.multiple, f.outcome)).collect();
        assert_eq!(frames, expect);
        assert_eq!(outstanding.0.len(), 6 - decided.iter().filter(|(tag, _)| *tag <= 6).count());
    }

    use Outcome::{Ack, Requeue};

    #[test]
    fn a_whole_batch_is_one_frame() {
        check(&[(1, Ack), (2, Ack), (3, Ack)], &[(3, true, Ack)]);
    }

    #[test]
    fn a_run_of_each_outcome_is_one_frame() {
        check(
            &[(1, Ack), (2, Ack), (3, Requeue), (4, Requeue), (5, Ack)],
            &[(2, true, Ack), (4, true, Requeue), (5, false, Ack)],
        );
    }

    #[test]
    fn beyond_an_undecided_one_each_gets_its_own() {
        check(
            &[(1, Ack), (3, Ack), (4, Ack)],
            &[(1, false, Ack), (3, false, Ack), (4, false, Ack)],
        );
    }

    #[test]
    fn unknown_ones_are_left_alone() {
        check(&[(9, Ack)], &[]);
    }
}
