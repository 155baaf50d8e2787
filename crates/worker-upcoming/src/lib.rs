//! The worker for forecasts: upcoming deactivations and moved dates, of accounts and of
//! authorizations.
//!
//! They come in waves – a bank's change of permission rules warns every customer of that bank
//! within minutes – and have days of time, so they have a queue and workers of their own and
//! never delay facts. Anything else on this queue is parked: it was published past the topology.
//! It never calls Stripe.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

use relink_bus::message::Delivery;
use relink_bus::port::{ParkReason, Parking};
use relink_bus::topology::UPCOMING_KEYS;
use relink_core::input::Input;
use relink_stripe::mapping::{self, Fault};

/// Reads a message of the upcoming queue.
///
/// # Errors
/// Why it has to be parked.
pub fn decode(delivery: &Delivery) -> Result<Input, Parking> {
    let input = mapping::input(&delivery.body).map_err(|error| {
        let reason = match error.fault() {
            Fault::NoId => ParkReason::NoId,
            Fault::Unparsable => ParkReason::Unparsable,
            Fault::Impossible => ParkReason::Impossible,
        };
        Parking::new(reason, error)
    })?;
    let key = input.kind.strip_prefix("v1.").unwrap_or(&input.kind);
    if UPCOMING_KEYS.contains(&key) {
        Ok(input)
    } else {
        let text = format!("a forecast was expected on this queue, not {key}");
        Err(Parking::new(ParkReason::Impossible, text))
    }
}
