//! What a read brought home.

use std::fmt;
use std::marker::PhantomData;

use relink_core::observation::{
    AccountObservation, AuthorizationObservation, SessionObservation, Stamp,
};
use serde_json::value::RawValue;

use crate::mapping::{self, MappingError, Refresh};

/// Something that can be observed in the body of a read.
pub trait Observed: Sized {
    /// Maps the body.
    fn observed(body: &RawValue, stamp: Stamp) -> Result<Self, MappingError>;
}

impl Observed for AccountObservation {
    fn observed(body: &RawValue, stamp: Stamp) -> Result<Self, MappingError> {
        mapping::account_observation(body, stamp)
    }
}

impl Observed for AuthorizationObservation {
    fn observed(body: &RawValue, stamp: Stamp) -> Result<Self, MappingError> {
        mapping::authorization_observation(body, stamp)
    }
}

/// A session that is not to relink is nothing to observe.
impl Observed for Option<SessionObservation> {
    fn observed(body: &RawValue, stamp: Stamp) -> Result<Self, MappingError> {
        mapping::session_observation(body, stamp)
    }
}

/// One object as Stripe answered; `T` is what it is to be observed as.
pub struct Read<T> {
    /// The second of the response's `Date` header: when Stripe said so, by its own clock.
    pub date_unix_seconds: i64,
    /// The `Request-Id` header.
    pub request_id: Option<String>,
    /// The object's JSON, unchanged; a session's without its secrets.
    pub body: Box<RawValue>,
    observed: PhantomData<fn() -> T>,
}

impl<T> Read<T> {
    pub(super) fn new(
        date_unix_seconds: i64,
        request_id: Option<String>,
        body: Box<RawValue>,
    ) -> Self {
        Self { date_unix_seconds, request_id, body, observed: PhantomData }
    }

    /// The stamp of what was observed.
    pub fn stamp(&self) -> Stamp {
        Stamp::read(self.date_unix_seconds)
    }
}

impl<T: Observed> Read<T> {
    /// Maps the body; the client has done so once, so this fails only for a body put here since.
    pub fn observe(&self) -> Result<T, MappingError> {
        T::observed(&self.body, self.stamp())
    }
}

impl Read<AccountObservation> {
    /// How the last refresh of a feature (`balance`, `ownership`, `transactions`) went, and when
    /// the next may be asked for; `None` where there was none.
    pub fn refresh(&self, feature: &str) -> Option<Refresh> {
        mapping::refresh(&self.body, feature)
    }
}

/// Leaves the body out: it is a customer's.
impl<T> fmt::Debug for Read<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read")
            .field("date_unix_seconds", &self.date_unix_seconds)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The accounts of a holder or a session, each stamped with the answer it came in.
#[derive(Debug)]
pub struct Listing {
    /// The accounts, in Stripe's order.
    pub accounts: Vec<Read<AccountObservation>>,
    /// Whether these are all; if not, an account that is missing here says nothing.
    pub complete: bool,
}
