//! Calls of Stripe's API, with a preview version, because only those tell cause, action and
//! authorization, and make sessions that relink (Stripe docs: inactive accounts; relink).
//!
//! An answer is stamped with its `Date` header, the only clock that may be compared with an
//! event's `created`. Its JSON is kept as it came, so that an observation can carry it unchanged;
//! a session's alone is stripped of its secrets. Nothing here waits for a rate limit: the caller
//! takes its turns from a [`Budget`] and tells it what came of them. What needs several requests
//! is given the budget, and takes a turn for each request after the first.

mod account;
mod answer;
mod budget;
mod config;
mod error;
mod event;
mod read;
mod session;
mod transport;
mod wire;

use std::fmt;
use std::sync::Arc;

use relink_core::id::{AuthorizationId, Scope};
use relink_core::observation::AuthorizationObservation;

pub use account::PAGES_MAX;
pub use budget::{Budget, Turn};
pub use config::{ClientConfig, ConfigError, RETRIES_MAX};
pub use error::{CallError, Malformed, Trace};
pub use event::{EventFilter, EventPage, TYPES_MAX};
pub use read::{Listing, Observed, Read};
pub use session::{NewSession, SessionMade};
pub use wire::{Wire, WireError};

use answer::Answer;
use transport::Transport;
use wire::Network;

/// The path all but the events stand under.
const CONNECTIONS: &str = "financial_connections";

/// The objects asked for at a time: the most Stripe gives (Stripe docs: `limit` 1–100).
const PAGE_SIZE: &str = "100";

/// A client for one API key; cloning shares its connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// Checks the configuration and builds the client; nothing is sent.
    ///
    /// Makes ring the process's TLS provider where none is installed yet.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let network = Arc::new(Network::new(&config)?);
        Self::over(config, network)
    }

    /// A client whose requests take another way than the network.
    pub fn over(config: ClientConfig, wire: Arc<dyn Wire>) -> Result<Self, ConfigError> {
        Ok(Self { transport: Transport::new(&config, wire)? })
    }

    /// The mode of the key, where its prefix tells; objects of the other mode are not to be had.
    pub fn livemode(&self) -> Option<bool> {
        self.transport.livemode
    }

    /// Reads an authorization; only preview versions have the endpoint.
    pub async fn authorization(
        &self,
        scope: &Scope,
        id: &AuthorizationId,
    ) -> Result<Read<AuthorizationObservation>, CallError> {
        let answer = self.object(scope, "authorizations", id.as_str()).await?;
        checked(answer, |found: &AuthorizationObservation| found.authorization == *id)
    }

    async fn object(&self, scope: &Scope, kind: &str, id: &str) -> Result<Answer, CallError> {
        self.transport.get(scope, &[CONNECTIONS, kind, fit_for_a_path(id)?], &[]).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Ids are letters, digits and underscores; a dot or slash would be another path.
fn fit_for_a_path(id: &str) -> Result<&str, CallError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(CallError::Malformed { what: Malformed::Id, trace: Trace::default() });
    }
    Ok(id)
}

/// Makes sure that the answer is the object that was asked for.
fn checked<T: Observed>(
    mut answer: Answer,
    is_asked_for: impl Fn(&T) -> bool,
) -> Result<Read<T>, CallError> {
    let body = std::mem::take(&mut answer.body);
    let read = answer.part(body);
    let observed = observe(&read, &answer)?;
    if !is_asked_for(&observed) {
        return Err(answer.malformed(Malformed::Object));
    }
    Ok(read)
}

fn observe<T: Observed>(read: &Read<T>, answer: &Answer) -> Result<T, CallError> {
    read.observe().map_err(|_| answer.malformed(Malformed::Object))
}
