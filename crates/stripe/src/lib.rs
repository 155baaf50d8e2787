//! Everything Relink knows of Stripe's JSON: the signature over a webhook, the envelope of an
//! event, what its object says, and the calls of the API that Relink makes.
//!
//! This is the only crate that names a field of Stripe's. It turns bodies into the vocabulary of
//! `relink_core` and decides nothing: what follows from an observation is `relink_core`'s
//! business, when to call and what to do with the answer is the roles'. It keeps no
//! state but the rate of reads, and logs nothing; refusals are closed enums with names, for whoever holds the boundary.
//!
//! The JSON is read by small types of our own rather than by the public Rust SDK: the fields that
//! matter (`authorization`, `status_details.inactive`, `relink_result`) exist in preview versions
//! only, and `async-stripe`, pinned to a GA version, drops them silently. The types are lenient
//! about every optional part and strict about identity, scope and time.
//!
//! Start with [`signature`] and [`envelope`], which is all that the ingress uses; then
//! [`mapping`] for what each event type means, and [`client`] for calls.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

pub mod client;
pub mod envelope;
mod event_type;
pub mod mapping;
pub mod signature;
mod wire;
