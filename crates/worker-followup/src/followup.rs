//! From a command to what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use relink_bus::envelope::CloudEvent;
use relink_bus::message::Delivery;
use relink_bus::port::{ParkReason, Parking, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::RETRY_LADDER;
use relink_core::command::About;
use relink_core::id::Scope;
use relink_core::time::Second;
use relink_stripe::client::CallError;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::memory::{Memory, Next, UnderWay};
use crate::metrics::{COMMANDS, Metrics};
use crate::observe::{Observer, Trouble};
use crate::reconcile_accounts::reconcile_accounts;
use crate::refresh::refresh;
use crate::verify::verify;

/// Commands in hand at a time: enough to fill the read budget at Stripe's usual latency.
pub const IN_HAND: u16 = 16;

/// Carries out commands that need Stripe.
#[derive(Clone)]
pub struct Followup {
    /// Where commands come from.
    pub subscriber: Arc<dyn Subscriber>,
    /// What reads Stripe; `None` without an API key.
    pub observer: Option<Observer>,
    /// Which commands are Relink's to carry out.
    pub duties: Duties,
    /// Counts.
    pub metrics: Metrics,
}

/// Commands that a platform may want to carry out itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duties {
    /// `refresh_data`
    pub refresh: bool,
    /// `reconcile_accounts`
    pub reconcile: bool,
}

impl Duties {
    /// Nothing is left to the platform.
    pub const ALL: Self = Self { refresh: true, reconcile: true };
}

/// Why a command was not carried out; the names are the metric's.
enum Undone {
    LeftToThePlatform,
    NoApiKey,
    Unparsable(String),
    Trouble(Trouble),
}

impl From<Trouble> for Undone {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Followup {
    /// Carries out commands until told to stop; those in hand are finished first.
    ///
    /// # Errors
    /// [`SubscribeError::Misconfigured`], when trying again cannot help.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), SubscribeError> {
        if let Some(observer) = &mut self.observer {
            observer.held_until = Some(stop.clone());
        }
        let memory = Memory::default();
        let mut in_hand = JoinSet::new();
        let result = loop {
            while in_hand.try_join_next().is_some() {}
            while in_hand.len() >= usize::from(IN_HAND) {
                in_hand.join_next().await;
            }
            let free = usize::from(IN_HAND) - in_hand.len();
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                batch = self.subscriber.next_batch(free, Duration::ZERO) => batch,
            };
            match batch {
                Ok(batch) => {
                    for delivery in batch {
                        let worker = self.clone();
                        let next = memory.take(&delivery);
                        in_hand.spawn(async move { worker.take(delivery, next).await });
                    }
                }
                Err(SubscribeError::Closed) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.subscriber.close().await;
        while in_hand.join_next().await.is_some() {}
        result
    }

    async fn take(&self, delivery: Delivery, next: Next) {
        self.metrics.queue.deliveries.inc();
        if delivery.redelivered {
            self.metrics.queue.redelivered.inc();
        }
        match next {
            Next::Begin(under_way) => self.carry_out(delivery, under_way).await,
            Next::Wait => self.count("repeated"),
            Next::Acknowledge => {
                self.count("repeated");
                self.subscriber.settle(vec![(delivery.receipt, Settlement::Accept)]).await;
            }
        }
    }

    async fn carry_out(&self, delivery: Delivery, under_way: UnderWay) {
        self.observe_age(&delivery);
        let done = self.see_to(&delivery).await;
        let (result, settlement) = after(done);
        if let Settlement::Park(parking) = &settlement {
            let id = delivery.id.as_deref().unwrap_or_default();
            tracing::warn!(command.id = id, error = parking.error, "parked");
        }
        if let Some(reason) = parked_for(&settlement, delivery.headers.attempts) {
            self.metrics.queue.parked.inc(&reason);
        }
        self.count(result);
        let receipts = under_way.end(settlement == Settlement::Accept).into_iter();
        self.subscriber
            .settle(receipts.map(|receipt| (receipt, settlement.clone())).collect())
            .await;
        if let Some(observer) = &self.observer {
            self.metrics.budget.set(observer.budget.rate());
        }
    }

    fn count(&self, result: &str) {
        self.metrics.commands.with_label_values(&[result]).inc();
    }

    /// How old a command is when it is taken up.
    fn observe_age(&self, delivery: &Delivery) {
        // Without a key nothing waits: commands are only put away.
        let (Some(observer), Some(decided_at)) = (&self.observer, delivery.timestamp_unix_s) else {
            return;
        };
        let kind = delivery.kind.as_deref().unwrap_or(&delivery.routing_key);
        let is = |command: &&str| kind.split('.').nth(1) == Some(*command);
        if let Some(command) = COMMANDS.into_iter().find(|command| is(command)) {
            let age = observer.wall.now().since(Second(decided_at).as_time());
            let age = Duration::from_millis(age.0.max(0).unsigned_abs());
            let ages = &self.metrics.command_age_seconds;
            ages.with_label_values(&[command]).observe(age.as_secs_f64());
        }
    }

    async fn see_to(&self, delivery: &Delivery) -> Result<(), Undone> {
        let kind = delivery.kind.as_deref().unwrap_or(&delivery.routing_key);
        match kind {
            "relink.verify_accounts.v1" => {
                let event = parsed(kind, delivery)?;
                verify(self.observer()?, &event).await?;
            }
            "relink.refresh_data.v1" if self.duties.refresh => {
                let event = parsed(kind, delivery)?;
                refresh(self.observer()?, &event).await?;
            }
            "relink.reconcile_accounts.v1" if self.duties.reconcile => {
                let event = parsed(kind, delivery)?;
                reconcile_accounts(self.observer()?, &event).await?;
            }
            "relink.refresh_data.v1" | "relink.reconcile_accounts.v1" => {
                return Err(Undone::LeftToThePlatform);
            }
            other => return Err(Undone::Unparsable(format!("`{other}` is none of its commands"))),
        }
        Ok(())
    }

    fn observer(&self) -> Result<&Observer, Undone> {
        self.observer.as_ref().ok_or(Undone::NoApiKey)
    }
}

fn parsed<Data: DeserializeOwned>(
    kind: &str,
    delivery: &Delivery,
) -> Result<CloudEvent<Data>, Undone> {
    serde_json::from_slice(&delivery.body)
        .map_err(|_| Undone::Unparsable(format!("not a CloudEvent of {kind}")))
}

/// Whose objects a command is about.
pub(crate) fn scope_of(about: &About) -> Scope {
    Scope { livemode: about.livemode, stripe_account: about.stripe_account.clone() }
}

/// Why it is set aside, if it is: what is to be retried at the end of the ladder is as well.
fn parked_for(settlement: &Settlement, attempts: u32) -> Option<ParkReason> {
    let is_last = usize::try_from(attempts).is_ok_and(|rung| rung >= RETRY_LADDER.len());
    match settlement {
        Settlement::Park(parking) => Some(parking.reason),
        Settlement::Retry(parking) if is_last => Some(parking.reason),
        _ => None,
    }
}

fn after(done: Result<(), Undone>) -> (&'static str, Settlement) {
    let park = |reason, error: String| ("parked", Settlement::Park(Parking::new(reason, error)));
    let undone = match done {
        Ok(()) => return ("done", Settlement::Accept),
        Err(undone) => undone,
    };
    match undone {
        Undone::LeftToThePlatform => ("left_to_platform", Settlement::Accept),
        Undone::NoApiKey => ("no_api_key", Settlement::Accept),
        Undone::Unparsable(error) => park(ParkReason::Unparsable, error),
        // It was held until we are to stop.
        Undone::Trouble(Trouble::Publish(_)) => ("retried", Settlement::HandBack),
        Undone::Trouble(trouble @ Trouble::Encode) => {
            park(ParkReason::Impossible, trouble.to_string())
        }
        // A wrong key is an operator's slip that may be mended within the ladder.
        Undone::Trouble(Trouble::Read(error))
            if error.is_retryable() || matches!(error, CallError::Unauthorized(_)) =>
        {
            let parking = Parking::new(ParkReason::RetriesExhausted, error);
            ("retried", Settlement::Retry(parking))
        }
        Undone::Trouble(Trouble::Read(error)) => park(ParkReason::Refused, error.to_string()),
    }
}
