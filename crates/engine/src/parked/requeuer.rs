//! Puts marked messages back on the bus of this process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::port::Publisher;
use relink_bus::topology::WorkQueue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::store::{ParkedRow, Store, StoreError};

/// How often marks are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// How many may be on their way in each queue: one that climbs the retry ladder takes minutes.
const UNDER_WAY_MAX: usize = 64;

/// Publishes what was marked, and forgets it once the bus has settled it.
///
/// A message that fails again is parked again, as a new one that nobody has marked, before the
/// old one is forgotten: so it goes round once for each time that a person says so.
pub struct Requeuer {
    /// Where parked messages are kept.
    pub store: Arc<dyn Store>,
    /// The bus; not what publishes commands, or receivers would get those once more.
    pub bus: Arc<dyn Publisher>,
}

impl Requeuer {
    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let mut under_way = HashSet::new();
        let mut failing = false;
        loop {
            let swept = self.sweep(&mut tasks, &mut under_way).await;
            if let (Err(error), false) = (&swept, failing) {
                tracing::warn!(%error, "parked messages wait for the database to be put back");
            }
            failing = swept.is_err();
            let pause = tokio::time::sleep(SWEEP);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    // What is on its way stays marked, and is put back by the next process.
                    () = stop.cancelled() => return,
                    () = &mut pause => break,
                    Some(Ok(seq)) = tasks.join_next() => {
                        under_way.remove(&seq);
                    }
                }
            }
        }
    }

    async fn sweep(
        &self,
        tasks: &mut JoinSet<i64>,
        under_way: &mut HashSet<i64>,
    ) -> Result<(), StoreError> {
        for queue in WorkQueue::ALL {
            for row in self.store.parked(queue, true, 0, UNDER_WAY_MAX).await? {
                if under_way.insert(row.seq) {
                    tasks.spawn(put_back(Arc::clone(&self.store), Arc::clone(&self.bus), row));
                }
            }
        }
        Ok(())
    }
}

async fn put_back(store: Arc<dyn Store>, bus: Arc<dyn Publisher>, row: ParkedRow) -> i64 {
    let queue = row.message.queue.name();
    match bus.publish(row.message.requeued()).await {
        Ok(()) => {
            if let Err(error) = store.unpark(row.seq).await {
                tracing::warn!(queue, %error, "a message was put back and will be once more");
            }
        }
        Err(error) => tracing::warn!(queue, %error, "a parked message is not put back yet"),
    }
    row.seq
}
