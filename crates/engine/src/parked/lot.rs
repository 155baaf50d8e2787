//! The parked messages of an in-process bus, which the database keeps.
//!
//! Putting one back marks it: the process whose bus it is ([`Requeuer`](super::Requeuer)) carries
//! that out, whoever asked and whether it runs at that moment or not.

use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::parked::{Depth, Fate, ParkedError, ParkedMessages, Visitor, Walked};
use relink_bus::topology::WorkQueue;

use crate::clock::Clock;
use crate::store::{ParkedCount, Store, StoreError};

/// How many are loaded at a time; each may have a megabyte.
const PAGE: usize = 16;

/// Parked messages in a database.
pub struct StoreLot {
    /// The database.
    pub store: Arc<dyn Store>,
    /// When something was marked.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl ParkedMessages for StoreLot {
    async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked {
        let mut walked = Walked::default();
        walked.trouble =
            self.go(queue, visitor, &mut walked.carried_out).await.err().map(ParkedError::from);
        walked
    }

    async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
        let counts = self.store.parked_counts().await?;
        let depth = |queue| {
            let count = |marked| {
                let of = |one: &&ParkedCount| one.queue == queue && one.is_marked == marked;
                counts.iter().find(of).map_or(0, |one| one.count.cast_unsigned())
            };
            let (ready, parked) = (count(true), count(false));
            Depth { queue, ready, retrying: 0, parked, missing: Vec::new() }
        };
        Ok(WorkQueue::ALL.map(depth).into())
    }
}

impl StoreLot {
    async fn go(
        &self,
        queue: WorkQueue,
        visitor: &mut dyn Visitor,
        carried_out: &mut u64,
    ) -> Result<(), StoreError> {
        let counts = self.store.parked_counts().await?;
        let there = counts.iter().find(|one| one.queue == queue && !one.is_marked);
        let Some(newest) = there.map(|one| one.newest) else { return Ok(()) };
        let mut after = 0;
        loop {
            let page = self.store.parked(queue, false, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            for row in page {
                if row.seq > newest {
                    return Ok(());
                }
                // Somebody else may have done it meanwhile; then it is his to count.
                let is_done = match visitor.visit(row.message).await {
                    Fate::Leave => continue,
                    Fate::Stop => return Ok(()),
                    Fate::Requeue => self.store.mark_parked(row.seq, self.clock.now()).await?,
                    Fate::Remove => self.store.unpark(row.seq).await?,
                };
                *carried_out += u64::from(is_done);
            }
        }
    }
}

impl From<StoreError> for ParkedError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Misconfigured(text) => Self::Misconfigured(text),
            other => Self::Away(other.to_string()),
        }
    }
}
