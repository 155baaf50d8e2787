//! What a body means: events and reads become Relink's inputs and observations.
//!
//! The wire types are our own rather than the public Rust SDK's: `authorization`,
//! `status_details.inactive` and `relink_result` exist in preview versions only, and
//! `async-stripe`, pinned to a GA version, drops what it does not declare without a word. Ours
//! are lenient: an optional part of a wrong shape counts as not carried. Identity, scope and time
//! are not optional, and a body that lacks them is refused by name.

mod account;
mod refresh;
mod session;

use std::sync::Arc;

use relink_core::id::{AccountId, Id, InputId, Scope};
use relink_core::input::{Happened, Ignored, Input};
use relink_core::observation::{
    AccountObservation, AuthorizationObservation, SessionObservation, Stamp,
};
use relink_core::time::Second;
use serde_json::value::RawValue;

pub use refresh::Refresh;

use crate::envelope::{self, Envelope, EnvelopeError, SECOND_MAX};
use crate::event_type::Reading;
use crate::wire::{self, Field, Map, Object, Reference, Text, Unreadable};

/// The longest descriptive text that is kept, in bytes; a longer one counts as not carried.
///
/// Stripe publishes no lengths; the texts end up in rows and commands, which have to stay small.
pub const TEXT_BYTES_MAX: usize = 1000;

const ACCOUNT: &str = "financial_connections.account";
const AUTHORIZATION: &str = "financial_connections.authorization";
const SESSION: &str = "financial_connections.session";

/// Why a body cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum MappingError {
    /// The envelope cannot be read.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The event is of another part of Stripe; the ingress publishes none of these.
    #[error("the event is not of Financial Connections")]
    NotFinancialConnections,
    /// The body of a read is not a JSON object.
    #[error("the object is not a JSON object")]
    Unparsable,
    /// A key of the object that Relink reads stands there twice.
    #[error("the object has a key twice")]
    RepeatedKey,
    /// The event carries no object, or a thin one names none.
    #[error("the event carries no object")]
    MissingObject,
    /// The object is of another kind than the event's type or the read says.
    #[error("the object is of an unexpected kind")]
    UnexpectedObject,
    /// The object has no id.
    #[error("the object has no id")]
    MissingObjectId,
    /// The object's id is too long or not printable ASCII.
    #[error("the object's id is not acceptable")]
    ObjectIdNotAcceptable,
}

impl MappingError {
    /// The reason's name in metrics and where the event is parked.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Envelope(error) => error.as_str(),
            Self::NotFinancialConnections => "not_financial_connections",
            Self::Unparsable => "unparsable",
            Self::RepeatedKey => "repeated_key",
            Self::MissingObject => "missing_object",
            Self::UnexpectedObject => "unexpected_object",
            Self::MissingObjectId => "missing_object_id",
            Self::ObjectIdNotAcceptable => "object_id_not_acceptable",
        }
    }

    /// What is wrong in the end, as whoever has to park the message tells it apart.
    pub fn fault(self) -> Fault {
        match self {
            Self::Envelope(EnvelopeError::MissingId | EnvelopeError::IdNotAcceptable) => {
                Fault::NoId
            }
            Self::Envelope(EnvelopeError::Unparsable | EnvelopeError::RepeatedKey)
            | Self::Unparsable
            | Self::RepeatedKey => Fault::Unparsable,
            _ => Fault::Impossible,
        }
    }
}

/// See [`MappingError::fault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The event has no id that it could be known by.
    NoId,
    /// The body is not JSON that can be read in one way.
    Unparsable,
    /// It can be read, and cannot be what it claims to be.
    Impossible,
}

/// Maps an event, in any of the forms that [`Envelope::read`] knows, to what happened.
///
/// Events of unknown types and those that tell nothing become [`Happened::Ignored`], so that the
/// ledger counts them; errors are for bodies that cannot be what they claim.
pub fn input(body: &[u8]) -> Result<Input, MappingError> {
    let (mut head, object) = envelope::parse::<Object<'_>>(body)?.into_event();
    let related = std::mem::take(&mut head.related_object).into_value();
    let envelope = Envelope::of(head)?;
    let reading = Reading::of(envelope.routing_key(), envelope.thin)
        .ok_or(MappingError::NotFinancialConnections)?;
    let stamp = Stamp::event(envelope.created);
    let object = || object.ok_or(MappingError::MissingObject);
    let happened = match reading {
        Reading::Ignored(reason) => Happened::Ignored(reason),
        Reading::Account { status } => {
            Happened::AccountObserved(Box::new(account::observation(object()?, stamp, status)?))
        }
        Reading::Authorization => {
            Happened::AuthorizationObserved(Box::new(account::authorization(object()?, stamp)?))
        }
        Reading::Session => match session::observation(object()?, stamp)? {
            Some(session) => Happened::SessionObserved(Box::new(session)),
            None => Happened::Ignored(Ignored::NotARelink),
        },
        Reading::AccountReference { status, must_read } => {
            let Map(related) = related.ok_or(MappingError::MissingObject)?;
            let account: AccountId = id_of(&related.id, &related.kind, ACCOUNT)?;
            let mut observation = AccountObservation::of(account, stamp);
            observation.status = status;
            observation.must_read = must_read;
            Happened::AccountObserved(Box::new(observation))
        }
    };
    Ok(Input {
        id: InputId::new(&*envelope.id),
        scope: Scope {
            livemode: envelope.livemode,
            stripe_account: envelope.stripe_account.as_deref().map(Arc::from),
        },
        kind: Arc::from(&*envelope.kind),
        at: Second(envelope.created),
        happened,
    })
}

/// Maps an account that was read.
pub fn account_observation(
    object: &RawValue,
    stamp: Stamp,
) -> Result<AccountObservation, MappingError> {
    account::observation(parse(object)?, stamp, None)
}

/// Maps an authorization that was read.
pub fn authorization_observation(
    object: &RawValue,
    stamp: Stamp,
) -> Result<AuthorizationObservation, MappingError> {
    account::authorization(parse(object)?, stamp)
}

/// Maps a session that was read; `None` where it was not made to relink.
///
/// A session's body carries its `client_secret`, a credential: only the observation may travel.
pub fn session_observation(
    object: &RawValue,
    stamp: Stamp,
) -> Result<Option<SessionObservation>, MappingError> {
    session::observation(parse(object)?, stamp)
}

/// The last refresh of an account's `feature` (`balance`, `ownership`, `transactions`), where
/// there was one.
pub fn refresh(object: &RawValue, feature: &str) -> Option<Refresh> {
    wire::object::<refresh::Refreshes<'_>>(object.get()).ok()?.of(feature)
}

fn parse(object: &RawValue) -> Result<Object<'_>, MappingError> {
    wire::object(object.get()).map_err(|error| match error {
        Unreadable::NotAnObject => MappingError::Unparsable,
        Unreadable::RepeatedKey => MappingError::RepeatedKey,
    })
}

/// The id of an object that must be of `kind`, where it says what it is.
fn id_of<Kind>(
    id: &Field<Text<'_>>,
    object: &Field<Text<'_>>,
    kind: &str,
) -> Result<Id<Kind>, MappingError> {
    if object.value().is_some_and(|Text(object)| object != kind) {
        return Err(MappingError::UnexpectedObject);
    }
    let Text(id) = id.value().ok_or(MappingError::MissingObjectId)?;
    acceptable(id).ok_or(MappingError::ObjectIdNotAcceptable)
}

fn acceptable<Kind>(text: &str) -> Option<Id<Kind>> {
    envelope::is_acceptable_id(text).then(|| Id::new(text))
}

/// An id that stands for another object; one that cannot be an id counts as not carried.
fn referred<Kind>(field: &Field<Reference<'_>>) -> Option<Id<Kind>> {
    field.value().and_then(|Reference(Text(id))| acceptable(id))
}

/// A text that can be stored: PostgreSQL's `text` cannot hold NUL, and length has a limit.
fn storable(text: &str) -> Option<Arc<str>> {
    let fits = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.contains('\0');
    fits.then(|| Arc::from(text))
}

fn described(field: &Field<Text<'_>>) -> Option<Arc<str>> {
    field.value().and_then(|Text(text)| storable(text))
}

/// A date Stripe announces; one outside of what date types hold counts as not carried.
fn second(field: &Field<i64>) -> Option<Second> {
    field.value().copied().filter(|second| (0..=SECOND_MAX).contains(second)).map(Second)
}
