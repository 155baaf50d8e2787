//! Parked messages that are dealt with until somebody has seen enough: the one in hand is dealt
//! with to its end, and the others stay where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use relink_bus::parked::{
    Depth, Fate, ParkedError, ParkedMessage, ParkedMessages, Visitor, Walked,
};
use relink_bus::topology::WorkQueue;
use tokio_util::sync::CancellationToken;

/// The same messages, as long as nobody says stop.
pub(super) struct Stoppable {
    lot: Arc<dyn ParkedMessages>,
    stop: CancellationToken,
    /// Whether something was left because of that.
    was_stopped: AtomicBool,
}

impl Stoppable {
    pub(super) fn new(lot: Arc<dyn ParkedMessages>, stop: CancellationToken) -> Self {
        Self { lot, stop, was_stopped: AtomicBool::new(false) }
    }

    /// Whether messages were not looked at because somebody said stop.
    pub(super) fn was_stopped(&self) -> bool {
        self.was_stopped.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        let stopped = self.stop.is_cancelled();
        self.was_stopped.fetch_or(stopped, Ordering::Relaxed);
        stopped
    }
}

#[async_trait]
impl ParkedMessages for Stoppable {
    async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked {
        if self.stopped() {
            return Walked::default();
        }
        let has_begun = AtomicBool::new(false);
        let mut heeding = Heeding { visitor, lot: self, has_begun: &has_begun };
        let mut walking = self.lot.walk(queue, &mut heeding);
        tokio::select! {
            biased;
            walked = &mut walking => return walked,
            () = self.stop.cancelled() => {}
        }
        // Whoever waits for a server or for somebody else at the desk has nothing in hand.
        if !has_begun.load(Ordering::Relaxed) && self.stopped() {
            return Walked::default();
        }
        walking.await
    }

    async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
        self.lot.depths().await
    }
}

struct Heeding<'a> {
    visitor: &'a mut dyn Visitor,
    lot: &'a Stoppable,
    has_begun: &'a AtomicBool,
}

#[async_trait]
impl Visitor for Heeding<'_> {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        if self.lot.stopped() {
            return Fate::Stop;
        }
        self.has_begun.store(true, Ordering::Relaxed);
        self.visitor.visit(message).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use bytes::Bytes;
    use relink_bus::message::{Delivery, Headers, Receipt};
    use relink_engine::clock::SystemClock;
    use relink_engine::parked::{Desk, DropReason, ParkedFilter};
    use relink_sqlite::SqliteStore;

    use super::super::where_parked::ALL;
    use super::*;

    /// So many messages for each queue, kept where they are until they are dealt with.
    struct Pile {
        each: usize,
        dealt_with: Mutex<Vec<String>>,
        /// Whoever walks has to wait for somebody else for ever.
        is_taken: bool,
    }

    #[async_trait]
    impl ParkedMessages for Pile {
        async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked {
            if self.is_taken {
                std::future::pending::<()>().await;
            }
            let mut walked = Walked::default();
            for number in 0..self.each {
                match visitor.visit(message(queue, number)).await {
                    Fate::Leave => {}
                    Fate::Stop => break,
                    Fate::Requeue | Fate::Remove => {
                        // The confirm takes its time, and the message is in both places until then.
                        tokio::task::yield_now().await;
                        self.dealt_with.lock().unwrap().push(format!("{queue:?} {number}"));
                        walked.carried_out += 1;
                    }
                }
            }
            walked
        }

        async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
            Ok(Vec::new())
        }
    }

    fn message(queue: WorkQueue, number: usize) -> ParkedMessage {
        let delivery = Delivery {
            receipt: Receipt { generation: 0, tag: 0 },
            id: Some(format!("evt_{number}").into()),
            kind: None,
            routing_key: queue.name().into(),
            timestamp_unix_s: None,
            correlation: None,
            headers: Headers::default(),
            redelivered: true,
            body: Bytes::new(),
        };
        ParkedMessage {
            id: format!("{number}").into(),
            queue,
            delivery,
            reason: "impossible".into(),
            error: "".into(),
            first_failed_at_unix_ms: None,
            parked_at_unix_ms: None,
        }
    }

    /// Requeues all, or drops them; says stop while the message with this number is in hand.
    async fn dealt_with(pile: Pile, stop_at: usize, drops: bool) -> (u64, usize, bool) {
        let (pile, stop) = (Arc::new(pile), CancellationToken::new());
        let lot = Arc::new(Stoppable::new(Arc::clone(&pile) as _, stop.clone()));
        if stop_at == 0 {
            stop.cancel();
        }
        let desk = Desk {
            lot: Arc::clone(&lot) as _,
            store: Some(Arc::new(SqliteStore::in_memory().unwrap())),
            decode: |_| None,
            clock: Arc::new(SystemClock),
        };
        let mut count = 0;
        let mut tell = |_: &ParkedMessage| {
            count += 1;
            if count == stop_at {
                stop.cancel();
            }
        };
        let (all, reason) = (ParkedFilter::default(), DropReason::new("of a test").unwrap());
        let walked = match drops {
            true => desk.drop_messages(&all, ALL, &reason, &mut tell).await,
            false => desk.requeue(&all, ALL, Duration::ZERO, &mut tell).await,
        };
        assert_eq!(walked.trouble, None);
        let dealt_with = pile.dealt_with.lock().unwrap().len();
        (walked.carried_out, dealt_with, lot.was_stopped())
    }

    fn pile(each: usize) -> Pile {
        Pile { each, dealt_with: Mutex::default(), is_taken: false }
    }

    #[tokio::test]
    async fn the_message_in_hand_is_dealt_with_and_the_others_stay() {
        for drops in [false, true] {
            assert_eq!(dealt_with(pile(5), 3, drops).await, (3, 3, true));
            assert_eq!(dealt_with(pile(5), 7, drops).await, (7, 7, true), "in the second queue");
            assert_eq!(dealt_with(pile(5), 0, drops).await, (0, 0, true));
        }
    }

    #[tokio::test]
    async fn who_says_stop_at_the_very_last_one_has_left_nothing() {
        let all = 5 * WorkQueue::ALL.len();
        assert_eq!(dealt_with(pile(5), all, false).await, (15, 15, false));
        assert_eq!(dealt_with(pile(5), all + 1, true).await, (15, 15, false));
    }

    #[tokio::test]
    async fn who_waits_for_the_desk_does_not_wait_on() {
        let (stop, taken) = (CancellationToken::new(), Pile { is_taken: true, ..pile(5) });
        let lot = Stoppable::new(Arc::new(taken), stop.clone());
        struct Nobody;
        #[async_trait]
        impl Visitor for Nobody {
            async fn visit(&mut self, _: ParkedMessage) -> Fate {
                Fate::Leave
            }
        }
        let mut nobody = Nobody;
        let walking = lot.walk(WorkQueue::Lifecycle, &mut nobody);
        let (walked, ()) = tokio::join!(walking, async { stop.cancel() });
        assert_eq!((walked, lot.was_stopped()), (Walked::default(), true));
    }
}
