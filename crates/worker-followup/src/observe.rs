//! Reading Stripe and publishing what was read: the one way in which anything that was asked of
//! Stripe becomes known.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::envelope::{Observed, ObservedKind, observation};
use relink_bus::message::is_acceptable_id;
use relink_bus::port::{PublishError, Publisher};
use relink_core::id::{AccountId, AuthorizationId, Scope, SessionId};
use relink_core::observation::{AccountObservation, Holder};
use relink_engine::clock::Clock;
use relink_stripe::client::{Budget, CallError, Client, Read};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Reads;

/// Waits between attempts of what nobody else tries again: with the client's own retries enough
/// for a restart of Stripe's, and short enough that a person who watches understands.
const PATIENCE: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// Waits between attempts to publish one observation. What was read is offered again and not read
/// again: a command that asks for many would otherwise begin anew for each that the bus did not
/// take, and with a bus that takes two of three it would hardly ever come to its end.
const PERSISTENCE: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

/// The pause between attempts of one that is held: well within the 5 s in which work goes on once
/// the bus is back.
const HELD: Duration = Duration::from_secs(3);

/// Reads within the budget and publishes observations.
#[derive(Clone)]
pub struct Observer {
    /// Stripe.
    pub client: Client,
    /// How fast it may be asked.
    pub budget: Arc<Budget>,
    /// Where observations go.
    pub publisher: Arc<dyn Publisher>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
    /// What is counted of reads.
    pub reads: Reads,
    /// Told before something is tried again.
    pub waiting: Waiting,
    /// Until then an observation that the bus does not take is held and offered again; `None`:
    /// after a few attempts whoever asked is told. A command is held, because one that is handed
    /// back is handed out again at once, is read again, and is parked after fifty times.
    pub held_until: Option<CancellationToken>,
}

/// Is told why something is tried again, and after what pause.
pub type Waiting = fn(&dyn fmt::Display, Duration);

/// Nobody looks on: whoever gives up in the end says why.
pub fn quietly(error: &dyn fmt::Display, pause: Duration) {
    tracing::debug!(%error, ?pause, "tried again");
}

/// Why something was not observed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Trouble {
    /// Stripe did not answer as hoped.
    #[error("Stripe: {0}")]
    Read(#[from] CallError),
    /// The bus did not take the observation.
    #[error("the bus did not take it: {0}")]
    Publish(#[from] PublishError),
    /// An observation cannot be written.
    #[error("what Stripe answered cannot be written as an observation")]
    Encode,
}

impl Trouble {
    /// Whether it may pass without anyone changing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Publish(_) => true,
            Self::Encode => false,
        }
    }
}

/// What was read, or that there is nothing.
pub(crate) struct Seen<'a> {
    pub(crate) kind: ObservedKind,
    pub(crate) subject: &'a str,
    /// The second of Stripe's answer.
    pub(crate) read_at: i64,
    pub(crate) object: Option<&'a RawValue>,
}

impl Observer {
    /// Reads an account; that there is none is an observation, too.
    ///
    /// `because`: the id of the command that asked; it becomes part of the observation's id.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn account(
        &self,
        scope: &Scope,
        id: &AccountId,
        because: Option<&str>,
    ) -> Result<Option<Read<AccountObservation>>, Trouble> {
        let read = self.spend("account", self.client.account(scope, id)).await;
        let read = match read {
            Ok(read) => Some(read),
            Err(CallError::NotFound(_)) => None,
            Err(error) => return Err(Trouble::Read(error)),
        };
        self.tell(scope, ObservedKind::Account, id.as_str(), read.as_ref(), because).await?;
        Ok(read)
    }

    /// Reads an authorization; that it is not to be had is an observation, too.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn authorization(
        &self,
        scope: &Scope,
        id: &AuthorizationId,
        because: Option<&str>,
    ) -> Result<(), Trouble> {
        let read = self.spend("authorization", self.client.authorization(scope, id)).await;
        let read = match read {
            Ok(read) => Some(read),
            // Without the preview there is no such endpoint: nothing to be had is an answer.
            Err(CallError::NotFound(_) | CallError::Permission(_)) => None,
            Err(error) => return Err(Trouble::Read(error)),
        };
        self.tell(scope, ObservedKind::Authorization, id.as_str(), read.as_ref(), because).await
    }

    /// Reads a session back.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn session(
        &self,
        scope: &Scope,
        id: &SessionId,
        because: Option<&str>,
    ) -> Result<(), Trouble> {
        let read = self.spend("session", self.client.session(scope, id, &self.budget)).await;
        let read = match read {
            Ok(read) => Some(read),
            Err(CallError::NotFound(_)) => None,
            Err(error) => return Err(Trouble::Read(error)),
        };
        self.tell(scope, ObservedKind::Session, id.as_str(), read.as_ref(), because).await
    }

    /// Lists the accounts of a holder; each is an observation of its own. Tells which these are.
    ///
    /// # Errors
    /// See [`Trouble`]; some of them may have been published.
    pub async fn accounts_of_holder(
        &self,
        scope: &Scope,
        holder: &Holder,
        because: Option<&str>,
    ) -> Result<BTreeSet<AccountId>, Trouble> {
        let listing = self.client.accounts_of_holder(scope, holder, &self.budget);
        let listing = self.spend("accounts", listing).await;
        let mut told = BTreeSet::new();
        for read in listing?.accounts {
            // The client has mapped it once already.
            let id = read.observe().map_err(|_| Trouble::Encode)?.account;
            self.tell(scope, ObservedKind::Account, id.as_str(), Some(&read), because).await?;
            told.insert(id);
        }
        Ok(told)
    }

    /// Asks Stripe to fetch an account's data anew; its answer is an observation, too.
    ///
    /// # Errors
    /// See [`Trouble`]; repeating it with the same key does no harm.
    pub async fn refresh(
        &self,
        scope: &Scope,
        id: &AccountId,
        features: &[Arc<str>],
        idempotency_key: &str,
        because: Option<&str>,
    ) -> Result<(), Trouble> {
        let read =
            self.spend("refresh", self.client.refresh(scope, id, features, idempotency_key)).await;
        self.tell(scope, ObservedKind::Account, id.as_str(), Some(&read?), because).await
    }

    async fn tell<T>(
        &self,
        scope: &Scope,
        kind: ObservedKind,
        subject: &str,
        read: Option<&Read<T>>,
        because: Option<&str>,
    ) -> Result<(), Trouble> {
        let read_at = read.map_or_else(|| self.now_s(), |read| read.date_unix_seconds);
        let object = read.map(|read| &*read.body);
        let seen = Seen { kind, subject, read_at, object };
        let publish = || self.publish(scope, &seen, because);
        let mut told = again_after(&PERSISTENCE, publish, Trouble::may_pass, quietly).await;
        let Some(stop) = &self.held_until else { return told };
        while let Err(trouble @ Trouble::Publish(_)) = &told {
            tracing::warn!(subject, %trouble, "what was read is held until the bus takes it");
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(HELD) => told = publish().await,
            }
        }
        told
    }

    pub(crate) async fn publish(
        &self,
        scope: &Scope,
        seen: &Seen<'_>,
        because: Option<&str>,
    ) -> Result<(), Trouble> {
        let observed = Observed {
            stripe_account: scope.stripe_account.as_deref().map(str::to_owned),
            livemode: scope.livemode,
            read_at: seen.read_at,
            object: seen.object,
        };
        let (correlation, now) = (because.map(Arc::from), self.wall.now());
        let message = observation(seen.kind, seen.subject, scope, &observed, correlation, now)
            .map_err(|_| Trouble::Encode)?;
        // Both are made of what a command says of itself, and anybody may have written that: no
        // worker would take the one, and no broker the other.
        let ids = [Some(&message.id), message.correlation.as_ref()];
        if !ids.into_iter().flatten().all(|id| is_acceptable_id(id)) {
            return Err(Trouble::Encode);
        }
        Ok(self.publisher.publish(message).await?)
    }

    /// Names what is read without a command. Each run has a name of its own: two reads within one
    /// second of Stripe's are two observations, and may differ.
    pub(crate) fn name_of_run(&self, what: &str) -> String {
        format!("{what}:{what}-{}", self.wall.now().0)
    }

    /// Calls within the budget, and counts.
    async fn spend<T>(
        &self,
        object: &str,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let asked = Instant::now();
        let turn = self.budget.take().await;
        self.reads.wait_seconds.observe(asked.elapsed().as_secs_f64());
        let read = call.await;
        self.budget.heed(turn, &read);
        let result = read.as_ref().map_or_else(CallError::as_str, |_| "ok");
        self.reads.results.with_label_values(&[object, result]).inc();
        read
    }

    fn now_s(&self) -> i64 {
        self.wall.now().0.div_euclid(1000)
    }
}

/// Does again what may go well later, three times in 21 seconds.
pub(crate) async fn patiently<T, Error, Work>(
    work: impl Fn() -> Work,
    is_worth_it: impl Fn(&Error) -> bool,
    waiting: Waiting,
) -> Result<T, Error>
where
    Error: fmt::Display,
    Work: Future<Output = Result<T, Error>>,
{
    again_after(&PATIENCE, work, is_worth_it, waiting).await
}

async fn again_after<T, Error, Work>(
    pauses: &[Duration],
    work: impl Fn() -> Work,
    is_worth_it: impl Fn(&Error) -> bool,
    waiting: Waiting,
) -> Result<T, Error>
where
    Error: fmt::Display,
    Work: Future<Output = Result<T, Error>>,
{
    for pause in pauses {
        match work().await {
            Err(error) if is_worth_it(&error) => {
                waiting(&error, *pause);
                tokio::time::sleep(*pause).await;
            }
            result => return result,
        }
    }
    work().await
}
