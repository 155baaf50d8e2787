//! What the stand-in for Stripe.js lets a person choose, and what comes of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bank::TestBank;
use crate::error::SimError;
use crate::link::DEFAULT_INSTITUTION;
use crate::model::{Action, Session, Status};
use crate::state::State;
use crate::verb::{Change, Link, LinkAccount, Outcome, Relink};

/// How a session goes: everything that a page has to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    /// All accounts come back, or new ones are linked.
    Succeeded,
    /// All but one come back: the holder did not select it.
    LeftOut,
    /// All but one come back: the bank has closed it meanwhile.
    AccountClosed,
    /// The holder signs in anew, which makes another authorization.
    AnotherAuthorization,
    /// The holder got in, but not to the expected account.
    NoAccount,
    /// The holder did not get in.
    NoAuthorization,
    /// It failed for another reason.
    Failed,
    /// The holder gave up.
    Cancelled,
    /// The window closes and the session has no end.
    Pending,
}

/// What can become of a relink, in the order in which it is offered.
const OF_RELINK: [(Choice, &str); 9] = [
    (Choice::Succeeded, "Relink"),
    (Choice::LeftOut, "Relink, but leave one account out"),
    (Choice::AccountClosed, "Relink, but one account is closed"),
    (Choice::AnotherAuthorization, "Sign in anew: another authorization"),
    (Choice::NoAccount, "Choose no account"),
    (Choice::NoAuthorization, "Fail to log in"),
    (Choice::Failed, "Fail for another reason"),
    (Choice::Pending, "Close the window without an end"),
    (Choice::Cancelled, "Cancel"),
];

/// What else than success can become of a first link.
const OF_LINK: [(Choice, &str); 3] = [
    (Choice::Failed, "Fail"),
    (Choice::Pending, "Close the window without an end"),
    (Choice::Cancelled, "Cancel"),
];

/// What a person has chosen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chosen {
    pub(crate) client_secret: String,
    pub(crate) outcome: Choice,
    /// Of a first link only: the bank by id or name; absent takes a default one.
    #[serde(default)]
    pub(crate) institution: Option<String>,
}

impl State {
    /// What the dialog asks, and the choices of a session.
    pub(crate) fn offer(&self, client_secret: &str) -> Result<Value, SimError> {
        let session = self.pending_session(client_secret)?;
        let choice =
            |(outcome, label): (Choice, &str)| json!({ "outcome": outcome, "label": label });
        if session.relink_authorization.is_some() {
            let is_possible = |choice: Choice| self.is_possible(session, choice);
            let choices = OF_RELINK.into_iter().filter(|(outcome, _)| is_possible(*outcome));
            let choices: Vec<Value> = choices.map(choice).collect();
            let question = "This is the simulated bank. How does the relink go?";
            return Ok(json!({ "question": question, "choices": choices }));
        }
        let banks = std::iter::once(DEFAULT_INSTITUTION).chain(TestBank::ALL.map(TestBank::name));
        let banks = banks.map(
            |name| json!({ "outcome": Choice::Succeeded, "institution": name, "label": name }),
        );
        let choices: Vec<Value> = banks.chain(OF_LINK.into_iter().map(choice)).collect();
        let question = "These are the simulated banks. Where are the accounts?";
        Ok(json!({ "question": question, "choices": choices }))
    }

    /// Ends a session as chosen; its id.
    pub(crate) fn choose(&mut self, chosen: &Chosen) -> Result<String, SimError> {
        let session = self.pending_session(&chosen.client_secret)?.clone();
        let choice = chosen.outcome;
        if !self.is_possible(&session, choice) {
            let message = format!("session {} does not offer this outcome", session.id);
            return Err(SimError::Invalid(message));
        }
        if choice == Choice::Pending {
            return Ok(session.id);
        }
        if session.relink_authorization.is_none() {
            self.choose_link(&session, choice, chosen.institution.clone())?;
            return Ok(session.id);
        }
        let mut relink = Relink { session: Some(session.id.clone()), ..Relink::default() };
        match choice {
            Choice::LeftOut | Choice::AccountClosed => {
                let Some((rest, one)) = self.all_but_one(&session) else {
                    return Err(SimError::Invalid("there is no account to spare".into()));
                };
                if choice == Choice::AccountClosed {
                    self.close(one)?;
                }
                relink.accounts = Some(rest);
            }
            Choice::AnotherAuthorization => relink.new_authorization = true,
            Choice::NoAccount => relink.outcome = Outcome::NoAccount,
            Choice::NoAuthorization => relink.outcome = Outcome::NoAuthorization,
            Choice::Failed => relink.outcome = Outcome::Failed,
            Choice::Cancelled => relink.outcome = Outcome::Cancelled,
            Choice::Succeeded | Choice::Pending => {}
        }
        self.relink(relink)?;
        Ok(session.id)
    }

    fn choose_link(
        &mut self,
        session: &Session,
        choice: Choice,
        institution: Option<String>,
    ) -> Result<(), SimError> {
        let outcome = match choice {
            Choice::Succeeded => Outcome::Succeeded,
            Choice::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        let mut change = match outcome {
            Outcome::Succeeded => self.link(Link {
                holder: session.holder.as_ref().map(|holder| holder.id().to_owned()),
                institution,
                accounts: vec![
                    LinkAccount::new("4821", "checking", "Everyday Checking"),
                    LinkAccount::new("7306", "savings", "Rainy Day Savings"),
                ],
                permissions: session.permissions.clone(),
                stripe_account: session.stripe_account.clone(),
            })?,
            _ => Change::default(),
        };
        self.end_session(&session.id, outcome, &mut change)
    }

    fn pending_session(&self, client_secret: &str) -> Result<&Session, SimError> {
        let session = self.sessions.values().find(|one| one.client_secret == client_secret);
        // The secret stays out of the words, as at Stripe.
        let session = session.ok_or_else(|| SimError::NoSession("of this client secret".into()))?;
        match session.status {
            "pending" => Ok(session),
            _ => Err(SimError::Invalid(format!("session {} is not pending", session.id))),
        }
    }

    fn is_possible(&self, session: &Session, choice: Choice) -> bool {
        match choice {
            Choice::LeftOut | Choice::AccountClosed => self.all_but_one(session).is_some(),
            _ if session.relink_authorization.is_some() => true,
            Choice::Succeeded => true,
            _ => OF_LINK.iter().any(|(one, _)| *one == choice),
        }
    }

    /// The accounts of a relink without the last one that needs it, and that one. A session that
    /// names its account has none to spare.
    fn all_but_one(&self, session: &Session) -> Option<(Vec<String>, String)> {
        let authorization = session.relink_authorization.as_deref()?;
        if session.relink_account.is_some() {
            return None;
        }
        let mut rest = self.repairable(authorization);
        let needs_it = |id: &String| {
            self.accounts.get(id).is_some_and(|account| match &account.forecast {
                _ if account.status == Status::Inactive => true,
                Some(forecast) => forecast.action == Action::RelinkRequired,
                None => false,
            })
        };
        let place = rest.iter().rposition(needs_it)?;
        let one = rest.remove(place);
        (!rest.is_empty()).then_some((rest, one))
    }
}
