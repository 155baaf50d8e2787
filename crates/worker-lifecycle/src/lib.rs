//! The worker for facts: accounts created, deactivated, reactivated, disconnected, refreshed,
//! renumbered; sessions that ended; and what the followup worker read back.
//!
//! It turns a message of `relink.lifecycle` into an input; the engine does the rest. Types that
//! nobody knows yet arrive here too and are ignored by name, so that the ledger still counts
//! them. It never calls Stripe.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

use relink_bus::envelope::{CloudEvent, Observed, ObservedKind};
use relink_bus::message::{Delivery, is_acceptable_id};
use relink_bus::port::{ParkReason, Parking};
use relink_core::id::{InputId, Scope};
use relink_core::input::{Happened, Ignored, Input};
use relink_core::observation::Stamp;
use relink_core::time::Second;
use relink_stripe::envelope::SECOND_MAX;
use relink_stripe::mapping::{self, Fault, MappingError};

/// Reads a message of the lifecycle queue.
///
/// # Errors
/// Why it has to be parked.
pub fn decode(delivery: &Delivery) -> Result<Input, Parking> {
    // The type first: a message that was set aside and put back comes with the queue's name as
    // its routing key.
    let kind = delivery.kind.as_deref().and_then(ObservedKind::of);
    match kind.or_else(|| ObservedKind::of(&delivery.routing_key)) {
        Some(kind) => observed(kind, delivery),
        None => event(delivery),
    }
}

/// Reads a Stripe event.
///
/// # Errors
/// Why it has to be parked.
pub fn event(delivery: &Delivery) -> Result<Input, Parking> {
    mapping::input(&delivery.body).map_err(parking)
}

fn parking(error: MappingError) -> Parking {
    let reason = match error.fault() {
        Fault::NoId => ParkReason::NoId,
        Fault::Unparsable => ParkReason::Unparsable,
        Fault::Impossible => ParkReason::Impossible,
    };
    Parking::new(reason, error)
}

fn observed(kind: ObservedKind, delivery: &Delivery) -> Result<Input, Parking> {
    let unparsable = |error: serde_json::Error| {
        Parking::new(ParkReason::Unparsable, format!("not an observation: {}", mistake(&error)))
    };
    let event: CloudEvent<&serde_json::value::RawValue> =
        serde_json::from_slice(&delivery.body).map_err(unparsable)?;
    let data: Observed<'_> = serde_json::from_str(event.data.get()).map_err(unparsable)?;
    let scope = Scope {
        livemode: data.livemode,
        stripe_account: data.stripe_account.as_deref().map(Into::into),
    };
    if !is_acceptable_id(&event.id) {
        return Err(Parking::new(ParkReason::NoId, "the observation's id is not acceptable"));
    }
    if !(0..=SECOND_MAX).contains(&data.read_at) || !is_acceptable_id(&event.subject) {
        let text = "the observation's time or subject is impossible";
        return Err(Parking::new(ParkReason::Impossible, text));
    }
    let stamp = Stamp::read(data.read_at);
    let at = Second(data.read_at);
    let happened = match (kind, data.object) {
        (ObservedKind::Account, Some(object)) => Happened::AccountObserved(Box::new(
            mapping::account_observation(object, stamp).map_err(parking)?,
        )),
        (ObservedKind::Account, None) => Happened::AccountMissing(event.subject.as_str().into()),
        (ObservedKind::Authorization, Some(object)) => Happened::AuthorizationObserved(Box::new(
            mapping::authorization_observation(object, stamp).map_err(parking)?,
        )),
        (ObservedKind::Authorization, None) => {
            Happened::AuthorizationMissing(event.subject.as_str().into())
        }
        (ObservedKind::Session, Some(object)) => {
            match mapping::session_observation(object, stamp).map_err(parking)? {
                Some(session) => Happened::SessionObserved(Box::new(session)),
                None => Happened::Ignored(Ignored::NotARelink),
            }
        }
        (ObservedKind::Session, None) => Happened::Ignored(Ignored::ObjectMissing),
    };
    let id = InputId::new(event.id);
    Ok(Input { id, scope, kind: kind.key().into(), at, happened })
}

/// What kind of mistake serde found, without the text around it: bodies stay out of errors.
fn mistake(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "unreadable",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a field is missing or of another type",
        serde_json::error::Category::Eof => "cut off",
    }
}
