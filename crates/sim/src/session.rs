//! Sessions: made by the API or by a relink, ended by a relink.

use serde_json::Value;

use crate::error::SimError;
use crate::event::EventType;
use crate::model::{Holder, Session, SessionResult};
use crate::render;
use crate::state::{State, Subject};
use crate::verb::{Change, Outcome};
use crate::version::Shape;

/// What a new session is made of.
pub(crate) struct NewSession {
    pub(crate) stripe_account: Option<String>,
    pub(crate) holder: Option<Holder>,
    pub(crate) permissions: Vec<String>,
    pub(crate) relink_authorization: Option<String>,
    pub(crate) relink_account: Option<String>,
    pub(crate) hosted: Option<String>,
    pub(crate) return_url: Option<String>,
    /// Where the simulator's page is reached; absent: there is no page.
    pub(crate) host: Option<String>,
}

impl State {
    pub(crate) fn add_session(&mut self, new: NewSession) -> String {
        let id = self.random.id("fcsess");
        let session = Session {
            id: id.clone(),
            stripe_account: new.stripe_account,
            holder: new.holder,
            permissions: new.permissions,
            relink_authorization: new.relink_authorization,
            relink_account: new.relink_account,
            hosted: new.hosted,
            return_url: new.return_url,
            host: new.host,
            status: "pending",
            accounts: Vec::new(),
            result: None,
            client_secret: self.random.id("fcsess_client_secret"),
        };
        self.sessions.insert(id.clone(), session);
        id
    }

    pub(crate) fn render_session(&self, session: &Session, shape: Shape) -> Value {
        let livemode = self.config.livemode;
        let accounts = session.accounts.iter().filter_map(|id| self.accounts.get(id));
        let accounts = accounts.map(|account| render::account(account, shape, livemode)).collect();
        render::session(session, accounts, shape, livemode)
    }

    /// Ends a session as the link or relink in `change` went.
    pub(crate) fn end_session(
        &mut self,
        id: &str,
        outcome: Outcome,
        change: &mut Change,
    ) -> Result<(), SimError> {
        let session = self.sessions.get_mut(id).ok_or_else(|| SimError::NoSession(id.into()))?;
        let result = SessionResult {
            account: session.relink_account.clone(),
            authorization: change.authorization.clone(),
            failure_reason: None,
        };
        let failed =
            |reason| SessionResult { failure_reason: Some(reason), ..SessionResult::default() };
        let (status, result) = match outcome {
            Outcome::Succeeded => ("succeeded", Some(result)),
            // That the session succeeds while its relink fails is what the documentation leaves
            // open; a receiver must look at the result, so here it has to.
            Outcome::NoAccount => ("succeeded", Some(failed("no_account"))),
            Outcome::NoAuthorization => ("failed", Some(failed("no_authorization"))),
            Outcome::Failed => ("failed", Some(failed("other"))),
            Outcome::Cancelled => ("cancelled", None),
        };
        session.status = status;
        // A first link has no relink to tell of.
        session.result = result.filter(|_| session.relink_authorization.is_some());
        if outcome == Outcome::Succeeded {
            session.accounts.clone_from(&change.accounts);
        }
        self.emit(EventType::SessionUpdated, Subject::Session(id), change);
        change.session = Some(id.into());
        Ok(())
    }

    /// A hosted session for an authorization, as someone else may have made it.
    pub(crate) fn session_of(&mut self, authorization: &str) -> Result<String, SimError> {
        let of = self.authorization(authorization)?;
        let (stripe_account, holder) = (of.stripe_account.clone(), of.holder.clone());
        // After a move the old authorization has no accounts left; any of the holder's tells.
        let account = self.accounts.values().find(|account| account.holder == of.holder);
        let permissions = account.map(|account| account.permissions.clone()).unwrap_or_default();
        Ok(self.add_session(NewSession {
            stripe_account,
            holder: Some(holder),
            permissions,
            relink_authorization: Some(authorization.into()),
            relink_account: None,
            hosted: Some("url".into()),
            return_url: None,
            host: None,
        }))
    }
}
