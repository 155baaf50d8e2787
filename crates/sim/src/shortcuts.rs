//! One-line calls of the verbs that tests use most.

use std::io;

use tokio::net::TcpListener;

use crate::error::SimError;
use crate::model::{Cause, NumberStatus, RefreshStatus};
use crate::sim::Sim;
use crate::verb::{Change, Feature, Link, Relink, Target, Verb};

/// Longer than the doubt about two events of one second, and shorter than anything that expires.
const A_MINUTE_S: i64 = 60;

impl Sim {
    /// [`Sim::serve`] on a port of its own, for as long as the runtime lives; where it is.
    pub async fn serve_on_loopback(&self) -> io::Result<String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = self.clone();
        tokio::spawn(async move { serving.serve(listener, std::future::pending()).await });
        Ok(url)
    }

    /// Moves the simulated clock ahead.
    pub fn advance(&self, seconds: i64) {
        self.lock().clock.advance(seconds);
    }

    /// A link whose permission runs out a minute later, and a minute more, so that nothing of it
    /// happens in one second with what comes next.
    pub fn outage(&self, link: Link) -> Result<Change, SimError> {
        let change = self.link(link)?;
        self.advance(A_MINUTE_S);
        self.expire(change.authorization.as_deref().unwrap_or_default())?;
        self.advance(A_MINUTE_S);
        Ok(change)
    }

    /// [`Verb::Link`].
    pub fn link(&self, link: Link) -> Result<Change, SimError> {
        self.apply(Verb::Link(link))
    }

    /// [`Verb::Expire`].
    pub fn expire(&self, authorization: &str) -> Result<Change, SimError> {
        self.apply(Verb::Expire { authorization: authorization.into() })
    }

    /// [`Verb::Break`].
    pub fn break_link(&self, authorization: &str) -> Result<Change, SimError> {
        self.apply(Verb::Break { authorization: authorization.into() })
    }

    /// [`Verb::Deny`], of an account or a whole authorization by its id.
    pub fn deny(&self, id: &str) -> Result<Change, SimError> {
        self.apply(Verb::Deny(Target::from(id)))
    }

    /// [`Verb::Revoke`].
    pub fn revoke(&self, authorization: &str) -> Result<Change, SimError> {
        self.apply(Verb::Revoke { authorization: authorization.into() })
    }

    /// [`Verb::Close`].
    pub fn close(&self, account: &str) -> Result<Change, SimError> {
        self.apply(Verb::Close { account: account.into() })
    }

    /// [`Verb::Unavailable`].
    pub fn unavailable(&self, account: &str) -> Result<Change, SimError> {
        self.apply(Verb::Unavailable { account: account.into() })
    }

    /// [`Verb::Disconnect`].
    pub fn disconnect(&self, account: &str) -> Result<Change, SimError> {
        self.apply(Verb::Disconnect { account: account.into() })
    }

    /// [`Verb::Reactivate`], of an account or a whole authorization by its id.
    pub fn reactivate(&self, id: &str) -> Result<Change, SimError> {
        self.apply(Verb::Reactivate(Target::from(id)))
    }

    /// [`Verb::Warn`].
    pub fn warn(
        &self,
        authorization: &str,
        expected_deactivation_date: i64,
        cause: Option<Cause>,
    ) -> Result<Change, SimError> {
        let authorization = authorization.into();
        self.apply(Verb::Warn { authorization, expected_deactivation_date, cause })
    }

    /// [`Verb::Relink`].
    pub fn relink(&self, relink: Relink) -> Result<Change, SimError> {
        self.apply(Verb::Relink(relink))
    }

    /// [`Verb::Refresh`].
    pub fn refresh(
        &self,
        account: &str,
        feature: Feature,
        status: RefreshStatus,
    ) -> Result<Change, SimError> {
        self.apply(Verb::Refresh { account: account.into(), feature, status })
    }

    /// [`Verb::Numbers`].
    pub fn numbers(
        &self,
        account: &str,
        status: NumberStatus,
        expected_expiry_date: Option<i64>,
    ) -> Result<Change, SimError> {
        self.apply(Verb::Numbers { account: account.into(), status, expected_expiry_date })
    }
}
