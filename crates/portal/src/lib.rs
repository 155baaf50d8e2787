//! The relink page and the HTTP API: where a customer who follows a link of ours repairs a bank connection.
//!
//! A link is signed and names a case; what it is about is asked of the database each time, so it
//! is dead once the case is closed. Opening it changes nothing. A click makes a session at
//! Stripe, Stripe.js runs it in the browser with a client secret that is held in memory only, and
//! then the session is read back from here: what the browser says proves nothing. What was read
//! is published as an observation and takes the same way as an event.
//!
//! **Invariant:** nothing is written but that observation, and what an operator says of a parked
//! message. **Invariant:** a client secret is in
//! one answer and nowhere else; link tokens are never logged. **Invariant:** no asset of a third
//! party but Stripe.js, and no inline script or style.
//!
//! The API does the same for a platform with a front end of its own, and tells how things are.
//!
//! Start with [`page`] (one request from top to bottom), then [`view`](view) for the words and
//! [`relinks`] for what is asked of Stripe. Every way to refuse is in [`trouble`], the API's in [`api`].

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

mod api;
mod asset;
mod body;
mod completion;
mod config;
mod ended;
mod html;
mod layout;
mod limiter;
mod metrics;
mod page;
mod portal;
mod relinks;
mod standing;
mod texts;
mod trouble;
mod view;

pub use api::{ApiToken, TokenScope, document as openapi};
pub use body::BODY_BYTES_MAX;
pub use config::{Brand, Colour, LOGO_BYTES_MAX, Logo, PortalConfig, STRIPE_JS, UiMode, origin};
pub use portal::{Portal, PortalError, PortalParts};
pub use texts::Texts;
