//! From the deliveries of a batch to what becomes of each.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use relink_bus::message::{Delivery, Receipt};
use relink_bus::port::{ParkReason, Parking, Settlement};
use relink_core::bug::{Bug, is_planted};
use relink_core::input::{Happened, Input};

use crate::consume::{Consumer, unwound};
use crate::store::{OutboxRow, StoreError};

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) settlements: Vec<(Receipt, Settlement)>,
    pub(crate) outbox: Vec<OutboxRow>,
    pub(crate) away: Option<StoreError>,
}

/// Deliveries that were read: place by place the same one.
#[derive(Clone, Default)]
struct Works {
    receipts: Vec<Receipt>,
    inputs: Vec<Input>,
    traceparents: Vec<Option<Arc<str>>>,
}

impl Works {
    fn push(&mut self, receipt: Receipt, input: Input, traceparent: Option<Arc<str>>) {
        self.receipts.push(receipt);
        self.inputs.push(input);
        self.traceparents.push(traceparent);
    }

    fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Apart by where they belong, so that what is about one authorization stays together.
    fn halves(self) -> [Self; 2] {
        let mut halves = [Self::default(), Self::default()];
        let parts = self.receipts.into_iter().zip(self.inputs).zip(self.traceparents);
        for ((receipt, input), traceparent) in parts {
            let [one, other] = &mut halves;
            let half = if belongs(&input) { one } else { other };
            half.push(receipt, input, traceparent);
        }
        halves
    }

    /// The second half, in order.
    fn split_off(&mut self) -> Self {
        let at = self.len() / 2;
        Self {
            receipts: self.receipts.split_off(at),
            inputs: self.inputs.split_off(at),
            traceparents: self.traceparents.split_off(at),
        }
    }

    fn remove(&mut self, index: usize) -> (Receipt, Input) {
        self.traceparents.remove(index);
        (self.receipts.remove(index), self.inputs.remove(index))
    }
}

/// To which of the halves; an account that is not known to belong to an authorization may be apart
/// from it, which costs a wait for a lock and nothing else.
fn belongs(input: &Input) -> bool {
    let home = match &input.happened {
        Happened::AccountObserved(seen) => {
            let authorization = seen.authorization.as_ref();
            authorization.map_or_else(|| seen.account.as_str(), |id| id.as_str())
        }
        Happened::AccountMissing(account) => account.as_str(),
        Happened::AuthorizationObserved(seen) => seen.authorization.as_str(),
        Happened::AuthorizationMissing(authorization) => authorization.as_str(),
        Happened::SessionObserved(seen) => seen.authorization.as_str(),
        Happened::TimerDue(home) => home.home.as_str(),
        Happened::Ignored(_) => input.id.as_str(),
    };
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    hasher.finish().is_multiple_of(2)
}

impl Consumer {
    pub(crate) async fn apply(&self, batch: Vec<Delivery>) -> Done {
        let metrics = self.metrics();
        metrics.deliveries.inc_by(batch.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a few hundred")]
        metrics.batch_size.observe(batch.len() as f64);
        let again = batch.iter().filter(|delivery| delivery.redelivered).count();
        metrics.redelivered.inc_by(again as u64);
        let mut done = Done::default();
        let mut works = Works::default();
        for delivery in batch {
            match (self.decode)(&delivery) {
                Ok(input) => works.push(delivery.receipt, input, delivery.headers.traceparent),
                Err(parking) => {
                    let event = delivery.id.as_deref().unwrap_or_default();
                    self.park(&mut done, delivery.receipt, event, parking);
                }
            }
        }
        if works.len() < self.halves_from {
            self.decide_all(works, &mut done).await;
            return done;
        }
        let [one, other] = works.halves();
        let beside = tokio::spawn({
            let (consumer, mut done) = (self.clone(), Done::default());
            async move {
                consumer.decide_all(other, &mut done).await;
                done
            }
        });
        self.decide_all(one, &mut done).await;
        let other = unwound(beside.await);
        done.settlements.extend(other.settlements);
        done.outbox.extend(other.outbox);
        done.away = done.away.or(other.away);
        done
    }

    /// Decides; a batch that the database or the rules refuse is split until the culprit is
    /// alone, so that its mates are applied.
    async fn decide_all(&self, works: Works, done: &mut Done) {
        let mut waiting = vec![works];
        while let Some(works) = waiting.pop() {
            if works.len() == 0 {
                continue;
            }
            if done.away.is_some() {
                self.hand_back(done, &works);
                continue;
            }
            let Works { receipts, inputs, traceparents } = works;
            let (inputs, traceparents): (Arc<[_]>, Arc<[_]>) = (inputs.into(), traceparents.into());
            let decided = self.engine.decide(
                self.queue.name(),
                Arc::clone(&inputs),
                Arc::clone(&traceparents),
            );
            let (report, outbox) = match decided.await {
                Ok(decided) => decided,
                Err(error) => {
                    let (inputs, traceparents) = (inputs.to_vec(), traceparents.to_vec());
                    let works = Works { receipts, inputs, traceparents };
                    self.try_otherwise(works, error, &mut waiting, done);
                    continue;
                }
            };
            done.outbox.extend(outbox);
            for (receipt, verdict) in receipts.iter().zip(&report.verdicts) {
                if let Some(verdict) = verdict {
                    self.subscriber.concluded(*receipt, *verdict);
                    done.settlements.push((*receipt, Settlement::Accept));
                }
            }
            for (index, refusal) in report.refused {
                let parking = Parking::new(ParkReason::TooManyAccounts, refusal);
                if let (Some(receipt), Some(input)) = (receipts.get(index), inputs.get(index)) {
                    self.park(done, *receipt, input.id.as_str(), parking);
                }
            }
        }
    }

    /// What to do with a batch that was not decided.
    fn try_otherwise(
        &self,
        mut works: Works,
        error: StoreError,
        waiting: &mut Vec<Works>,
        done: &mut Done,
    ) {
        match error {
            StoreError::Undecided(index) if index < works.len() => {
                let (receipt, input) = works.remove(index);
                let parking = Parking::new(ParkReason::Panicked, "deciding about it panicked");
                self.park(done, receipt, input.id.as_str(), parking);
                waiting.push(works);
            }
            StoreError::Refused(text) => match (&works.receipts[..], &works.inputs[..]) {
                ([receipt], [input]) => {
                    let parking = Parking::new(ParkReason::Constraint, text);
                    self.park(done, *receipt, input.id.as_str(), parking);
                }
                _ => {
                    waiting.push(works.split_off());
                    waiting.push(works);
                }
            },
            error => {
                self.hand_back(done, &works);
                done.away = Some(error);
            }
        }
    }

    fn park(&self, done: &mut Done, receipt: Receipt, event: &str, parking: Parking) {
        self.metrics().parked.inc(&parking.reason);
        let (queue, reason) = (self.queue.name(), parking.reason.as_str());
        let error = &parking.error;
        tracing::warn!(event.id = event, queue, reason, error, "a message is parked");
        done.settlements.push((receipt, Settlement::Park(parking)));
    }

    fn hand_back(&self, done: &mut Done, works: &Works) {
        self.metrics().handed_back.inc_by(works.len() as u64);
        if is_planted(Bug::HandBackForgotten) {
            return;
        }
        let settlement = match is_planted(Bug::RetryCountedOnTransient) {
            true => Settlement::Retry(Parking::new(ParkReason::RetriesExhausted, "a bug")),
            false => Settlement::HandBack,
        };
        let receipts = works.receipts.iter();
        done.settlements.extend(receipts.map(|receipt| (*receipt, settlement.clone())));
    }
}
