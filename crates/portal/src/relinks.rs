//! Sessions: made, read back, and reported to the workers. The page and the API share this.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relink_bus::envelope::{Observed, ObservedKind, observation};
use relink_bus::port::Publisher;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, AuthorizationId, Scope, SessionId};
use relink_core::observation::{SessionObservation, Status};
use relink_core::register::value;
use relink_engine::clock::Clock;
use relink_stripe::client::{Budget, CallError, Client, NewSession, Read, SessionMade};

use crate::ended::{Ended, Outcome};

/// How long a customer waits for a turn and an answer of Stripe: beyond it people leave, and
/// being told to come back is better.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most accounts that are read back to tell a customer what became of them.
const READ_BACK_MAX: usize = 10;

/// A session as Stripe told of it, without its secrets.
type SessionRead = Read<Option<SessionObservation>>;

/// Makes sessions and finds out what came of them; cloning shares it.
#[derive(Clone)]
pub(crate) struct Relinks {
    pub(crate) publisher: Arc<dyn Publisher>,
    /// Stripe; `None` without an API key.
    pub(crate) client: Option<Client>,
    /// Of the endpoint of sessions alone: verifies must not keep a customer waiting.
    pub(crate) budget: Arc<Budget>,
    /// The machine's clock.
    pub(crate) wall: Arc<dyn Clock>,
}

/// What a session shall be for.
pub(crate) struct Wish<'a> {
    /// The one account that has to come back.
    pub(crate) account: Option<&'a AccountId>,
    /// What to ask for; `None`: what the accounts permit now.
    pub(crate) permissions: Option<&'a [Arc<str>]>,
    /// Which accounts may be chosen; empty: all.
    pub(crate) subcategories: &'a [Arc<str>],
    /// Stripe's own page, and where it returns to.
    pub(crate) hosted: Option<&'a str>,
    pub(crate) idempotency_key: &'a str,
}

/// Why there is no session, or no word of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum RelinkError {
    /// Its authorization or holder is not known yet: a read is on its way.
    #[error("the authorization or its holder is not known yet")]
    NotKnownYet,
    /// No API key is configured.
    #[error("RELINK_STRIPE_API_KEY is not set")]
    NoKey,
    /// The session is not of this authorization, or there is none.
    #[error("no such session of this authorization")]
    Foreign,
    /// Stripe is away, or has too much to do.
    #[error("not available: {0}")]
    Away(CallError),
    /// Stripe refuses it, and trying again will not help.
    #[error(transparent)]
    Refused(CallError),
}

impl RelinkError {
    /// Every name that [`RelinkError::as_str`] gives, but those of [`CallError::NAMES`].
    pub(crate) const OWN_NAMES: [&'static str; 3] = ["not_known_yet", "no_api_key", "foreign"];

    /// The reason's name in metrics.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::NotKnownYet => "not_known_yet",
            Self::NoKey => "no_api_key",
            Self::Foreign => "foreign",
            Self::Away(error) | Self::Refused(error) => error.as_str(),
        }
    }
}

impl From<CallError> for RelinkError {
    fn from(error: CallError) -> Self {
        if error.is_retryable() { Self::Away(error) } else { Self::Refused(error) }
    }
}

impl Relinks {
    /// Makes a session for an authorization.
    pub(crate) async fn start(
        &self,
        aggregate: &Aggregate,
        wish: &Wish<'_>,
    ) -> Result<SessionMade, RelinkError> {
        let client = self.client.as_ref().ok_or(RelinkError::NoKey)?;
        let authorization = aggregate.key.home.authorization().ok_or(RelinkError::NotKnownYet)?;
        let holder = aggregate.holder().ok_or(RelinkError::NotKnownYet)?;
        let known = permissions(aggregate);
        let permissions = wish.permissions.unwrap_or(&known);
        if permissions.is_empty() {
            return Err(RelinkError::NotKnownYet);
        }
        let new = NewSession {
            authorization,
            account: wish.account,
            holder,
            permissions,
            subcategories: wish.subcategories,
            return_url: wish.hosted,
            hosted: wish.hosted.is_some(),
            idempotency_key: wish.idempotency_key,
        };
        let made = self.bounded(client.create_session(&aggregate.key.scope, &new)).await?;
        tracing::info!(
            authorization.id = %authorization,
            session.id = %made.id,
            "a relink session was made",
        );
        Ok(made)
    }

    /// Reports that a session was made, so that one that is never ended is known as well.
    pub(crate) async fn report_start(
        &self,
        aggregate: &Aggregate,
        session: &SessionId,
        about: &str,
    ) {
        let authorization = aggregate.key.home.authorization();
        let (Some(client), Some(authorization)) = (&self.client, authorization) else { return };
        let scope = &aggregate.key.scope;
        match self.session(client, scope, authorization, session).await {
            Ok((_, read)) => {
                self.report(session, scope, &read, &format!("{about}:started")).await;
            }
            Err(error) => tracing::debug!(session.id = %session, %error, "not read back"),
        }
    }

    /// Reads a session back – the browser's word is no proof – and reports what it says.
    pub(crate) async fn complete(
        &self,
        aggregate: &Aggregate,
        wanted: &BTreeSet<AccountId>,
        session: &SessionId,
        about: &str,
    ) -> Result<Ended, RelinkError> {
        let client = self.client.as_ref().ok_or(RelinkError::NoKey)?;
        let authorization = aggregate.key.home.authorization().ok_or(RelinkError::NotKnownYet)?;
        let scope = &aggregate.key.scope;
        let (seen, read) = self.session(client, scope, authorization, session).await?;
        let mut ended = Ended::new(aggregate, wanted, &seen);
        let correlation = format!("{about}:{}", ended.outcome.as_str());
        self.report(session, scope, &read, &correlation).await;
        if ended.outcome == Outcome::Repaired {
            self.read_back(client, scope, &mut ended).await;
        }
        tracing::info!(
            authorization.id = %authorization,
            session.id = %session,
            outcome = ended.outcome.as_str(),
            "a relink session was read back",
        );
        Ok(ended)
    }

    /// A session of this authorization, or none at all.
    async fn session(
        &self,
        client: &Client,
        scope: &Scope,
        authorization: &AuthorizationId,
        id: &SessionId,
    ) -> Result<(SessionObservation, SessionRead), RelinkError> {
        let read = match self.bounded(client.session(scope, id, &self.budget)).await {
            Err(RelinkError::Refused(CallError::NotFound(_) | CallError::Malformed { .. })) => {
                return Err(RelinkError::Foreign);
            }
            read => read?,
        };
        let seen = read.observe().ok().flatten();
        let own = seen.filter(|seen| seen.authorization == *authorization);
        Ok((own.ok_or(RelinkError::Foreign)?, read))
    }

    async fn report(
        &self,
        session: &SessionId,
        scope: &Scope,
        read: &SessionRead,
        correlation: &str,
    ) {
        let observed = Observed {
            stripe_account: scope.stripe_account.as_deref().map(str::to_owned),
            livemode: scope.livemode,
            read_at: read.date_unix_seconds,
            object: Some(&read.body),
        };
        let now = self.wall.now();
        let correlation = Some(Arc::from(correlation));
        let kind = ObservedKind::Session;
        let published =
            match observation(kind, session.as_str(), scope, &observed, correlation, now) {
                Ok(message) => self.publisher.publish(message).await.map_err(|e| e.as_str()),
                Err(_) => Err("not JSON"),
            };
        // Stripe's own events say the same a little later, so nothing is lost.
        if let Err(error) = published {
            tracing::warn!(session.id = %session, error, "an ended session could not be reported");
        }
    }

    /// Finds out about accounts that the session did not return; what cannot be read stays as
    /// it is, and the workers ask for it anyway.
    async fn read_back(&self, client: &Client, scope: &Scope, ended: &mut Ended) {
        let unsure: Vec<AccountId> = ended.left_out.iter().take(READ_BACK_MAX).cloned().collect();
        for id in unsure {
            let read = self.bounded(client.account(scope, &id)).await;
            match read.map(|read| read.observe()) {
                Ok(Ok(told)) => ended.correct(&told),
                Ok(Err(_)) => {}
                Err(error) => {
                    return tracing::debug!(account.id = %id, %error, "not read back");
                }
            }
        }
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, RelinkError> {
        let answered = tokio::time::timeout(PATIENCE, self.budget.spend(call));
        Ok(answered.await.map_err(|_| RelinkError::Away(CallError::Timeout))??)
    }
}

/// All that the accounts permit now: a relink asks for consent anew, and what it leaves out is
/// lost (Stripe docs: relink).
pub(crate) fn permissions(aggregate: &Aggregate) -> Vec<Arc<str>> {
    let linked =
        aggregate.accounts.values().filter(|one| one.status() != Some(Status::Disconnected));
    let all: BTreeSet<&Arc<str>> =
        linked.filter_map(|account| value(&account.permissions)).flatten().collect();
    all.into_iter().cloned().collect()
}
