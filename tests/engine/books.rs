//! What the scheduler shows of the queues.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::Registry;
use relink_bus::parked::{Depth, ParkedError, ParkedMessages, Visitor, Walked};
use relink_bus::topology::WorkQueue;
use relink_engine::balance::Bookkeeper;
use relink_engine::clock::SystemClock;
use relink_sqlite::SqliteStore;
use tokio_util::sync::CancellationToken;

/// Queues of which one lacks a part.
struct Incomplete;

#[async_trait]
impl ParkedMessages for Incomplete {
    async fn walk(&self, _: WorkQueue, _: &mut dyn Visitor) -> Walked {
        Walked::default()
    }

    async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
        let depth = |queue| {
            let lacks = queue == WorkQueue::Lifecycle;
            let missing = lacks.then(|| "relink.lifecycle.retry.1s".to_owned());
            Depth {
                queue,
                ready: 3,
                retrying: 0,
                parked: 0,
                missing: missing.into_iter().collect(),
            }
        };
        Ok(WorkQueue::ALL.map(depth).into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_hides_nothing_of_the_others() {
    let (registry, stop) = (Registry::new(), CancellationToken::new());
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    let clock = Arc::new(SystemClock);
    let keeper = Bookkeeper::new(store, Arc::new(Incomplete), clock, &registry).unwrap();
    tokio::join!(keeper.run(stop.clone()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    });
    let families = registry.gather();
    let messages = families.iter().find(|family| family.name() == "relink_queue_messages").unwrap();
    let ready = messages.get_metric().iter().filter(|metric| {
        metric.get_label().iter().any(|label| label.value() == "ready")
            && metric.get_gauge().get_value() > 2.5
    });
    assert_eq!(ready.count(), WorkQueue::ALL.len());
}
