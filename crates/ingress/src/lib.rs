//! Takes Stripe's webhooks: verify the signature, publish with a confirm, answer 2xx.
//!
//! A webhook is answered 200 only after the bus has confirmed that very message, or when the event
//! is none of Relink's business (not about Financial Connections, or of the other mode). Anything
//! else is refused with a named reason, and Stripe sends it again for up to three days. So a
//! future that is dropped half-way, because the sender went away, loses nothing either: without
//! a 2xx the event comes again, and if its first copy was taken after all, the workers' inbox
//! tells the second by its id. Here nothing is deduplicated.
//!
//! A genuine body without a readable envelope (above all without an id, which becomes the
//! message's id) has no place in the wire contract. It is answered 400 with its reason, counted
//! and warned about: Stripe keeps it, retries it and shows it in the dashboard. Parking is for
//! messages that are already on a queue.
//!
//! There is no database, no state between requests and no knowledge of the object inside an
//! event. Bodies, signatures and secrets are never logged.
//!
//! Start with `handler.rs` (one request from top to bottom), then [`Refusal`] (every answer that
//! is not 200) and `metrics.rs`. [`serve`] is a bounded HTTP/1 server for any router; the other
//! listeners use it as well.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

mod answer;
mod body;
mod config;
mod handler;
mod message;
mod metrics;
mod refusal;
mod server;

pub use config::{
    BODY_BYTES_MAX, BODY_TIMEOUT, IN_FLIGHT_MAX, IngressConfig, Now, SIGNATURE_TOLERANCE_SECONDS,
};
pub use handler::{Ingress, WEBHOOK_PATH};
pub use refusal::{RETRY_AFTER_SECONDS, Refusal};
pub use server::{Listener, ServeLimits, serve};
