//! Tells of every delivery.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use relink_core::input::Verdict;

use super::{Earlier, Operation, Span, Tracer};
use crate::message::{Delivery, Receipt};
use crate::port::{Settlement, SubscribeError, Subscriber};
use crate::topology::WorkQueue;

/// How many deliveries may be in hand and told of: several times what a consumer holds. One that
/// is never settled, because its task has died, must not add up.
pub(super) const IN_HAND_MAX: usize = 16_384;

/// A [`Subscriber`] that tells of each delivery, from when it is handed out until it is settled:
/// what it led to has been committed and published by then.
pub struct TracedSubscriber {
    inner: Arc<dyn Subscriber>,
    queue: WorkQueue,
    tracer: Tracer,
    in_hand: Mutex<HashMap<Receipt, Span>>,
}

impl TracedSubscriber {
    /// Around another one, which hands out what is in `queue`.
    pub fn new(inner: Arc<dyn Subscriber>, queue: WorkQueue, tracer: Tracer) -> Self {
        Self { inner, queue, tracer, in_hand: Mutex::default() }
    }

    /// Begins the span, and makes the delivery carry its context.
    fn begin(&self, delivery: &mut Delivery, now_unix_ns: u64) -> Option<Span> {
        let headers = &mut delivery.headers;
        let earlier = Earlier {
            redelivered: delivery.redelivered,
            attempts: headers.attempts,
            requeues: headers.requeues,
        };
        // A message that the broker hands out once more, because a worker has died, is still on
        // its way; one that was set aside for later begins anew.
        let is_replay = earlier.attempts > 0 || earlier.requeues > 0;
        let position = self.tracer.position(&mut headers.traceparent, is_replay);
        if let (WorkQueue::Followup, Some(id), Some(traceparent)) =
            (self.queue, &delivery.id, &headers.traceparent)
        {
            self.tracer.carries_out(id, traceparent);
        }
        let position = position?;
        Some(Span {
            operation: Operation::Process,
            destination: self.queue.name(),
            context: position.context,
            parent: position.parent,
            link: position.link,
            started_unix_ns: now_unix_ns,
            ended_unix_ns: 0,
            message_id: delivery.id.clone(),
            kind: delivery.kind.clone(),
            routing_key: Arc::clone(&delivery.routing_key),
            correlation: delivery.correlation.clone(),
            body_bytes: delivery.body.len(),
            earlier,
            verdict: None,
            error: None,
        })
    }

    fn end(&self, settlements: &[(Receipt, Settlement)]) {
        let mut in_hand = self.in_hand();
        for (receipt, settlement) in settlements {
            if let Some(mut span) = in_hand.remove(receipt) {
                span.error = trouble(settlement);
                self.tracer.end(span);
            }
        }
    }

    pub(super) fn in_hand(&self) -> MutexGuard<'_, HashMap<Receipt, Span>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a settlement says of what went wrong.
fn trouble(settlement: &Settlement) -> Option<&'static str> {
    match settlement {
        Settlement::Accept => None,
        Settlement::HandBack => Some("handed_back"),
        Settlement::Retry(_) => Some("retried"),
        Settlement::Park(parking) => Some(parking.reason.as_str()),
    }
}

#[async_trait]
impl Subscriber for TracedSubscriber {
    async fn next_batch(
        &self,
        max: usize,
        linger: Duration,
    ) -> Result<Vec<Delivery>, SubscribeError> {
        // Nothing is awaited behind this, so that who cancels loses nothing.
        let mut batch = self.inner.next_batch(max, linger).await?;
        let now_unix_ns = self.tracer.traces.now_unix_ns();
        let mut in_hand = self.in_hand();
        for delivery in &mut batch {
            let Some(span) = self.begin(delivery, now_unix_ns) else { continue };
            if in_hand.len() < IN_HAND_MAX {
                in_hand.insert(delivery.receipt, span);
            } else {
                self.tracer.traces.gave_up();
            }
        }
        drop(in_hand);
        Ok(batch)
    }

    fn concluded(&self, receipt: Receipt, verdict: Verdict) {
        if let Some(span) = self.in_hand().get_mut(&receipt) {
            span.verdict = Some(verdict);
        }
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        self.end(&settlements);
        self.inner.settle(settlements).await;
    }

    async fn pause(&self) {
        self.inner.pause().await;
    }

    async fn close(&self) {
        self.inner.close().await;
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }
}
