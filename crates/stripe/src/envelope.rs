//! What every event says of itself, read without looking at its object.
//!
//! Four forms arrive (Stripe docs: event destinations): a snapshot event, a thin event
//! (`object: v2.core.event`), and either of them wrapped by Amazon EventBridge (in `detail`) or
//! by Azure Event Grid as a CloudEvent (in `data`).

use std::borrow::Cow;

use relink_bus::message::EventHead;
use relink_core::id::ID_BYTES_MAX;
use relink_core::input::Ignored;
use serde::de::IgnoredAny;

use crate::event_type::Reading;
use crate::wire::{self, Field, Head, Text, Top, Unreadable};

/// The longest event type that is accepted, in bytes: it becomes an AMQP routing key, which holds
/// at most 255 (AMQP 0-9-1, short string).
pub const TYPE_BYTES_MAX: usize = 200;

/// The latest time that is believed, Unix seconds: the end of the year 9999, where the date types
/// of databases and libraries end.
pub const SECOND_MAX: i64 = 253_402_300_799;

/// What the ingress needs to know of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// The event's id, fit to be an [`relink_core::id::InputId`].
    pub id: Cow<'a, str>,
    /// Stripe's type verbatim, with the `v1.` of a thin event.
    pub kind: Cow<'a, str>,
    /// When the event was made, in whole Unix seconds of Stripe's clock.
    pub created: i64,
    /// Live mode, or a sandbox.
    pub livemode: bool,
    /// The Connect account (`acct_…`) the event belongs to.
    pub stripe_account: Option<Cow<'a, str>>,
    /// The version the body was rendered in; thin events have none.
    pub api_version: Option<Cow<'a, str>>,
    /// Whether the event is a reference without the object's state.
    pub thin: bool,
}

/// Why a body is not an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The body is not a JSON object in UTF-8.
    #[error("the body is not a JSON object")]
    Unparsable,
    /// A key that Relink reads stands in one object twice.
    #[error("the body has a key twice in one object")]
    RepeatedKey,
    /// There is no `id`.
    #[error("the event has no id")]
    MissingId,
    /// The id is too long or not printable ASCII.
    #[error("the event's id is not acceptable")]
    IdNotAcceptable,
    /// There is no `type`.
    #[error("the event has no type")]
    MissingType,
    /// The type is too long or not printable ASCII.
    #[error("the event's type is not acceptable")]
    TypeNotAcceptable,
    /// There is no `created`, or it is no time.
    #[error("the event has no readable created")]
    MissingCreated,
    /// `created` lies before 1970 or after the year 9999.
    #[error("the event's created is impossible")]
    ImpossibleCreated,
    /// There is no `livemode`; without it live and test could meet.
    #[error("the event has no livemode")]
    MissingLivemode,
    /// `account` or `context` is there and names no account; guessing could mix two scopes.
    #[error("the event's Connect account is not acceptable")]
    AccountNotAcceptable,
}

impl EnvelopeError {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Unparsable,
        Self::RepeatedKey,
        Self::MissingId,
        Self::IdNotAcceptable,
        Self::MissingType,
        Self::TypeNotAcceptable,
        Self::MissingCreated,
        Self::ImpossibleCreated,
        Self::MissingLivemode,
        Self::AccountNotAcceptable,
    ];

    /// The reason's name in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unparsable => "unparsable",
            Self::RepeatedKey => "repeated_key",
            Self::MissingId => "missing_id",
            Self::IdNotAcceptable => "id_not_acceptable",
            Self::MissingType => "missing_type",
            Self::TypeNotAcceptable => "type_not_acceptable",
            Self::MissingCreated => "missing_created",
            Self::ImpossibleCreated => "impossible_created",
            Self::MissingLivemode => "missing_livemode",
            Self::AccountNotAcceptable => "account_not_acceptable",
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a body in any of the four forms; the object is skipped, not parsed.
    pub fn read(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (head, _) = parse::<IgnoredAny>(body)?.into_event();
        Self::of(head)
    }

    /// Whether the event is about Financial Connections.
    pub fn is_financial_connections(&self) -> bool {
        self.routing_key().starts_with("financial_connections.")
    }

    /// The type without a leading `v1.`, so that both forms of one change go the same way.
    pub fn routing_key(&self) -> &str {
        self.kind.strip_prefix("v1.").unwrap_or(&self.kind)
    }

    pub(crate) fn of(head: Head<'a>) -> Result<Self, EnvelopeError> {
        let id = text(head.id).ok_or(EnvelopeError::MissingId)?;
        if !is_acceptable_id(&id) {
            return Err(EnvelopeError::IdNotAcceptable);
        }
        let kind = text(head.kind).ok_or(EnvelopeError::MissingType)?;
        if !is_graphic(&kind, TYPE_BYTES_MAX) {
            return Err(EnvelopeError::TypeNotAcceptable);
        }
        let created = head.created.into_value().ok_or(EnvelopeError::MissingCreated)?.0;
        if !(0..=SECOND_MAX).contains(&created) {
            return Err(EnvelopeError::ImpossibleCreated);
        }
        let livemode = head.livemode.into_value().ok_or(EnvelopeError::MissingLivemode)?;
        let thin = text(head.object).is_some_and(|object| object.starts_with("v2."));
        let stripe_account =
            if thin { innermost_account(head.context)? } else { connect_account(head.account)? };
        let api_version =
            text(head.api_version).filter(|version| is_graphic(version, ID_BYTES_MAX));
        Ok(Self { id, kind, created, livemode, stripe_account, api_version, thin })
    }
}

impl<'a> From<&'a Envelope<'_>> for EventHead<'a> {
    fn from(envelope: &'a Envelope<'_>) -> Self {
        Self {
            id: &envelope.id,
            kind: &envelope.kind,
            routing_key: envelope.routing_key(),
            created_unix_s: envelope.created,
            livemode: envelope.livemode,
            stripe_account: envelope.stripe_account.as_deref(),
            api_version: envelope.api_version.as_deref(),
        }
    }
}

/// Whether a type, without a leading `v1.`, has a snapshot form: only those can be listed.
pub fn has_snapshot_form(routing_key: &str) -> bool {
    Reading::of(routing_key, false)
        .is_some_and(|reading| reading != Reading::Ignored(Ignored::UnknownType))
}

/// Reads a body; invalid UTF-8 anywhere in it is refused, because JSON is UTF-8.
pub(crate) fn parse<'a, O: serde::Deserialize<'a>>(
    body: &'a [u8],
) -> Result<Top<'a, O>, EnvelopeError> {
    // Checked once for the whole body, which spares a check per string.
    let body = std::str::from_utf8(body).map_err(|_| EnvelopeError::Unparsable)?;
    wire::object(body).map_err(|error| match error {
        Unreadable::NotAnObject => EnvelopeError::Unparsable,
        Unreadable::RepeatedKey => EnvelopeError::RepeatedKey,
    })
}

/// The rule of [`relink_core::id::Id::is_acceptable`], asked before an id is allocated.
pub(crate) fn is_acceptable_id(text: &str) -> bool {
    is_graphic(text, ID_BYTES_MAX)
}

fn is_graphic(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn text(field: Field<Text<'_>>) -> Option<Cow<'_, str>> {
    field.into_value().map(|Text(text)| text)
}

/// A snapshot event's `account` (Stripe docs: present on Connect events only).
fn connect_account(field: Field<Text<'_>>) -> Result<Option<Cow<'_, str>>, EnvelopeError> {
    match field {
        Field::Absent | Field::Null => Ok(None),
        Field::Value(Text(account)) if is_account(&account) => Ok(Some(account)),
        Field::Value(_) | Field::Unreadable => Err(EnvelopeError::AccountNotAcceptable),
    }
}

/// A thin event's `context`: an account, or a path from an organization down to one.
fn innermost_account(field: Field<Text<'_>>) -> Result<Option<Cow<'_, str>>, EnvelopeError> {
    let context = match field {
        Field::Absent | Field::Null => return Ok(None),
        Field::Unreadable => return Err(EnvelopeError::AccountNotAcceptable),
        Field::Value(Text(context)) => context,
    };
    let account = match &context {
        Cow::Borrowed(path) => account_of_path(path).map(Cow::Borrowed),
        Cow::Owned(path) => account_of_path(path).map(|account| Cow::Owned(account.to_owned())),
    };
    match account {
        Some(account) if !is_account(&account) => Err(EnvelopeError::AccountNotAcceptable),
        account => Ok(account),
    }
}

fn account_of_path(path: &str) -> Option<&str> {
    path.rsplit('/').find(|segment| segment.starts_with("acct_"))
}

fn is_account(text: &str) -> bool {
    text.starts_with("acct_") && is_acceptable_id(text)
}
