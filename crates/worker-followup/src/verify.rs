//! `verify_accounts`: read back, publish what was read.

use std::sync::Arc;
use std::time::Duration;

use relink_bus::envelope::{CloudEvent, Observed, ObservedKind, observation};
use relink_bus::message::Delivery;
use relink_bus::port::{
    ParkReason, Parking, PublishError, Publisher, Settlement, SubscribeError, Subscriber,
};
use relink_core::command::VerifyAccounts;
use relink_core::id::{AuthorizationId, Scope};
use relink_engine::clock::Clock;
use relink_stripe::client::{Budget, CallError, Client, Turn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

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

/// Why a command is not done yet.
enum Trouble {
    /// Stripe did not answer as hoped.
    Read(CallError),
    /// The bus did not take the observation.
    Publish,
    /// An observation cannot be written.
    Encode,
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
                if matches!(trouble, Trouble::Publish) {
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
        for account in &event.data.accounts {
            let turn = self.budget.take().await;
            let read = client.account(&scope, account).await;
            self.count_read("account", turn, &read);
            let (read_at, object) = match &read {
                Ok(read) => (read.date_unix_seconds, Some(&*read.body)),
                Err(CallError::NotFound(_)) => (self.now_s(), None),
                Err(error) => return Err(Trouble::Read(error.clone())),
            };
            let kind = ObservedKind::Account;
            self.observe(kind, account.as_str(), &scope, read_at, object, &event.id).await?;
        }
        if let (true, Some(id)) = (event.data.read_authorization, &about.authorization) {
            let turn = self.budget.take().await;
            let id = AuthorizationId::new(Arc::clone(id));
            let read = client.authorization(&scope, &id).await;
            self.count_read("authorization", turn, &read);
            let (read_at, object) = match &read {
                Ok(read) => (read.date_unix_seconds, Some(&*read.body)),
                // Without the preview there is no such endpoint: nothing to be had is an answer.
                Err(CallError::NotFound(_) | CallError::Permission(_)) => (self.now_s(), None),
                Err(error) => return Err(Trouble::Read(error.clone())),
            };
            let kind = ObservedKind::Authorization;
            self.observe(kind, id.as_str(), &scope, read_at, object, &event.id).await?;
        }
        Ok(())
    }

    async fn observe(
        &self,
        kind: ObservedKind,
        subject: &str,
        scope: &Scope,
        read_at: i64,
        object: Option<&serde_json::value::RawValue>,
        command: &str,
    ) -> Result<(), Trouble> {
        let observed = Observed {
            stripe_account: scope.stripe_account.as_deref().map(str::to_owned),
            livemode: scope.livemode,
            read_at,
            object,
        };
        let correlation = Some(Arc::from(command));
        let now = self.wall.now();
        let message = observation(kind, subject, scope, &observed, correlation, now)
            .map_err(|_| Trouble::Encode)?;
        self.publisher.publish(message).await.map_err(|_: PublishError| Trouble::Publish)
    }

    fn count_read<T>(&self, object: &str, turn: Turn, read: &Result<T, CallError>) {
        self.budget.heed(turn, read);
        let result = read.as_ref().map_or_else(CallError::as_str, |_| "ok");
        self.metrics.reads.with_label_values(&[object, result]).inc();
    }

    fn now_s(&self) -> i64 {
        self.wall.now().0.div_euclid(1000)
    }
}

fn after(trouble: Trouble) -> Settlement {
    match trouble {
        // The broker or the database is away: not the command's fault.
        Trouble::Publish => Settlement::HandBack,
        Trouble::Encode => Settlement::Park(Parking::new(
            ParkReason::Impossible,
            "what Stripe answered cannot be written as an observation",
        )),
        // A wrong key is an operator's slip that may be mended within the ladder.
        Trouble::Read(error)
            if error.is_retryable() || matches!(error, CallError::Unauthorized(_)) =>
        {
            Settlement::Retry(Parking::new(ParkReason::RetriesExhausted, error))
        }
        Trouble::Read(error) => Settlement::Park(Parking::new(ParkReason::Refused, error)),
    }
}
