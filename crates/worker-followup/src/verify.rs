//! `verify_accounts`: read back, publish what was read.

use std::sync::Arc;
use std::time::Duration;

use relink_bus::envelope::CloudEvent;
use relink_bus::message::Delivery;
use relink_bus::port::{ParkReason, Parking, Publisher, Settlement, SubscribeError, Subscriber};
use relink_core::command::VerifyAccounts;
use relink_core::id::{AuthorizationId, Scope};
use relink_engine::clock::Clock;
use relink_stripe::client::{Budget, CallError, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::observe::{Observer, Trouble};

/// Commands in hand at a time: enough to fill the read budget at Stripe's usual latency.
const IN_HAND: usize = 16;

/// How long a command waits in hand after the bus did not take its observation.
const PUBLISH_AGAIN: Duration = Duration::from_secs(1);

/// The type it carries out.
const VERIFY: &str = "relink.verify_accounts.v1";

/// Carries out commands that need Stripe.
#[derive(Clone)]
pub struct Followup {
    /// Where commands come from.
    pub subscriber: Arc<dyn Subscriber>,
    /// Where observations go.
    pub publisher: Arc<dyn Publisher>,
    /// Stripe; `None` without an API key.
    pub client: Option<Client>,
    /// How fast Stripe may be asked.
    pub budget: Arc<Budget>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
}

impl Followup {
    /// Carries out commands until told to stop; those in hand are finished first.
    ///
    /// # Errors
    /// [`SubscribeError::Misconfigured`], when trying again cannot help.
    pub async fn run(self, stop: CancellationToken) -> Result<(), SubscribeError> {
        let mut in_hand = JoinSet::new();
        let result = loop {
            while in_hand.try_join_next().is_some() {}
            while in_hand.len() >= IN_HAND {
                in_hand.join_next().await;
            }
            let free = IN_HAND - in_hand.len();
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                batch = self.subscriber.next_batch(free, Duration::ZERO) => batch,
            };
            match batch {
                Ok(batch) => {
                    for delivery in batch {
                        let worker = self.clone();
                        in_hand.spawn(async move { worker.carry_out(delivery).await });
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

    async fn carry_out(&self, delivery: Delivery) {
        let settlement = self.settlement(&delivery).await;
        self.subscriber.settle(vec![(delivery.receipt, settlement)]).await;
        self.metrics.budget.set(self.budget.rate());
    }

    async fn settlement(&self, delivery: &Delivery) -> Settlement {
        let count = |result: &str| self.metrics.commands.with_label_values(&[result]).inc();
        let kind = delivery.kind.as_deref().unwrap_or(&delivery.routing_key);
        if kind != VERIFY {
            count("not_ours");
            return Settlement::Accept;
        }
        let Ok(event) = serde_json::from_slice::<CloudEvent<VerifyAccounts>>(&delivery.body) else {
            count("parked");
            return Settlement::Park(Parking::new(
                ParkReason::Unparsable,
                "not a CloudEvent of relink.verify_accounts.v1",
            ));
        };
        let Some(client) = &self.client else {
            count("no_api_key");
            return Settlement::Accept;
        };
        match self.verify(client, &event).await {
            Ok(()) => {
                count("done");
                Settlement::Accept
            }
            Err(trouble) => {
                if matches!(trouble, Trouble::Publish(_)) {
                    // Not at once: it would only be handed out again to the same end.
                    tokio::time::sleep(PUBLISH_AGAIN).await;
                }
                let settlement = after(trouble);
                match &settlement {
                    Settlement::Park(parking) => {
                        tracing::warn!(command.id = event.id, error = parking.error, "parked");
                        count("parked");
                    }
                    _ => count("retried"),
                }
                settlement
            }
        }
    }

    async fn verify(
        &self,
        client: &Client,
        event: &CloudEvent<VerifyAccounts>,
    ) -> Result<(), Trouble> {
        let about = &event.data.about;
        let scope =
            Scope { livemode: about.livemode, stripe_account: about.stripe_account.clone() };
        let observer = self.observer(client.clone());
        for account in &event.data.accounts {
            observer.account(&scope, account, Some(&event.id)).await?;
        }
        if let (true, Some(id)) = (event.data.read_authorization, &about.authorization) {
            let id = AuthorizationId::new(Arc::clone(id));
            observer.authorization(&scope, &id, Some(&event.id)).await?;
        }
        Ok(())
    }

    fn observer(&self, client: Client) -> Observer {
        Observer {
            client,
            budget: Arc::clone(&self.budget),
            publisher: Arc::clone(&self.publisher),
            wall: Arc::clone(&self.wall),
            reads: self.metrics.reads.clone(),
        }
    }
}

fn after(trouble: Trouble) -> Settlement {
    match trouble {
        // The broker or the database is away: not the command's fault.
        Trouble::Publish(_) => Settlement::HandBack,
        Trouble::Encode => Settlement::Park(Parking::new(ParkReason::Impossible, trouble)),
        // A wrong key is an operator's slip that may be mended within the ladder.
        Trouble::Read(error)
            if error.is_retryable() || matches!(error, CallError::Unauthorized(_)) =>
        {
            Settlement::Retry(Parking::new(ParkReason::RetriesExhausted, error))
        }
        Trouble::Read(error) => Settlement::Park(Parking::new(ParkReason::Refused, error)),
    }
}
