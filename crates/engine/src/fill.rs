//! How long a batch waits for more.

use std::time::Duration;

use relink_bus::message::Delivery;
use relink_bus::port::{SubscribeError, Subscriber};
use tokio::time::timeout;

use crate::consume::BATCH_MAX;

/// The wait for each further delivery of the batch before, as a part of what that one took: from
/// nine of them on a batch fills as long as the one before was decided. Measured: an eighth leaves
/// 200 events a second as quick as without any wait, and at 4,000 it is as long as it may be.
const SHARE: u32 = 8;

/// Timers are no finer.
const TICK: Duration = Duration::from_millis(1);

/// How long the next batch may fill.
///
/// Each transaction costs as much as dozens of events, in the worker and in the database. So the
/// busier a queue is the longer a batch fills, and the less is to be done for each event: not at
/// all where a delivery came alone, and not where so many came that batches fill by themselves
/// while the one before is decided.
pub(crate) struct Fill {
    max: Duration,
    next: Duration,
}

impl Fill {
    /// None is longer than `max`.
    pub(crate) fn new(max: Duration) -> Self {
        Self { max, next: Duration::ZERO }
    }

    /// After a batch of so many deliveries that took so long.
    pub(crate) fn after(&mut self, size: usize, took: Duration) {
        let further = u32::try_from(size.saturating_sub(1)).unwrap_or(u32::MAX);
        let next = (took.saturating_mul(further) / SHARE).min(self.max);
        let waits = next >= TICK && size <= BATCH_MAX / 2;
        self.next = if waits { next } else { Duration::ZERO };
    }

    /// The next batch. A queue on which nothing came for as long as a batch may fill is not busy:
    /// what comes then goes at once.
    pub(crate) async fn batch(
        &self,
        subscriber: &dyn Subscriber,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        if !self.next.is_zero() {
            let busy = subscriber.next_batch(BATCH_MAX, self.next);
            if let Ok(batch) = timeout(self.max, busy).await {
                return batch;
            }
        }
        subscriber.next_batch(BATCH_MAX, Duration::ZERO).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use relink_bus::message::Receipt;
    use relink_bus::port::Settlement;

    use super::*;

    const MAX: Duration = Duration::from_millis(20);

    fn after(max: Duration, size: usize) -> u128 {
        let mut fill = Fill::new(max);
        fill.after(size, Duration::from_millis(4));
        fill.next.as_micros()
    }

    #[test]
    fn the_busier_the_longer_but_not_where_batches_fill_by_themselves() {
        let waits = [0, 1, 2, 3, 9, 256].map(|size| after(MAX, size));
        assert_eq!(waits, [0, 0, 0, 1_000, 4_000, 20_000]);
        assert_eq!([257, BATCH_MAX].map(|size| after(MAX, size)), [0, 0]);
    }

    #[test]
    fn nothing_waits_where_nothing_may() {
        assert_eq!([1, 9, 256].map(|size| after(Duration::ZERO, size)), [0, 0, 0]);
    }

    /// Hears nothing, and is closed once nobody waits for more.
    struct Silent(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Subscriber for Silent {
        async fn next_batch(
            &self,
            _max: usize,
            linger: Duration,
        ) -> Result<Vec<Delivery>, SubscribeError> {
            self.0.lock().unwrap().push(linger);
            match linger.is_zero() {
                true => Err(SubscribeError::Closed),
                false => std::future::pending().await,
            }
        }
        async fn settle(&self, _settlements: Vec<(Receipt, Settlement)>) {}
        async fn pause(&self) {}
        async fn close(&self) {}
        fn is_ready(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn what_comes_after_a_silence_goes_at_once() {
        let (silent, mut fill) = (Silent(Mutex::default()), Fill::new(MAX));
        fill.after(9, Duration::from_millis(4));
        assert_eq!(fill.batch(&silent).await, Err(SubscribeError::Closed));
        assert_eq!(*silent.0.lock().unwrap(), [Duration::from_millis(4), Duration::ZERO]);
    }
}
