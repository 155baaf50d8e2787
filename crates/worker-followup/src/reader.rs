//! Reading Stripe within the budget, and telling the bus what was learned.

use std::sync::Arc;

use relink_bus::envelope::{Observed, ObservedKind, observation};
use relink_bus::message::Message;
use relink_bus::port::Publisher;
use relink_core::id::{AccountId, AuthorizationId, Scope, SessionId};
use relink_core::observation::{AccountObservation, Holder};
use relink_engine::clock::Clock;
use relink_stripe::client::{Budget, CallError, Client, Listing, Read};
use serde_json::value::RawValue;

use crate::metrics::Metrics;

/// Reads what it is asked for; everything it learns goes out as an observation.
#[derive(Clone)]
pub struct Reader {
    /// Stripe.
    pub client: Client,
    /// How fast Stripe may be asked.
    pub budget: Arc<Budget>,
    /// Where observations go.
    pub publisher: Arc<dyn Publisher>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Metrics,
}

/// Why something was not learned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Trouble {
    /// Stripe did not answer as hoped.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The bus did not take the observation.
    #[error("the bus did not take the observation")]
    Publish,
    /// An observation cannot be written.
    #[error("what Stripe answered cannot be written as an observation")]
    Encode,
}

/// For whom something is read: the id of the command that asked, or of what else did. It becomes
/// part of the observation's id.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Whose objects.
    pub scope: &'a Scope,
    /// Its id.
    pub request: &'a str,
}

impl Reader {
    /// Reads an account; `None`: Stripe knows no such account.
    ///
    /// # Errors
    /// See [`Trouble`]; nothing was published.
    pub async fn account(
        &self,
        asker: Asker<'_>,
        id: &AccountId,
    ) -> Result<Option<Read<AccountObservation>>, Trouble> {
        let turn = self.budget.take().await;
        let read = self.client.account(asker.scope, id).await;
        self.budget.heed(turn, &read);
        self.count("account", &read);
        let read = match read {
            Ok(read) => Some(read),
            Err(CallError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.tell(asker, ObservedKind::Account, id.as_str(), read.as_ref()).await?;
        Ok(read)
    }

    /// Reads an authorization.
    ///
    /// # Errors
    /// See [`Trouble`]; nothing was published.
    pub async fn authorization(
        &self,
        asker: Asker<'_>,
        id: &AuthorizationId,
    ) -> Result<(), Trouble> {
        let turn = self.budget.take().await;
        let read = self.client.authorization(asker.scope, id).await;
        self.budget.heed(turn, &read);
        self.count("authorization", &read);
        let read = match read {
            Ok(read) => Some(read),
            // Without the preview there is no such endpoint: nothing to be had is an answer.
            Err(CallError::NotFound(_) | CallError::Permission(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.tell(asker, ObservedKind::Authorization, id.as_str(), read.as_ref()).await
    }

    /// Reads a session back.
    ///
    /// # Errors
    /// See [`Trouble`]; nothing was published.
    pub async fn session(&self, asker: Asker<'_>, id: &SessionId) -> Result<(), Trouble> {
        let turn = self.budget.take().await;
        let read = self.client.session(asker.scope, id).await;
        self.budget.heed(turn, &read);
        self.count("session", &read);
        let read = match read {
            Ok(read) => Some(read),
            Err(CallError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        self.tell(asker, ObservedKind::Session, id.as_str(), read.as_ref()).await
    }

    /// Lists the accounts of a holder; each is an observation of its own.
    ///
    /// # Errors
    /// See [`Trouble`]; some of them may have been published.
    pub async fn accounts_of_holder(
        &self,
        asker: Asker<'_>,
        holder: &Holder,
    ) -> Result<Listing, Trouble> {
        let turn = self.budget.take().await;
        let listing = self.client.accounts_of_holder(asker.scope, holder).await;
        self.budget.heed(turn, &listing);
        self.count("accounts", &listing);
        let listing = listing?;
        let mut messages = Vec::with_capacity(listing.accounts.len());
        for read in &listing.accounts {
            // The client has mapped it once already.
            let seen = read.observe().map_err(|_| Trouble::Encode)?;
            let id = seen.account.as_str();
            messages.push(self.message(asker, ObservedKind::Account, id, Some(read))?);
        }
        let results = self.publisher.publish_all(messages).await;
        if results.iter().any(Result::is_err) { Err(Trouble::Publish) } else { Ok(listing) }
    }

    /// Asks Stripe to fetch an account's data anew; its answer is an observation, too.
    ///
    /// # Errors
    /// See [`Trouble`]; repeating it with the same key does no harm.
    pub async fn refresh(
        &self,
        asker: Asker<'_>,
        id: &AccountId,
        features: &[Arc<str>],
        idempotency_key: &str,
    ) -> Result<(), Trouble> {
        let turn = self.budget.take().await;
        let read = self.client.refresh(asker.scope, id, features, idempotency_key).await;
        self.budget.heed(turn, &read);
        self.count("refresh", &read);
        self.tell(asker, ObservedKind::Account, id.as_str(), Some(&read?)).await
    }

    async fn tell<T>(
        &self,
        asker: Asker<'_>,
        kind: ObservedKind,
        subject: &str,
        read: Option<&Read<T>>,
    ) -> Result<(), Trouble> {
        let message = self.message(asker, kind, subject, read)?;
        self.publisher.publish(message).await.map_err(|_| Trouble::Publish)
    }

    fn message<T>(
        &self,
        asker: Asker<'_>,
        kind: ObservedKind,
        subject: &str,
        read: Option<&Read<T>>,
    ) -> Result<Message, Trouble> {
        let now = self.wall.now();
        let object: Option<&RawValue> = read.map(|read| &*read.body);
        // An answer without a `Date` of Stripe's only ever says that there is nothing.
        let read_at = read.map_or(now.0.div_euclid(1000), |read| read.date_unix_seconds);
        let scope = asker.scope;
        let observed = Observed {
            stripe_account: scope.stripe_account.as_deref().map(str::to_owned),
            livemode: scope.livemode,
            read_at,
            object,
        };
        let correlation = Some(Arc::from(asker.request));
        observation(kind, subject, scope, &observed, correlation, now).map_err(|_| Trouble::Encode)
    }

    fn count<T>(&self, object: &str, read: &Result<T, CallError>) {
        let result = read.as_ref().map_or_else(CallError::as_str, |_| "ok");
        self.metrics.reads.with_label_values(&[object, result]).inc();
    }
}
