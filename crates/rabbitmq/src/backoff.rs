//! How long to wait before the next attempt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::config::RabbitConfig;

/// Doubles from failure to failure, with jitter, and starts over after a stretch that held.
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(config: &RabbitConfig) -> Self {
        Self { min: config.backoff_min, max: config.backoff_max, next: config.backoff_min }
    }

    /// The wait after a session that began at `since`, half of it jitter.
    ///
    /// A session shorter than the longest wait counts as a failure: a channel that the broker
    /// closes on the first publish must not be reopened in a hot loop.
    pub(crate) fn after(&mut self, since: Option<Instant>) -> Duration {
        if since.is_some_and(|since| since.elapsed() >= self.max) {
            self.next = self.min;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        between(wait / 2, wait)
    }
}

/// Some duration between the two, evenly spread.
pub(crate) fn between(least: Duration, most: Duration) -> Duration {
    // A fresh `RandomState` is seeded by the operating system: randomness without a dependency.
    let share = RandomState::new().build_hasher().finish() >> 48;
    let span = most.saturating_sub(least);
    least + span.mul_f64(share as f64 / f64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_stay_there() {
        let mut backoff = Backoff::new(&RabbitConfig::new("amqp://mq/%2f").unwrap());
        let waits: Vec<_> = (0..10).map(|_| backoff.after(None)).collect();
        assert!(waits[0] <= Duration::from_millis(100));
        assert!(waits[9] >= Duration::from_millis(2500) && waits[9] <= Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let (least, most) = (Duration::from_millis(500), Duration::from_millis(1000));
        assert!((0..1000).all(|_| (least..=most).contains(&between(least, most))));
    }
}
