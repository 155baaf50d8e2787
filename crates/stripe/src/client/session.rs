//! Sessions: made so that a customer can relink, and read back to see how that went.
//!
//! A session's `client_secret` is a credential, and its hosted `url` opens it as well. Both are
//! handed out once, to whoever made the session, and left out of everything that is read back.

use std::fmt;
use std::sync::Arc;

use relink_core::id::{AccountId, AuthorizationId, Scope, SessionId};
use relink_core::observation::{Holder, SessionObservation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::account::holder_key;
use super::answer::Answer;
use super::budget::Budget;
use super::error::{CallError, Malformed};
use super::read::Read;
use super::{CONNECTIONS, Client, observe};
use crate::envelope::is_acceptable_id;
use crate::wire::{self, Field, Map, Reference, Relink, Text};

const SESSIONS: &str = "sessions";

/// What a session that relinks is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// What is to be repaired.
    pub authorization: &'a AuthorizationId,
    /// The one account that has to come back; without it any eligible one will do.
    pub account: Option<&'a AccountId>,
    /// The customer; has to be the authorization's own.
    pub holder: &'a Holder,
    /// What the customer is asked to consent to: all that is still needed (Stripe docs: a relink
    /// can change it).
    pub permissions: &'a [Arc<str>],
    /// Which accounts may be chosen; empty: all.
    pub subcategories: &'a [Arc<str>],
    /// Where a web view or a hosted page returns to.
    pub return_url: Option<&'a str>,
    /// Stripe's own page instead of Stripe.js on ours.
    pub hosted: bool,
    /// The same for the same attempt, so that it is made once whatever happens to the connection.
    pub idempotency_key: &'a str,
}

/// A session that was made. Its secrets are for the customer's browser only.
pub struct SessionMade {
    /// Its id.
    pub id: SessionId,
    /// What Stripe.js opens it with; `None` in hosted mode.
    pub client_secret: Option<SecretString>,
    /// Stripe's page, in hosted mode.
    pub url: Option<SecretString>,
}

impl fmt::Debug for SessionMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMade").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a new session's body says.
#[derive(Deserialize)]
struct Made<'a> {
    #[serde(default, borrow)]
    id: Field<Text<'a>>,
    #[serde(default, borrow)]
    client_secret: Field<Text<'a>>,
    #[serde(default, borrow)]
    url: Field<Text<'a>>,
    #[serde(default, borrow)]
    relink_options: Field<Map<Relink<'a>>>,
}

/// What of a session may travel. A list of what is kept, not of what is left out: a key that
/// Stripe adds may be a secret as well.
#[derive(Deserialize, Serialize)]
struct Kept<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    account_holder: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    livemode: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    permissions: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    status: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    status_details: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    relink_options: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    relink_result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Accounts>,
}

#[derive(Deserialize, Serialize)]
struct Accounts {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
}

impl Client {
    /// Makes a session in which a customer can relink.
    ///
    /// # Errors
    /// [`CallError::PreviewMissing`] where the key or the version cannot relink, also where
    /// Stripe made a session but left the relink out of it: that would link anew.
    pub async fn create_session(
        &self,
        scope: &Scope,
        new: &NewSession<'_>,
    ) -> Result<SessionMade, CallError> {
        let path = [CONNECTIONS, SESSIONS];
        let answer = self.transport.post(scope, &path, &new.form(), new.idempotency_key).await?;
        let made: Made<'_> =
            wire::object(answer.body.get()).map_err(|_| answer.malformed(Malformed::Object))?;
        let id = made.id.value().filter(|Text(id)| is_acceptable_id(id));
        let Some(Text(id)) = id else {
            return Err(answer.malformed(Malformed::Object));
        };
        let target = made.relink_options.value().and_then(|Map(options)| {
            options.authorization.value().map(|Reference(Text(target))| &**target)
        });
        if target != Some(new.authorization.as_str()) {
            return Err(CallError::PreviewMissing(answer.trace()));
        }
        let secret = |field: &Field<Text<'_>>| {
            field.value().map(|Text(secret)| SecretString::from(&**secret))
        };
        Ok(SessionMade {
            id: SessionId::new(&**id),
            client_secret: secret(&made.client_secret),
            url: secret(&made.url),
        })
    }

    /// Reads a session; it observes as `None` if it is not to relink, and without an outcome while
    /// it is pending.
    ///
    /// The body is not what Stripe sent but what of it may travel: no secret, no URL. Where the
    /// session returned more accounts than its first page holds, the list is read as a whole and
    /// put in its place, so that an account that is missing was really left out. They keep the
    /// stamp of the session's answer, the earlier one: what an event told in between still wins.
    /// Each page of that list takes a turn of `budget`; the session's own is the caller's.
    pub async fn session(
        &self,
        scope: &Scope,
        id: &SessionId,
        budget: &Budget,
    ) -> Result<Read<Option<SessionObservation>>, CallError> {
        let answer = self.object(scope, SESSIONS, id.as_str()).await?;
        let malformed = || answer.malformed(Malformed::Object);
        let mut kept: Kept<'_> =
            serde_json::from_str(answer.body.get()).map_err(|_| malformed())?;
        if serde_json::from_str(kept.id.get()).ok() != Some(id.as_str()) {
            return Err(malformed());
        }
        if let Some(accounts) = kept.accounts.as_mut().filter(|accounts| accounts.has_more) {
            let listing = budget.spend(self.accounts_of_session(scope, id, budget)).await?;
            accounts.data = listing.accounts.into_iter().map(|read| read.body).collect();
            accounts.has_more = !listing.complete;
        }
        let body = serde_json::value::to_raw_value(&kept).map_err(|_| malformed())?;
        observed(&answer, body)
    }
}

fn observed(
    answer: &Answer,
    body: Box<RawValue>,
) -> Result<Read<Option<SessionObservation>>, CallError> {
    let read = answer.part(body);
    observe(&read, answer)?;
    Ok(read)
}

impl<'a> NewSession<'a> {
    /// As Stripe wants it: nested keys in brackets, lists with empty ones.
    fn form(&self) -> Vec<(&'static str, &'a str)> {
        let mut form = vec![
            ("account_holder[type]", &*self.holder.kind),
            (holder_key(self.holder), &*self.holder.id),
            ("relink_options[authorization]", self.authorization.as_str()),
        ];
        form.extend(self.account.map(|account| ("relink_options[account]", account.as_str())));
        form.extend(self.permissions.iter().map(|word| ("permissions[]", &**word)));
        let subcategory = |word: &'a Arc<str>| ("filters[account_subcategories][]", &**word);
        form.extend(self.subcategories.iter().map(subcategory));
        form.extend(self.return_url.map(|url| ("return_url", url)));
        if self.hosted {
            form.extend([("ui_mode", "hosted"), ("hosted[delivery_method]", "url")]);
        }
        form
    }
}
