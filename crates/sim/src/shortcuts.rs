//! One-line calls of the verbs that tests use most.

use crate::error::SimError;
use crate::model::{Cause, NumberStatus, RefreshStatus};
use crate::sim::Sim;
use crate::verb::{Change, Feature, Link, Relink, Target, Verb};

impl Sim {
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
