//! The way from a queue to its worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_core::id::Scope;

use crate::broker::Line;
use crate::fault::Fault;
use crate::process::Process;

/// Consumes for a process.
pub(crate) struct GatedSubscriber {
    pub(crate) process: Process,
    pub(crate) queue: WorkQueue,
    pub(crate) inner: Arc<dyn Subscriber>,
    /// The connection, where there is a broker.
    pub(crate) line: Option<Arc<Line>>,
    given_out: Mutex<BTreeMap<Receipt, (Scope, Arc<str>)>>,
}

impl GatedSubscriber {
    pub(crate) fn new(
        process: Process,
        queue: WorkQueue,
        inner: Arc<dyn Subscriber>,
        line: Option<Arc<Line>>,
    ) -> Self {
        Self { process, queue, inner, line, given_out: Mutex::default() }
    }

    /// S3 and S10. A command of the followup queue is not in the ledger: what it learned will be.
    fn look_at(&self, receipt: Receipt, settlement: &Settlement) {
        let known = self.lock().remove(&receipt);
        let Some((scope, id)) = known else { return };
        let how = match settlement {
            Settlement::Accept => "acknowledges",
            Settlement::HandBack => "hands back",
            Settlement::Retry(_) => "retries",
            Settlement::Park(_) => "parks",
        };
        self.process.note(format_args!("{how} {id}"));
        let stage = self.process.stage();
        let in_ledger = || stage.watch.knows(&scope, &id);
        match settlement {
            Settlement::Accept if self.queue != WorkQueue::Followup && !in_ledger() => {
                stage.broken(format!("S3: {id} is acknowledged and not in the ledger"));
            }
            Settlement::Retry(_) if self.queue != WorkQueue::Followup => {
                stage.broken(format!("S10: {id} is charged with an attempt"));
            }
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Receipt, (Scope, Arc<str>)>> {
        self.given_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Subscriber for GatedSubscriber {
    async fn next_batch(
        &self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        self.process.point("consume").await;
        // Batches of every size, not only of what happens to be there.
        let size = self.process.chance().between(1, 9).min(u64::try_from(max).unwrap_or(1));
        let batch = self.inner.next_batch(usize::try_from(size).unwrap_or(1), linger).await?;
        for delivery in &batch {
            let scope = Scope {
                livemode: delivery.headers.livemode.unwrap_or(false),
                stripe_account: delivery.headers.stripe_account.clone(),
            };
            let id = delivery.id.clone().unwrap_or_default();
            let again = if delivery.redelivered { " again" } else { "" };
            self.process.note(format_args!("gets {id}{again}"));
            self.lock().insert(delivery.receipt, (scope, id));
        }
        Ok(batch)
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        if settlements.is_empty() {
            return;
        }
        self.process.point("acknowledge").await;
        for (receipt, settlement) in &settlements {
            self.look_at(*receipt, settlement);
        }
        if let Some(line) = &self.line
            && self.process.strikes(Fault::AcknowledgementLost)
        {
            self.process.note(format_args!("loses its connection to the broker"));
            line.lose_connection();
            return;
        }
        self.inner.settle(settlements).await;
        self.process.point("acknowledged").await;
    }

    async fn pause(&self) {
        self.process.point("pause").await;
        self.inner.pause().await;
    }

    async fn close(&self) {
        self.process.point("close").await;
        self.inner.close().await;
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }
}
