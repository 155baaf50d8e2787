//! Work that one process at a time does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use relink_core::time::{Span, Time};
use relink_engine::claim::{CLAIM_LIFETIME, Claim};
use relink_engine::clock::Clock;
use relink_engine::store::Store;
use relink_sqlite::SqliteStore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The paused clock of the runtime.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Time {
        Time(0).after(Span(i64::try_from(self.0.elapsed().as_millis()).unwrap()))
    }
}

/// Processes that could do the same work.
struct Place {
    store: Arc<dyn Store>,
    wall: Arc<dyn Clock>,
    begun: Arc<AtomicUsize>,
    at_work: Arc<AtomicUsize>,
}

impl Place {
    fn new() -> Self {
        Self {
            store: Arc::new(SqliteStore::in_memory().unwrap()),
            wall: Arc::new(Paused(Instant::now())),
            begun: Arc::default(),
            at_work: Arc::default(),
        }
    }

    fn process(&self, name: &str) -> (CancellationToken, JoinHandle<()>) {
        let (store, wall) = (Arc::clone(&self.store), Arc::clone(&self.wall));
        let claim = Claim { store, work: "work", claimant: name.into(), wall };
        let (begun, at_work) = (Arc::clone(&self.begun), Arc::clone(&self.at_work));
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let running = tokio::spawn(async move {
            let work = |held: CancellationToken| {
                let (begun, at_work) = (Arc::clone(&begun), Arc::clone(&at_work));
                async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    at_work.fetch_add(1, Ordering::SeqCst);
                    held.cancelled().await;
                    at_work.fetch_sub(1, Ordering::SeqCst);
                }
            };
            claim.hold(stopping, work).await;
        });
        (stop, running)
    }

    /// How often work was begun, and how many are at it.
    fn counts(&self) -> (usize, usize) {
        (self.begun.load(Ordering::SeqCst), self.at_work.load(Ordering::SeqCst))
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_of_two_processes_works_and_the_other_follows_it() {
    let place = Place::new();
    let (stop, first) = place.process("first");
    let (stop_second, second) = place.process("second");
    pass(600).await;
    assert_eq!(place.counts(), (1, 1));
    stop.cancel();
    first.await.unwrap();
    pass(11).await;
    assert_eq!(place.counts(), (2, 1), "it was given up, and need not run out");
    stop_second.cancel();
    second.await.unwrap();
    assert_eq!(place.counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_killed_is_followed_when_its_claim_has_run_out() {
    let place = Place::new();
    let (_stop, first) = place.process("first");
    pass(1).await;
    let (_stop, _second) = place.process("second");
    first.abort();
    let _ = first.await;
    pass(15).await;
    assert_eq!(place.counts().0, 1, "it may only be slow");
    pass(30).await;
    assert_eq!(place.counts().0, 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_its_claim_stops() {
    let place = Place::new();
    let (_stop, _first) = place.process("first");
    pass(1).await;
    assert_eq!(place.counts(), (1, 1));
    // Somebody whose clock is far ahead.
    let ahead = Time(0).after(Span::days(1));
    let until = ahead.after(CLAIM_LIFETIME);
    assert!(place.store.claim_work("work", "other", ahead, until).await.unwrap());
    pass(11).await;
    assert_eq!(place.counts(), (1, 0));
}
