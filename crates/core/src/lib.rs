//! Relink's rules: what is known of accounts and authorizations, and what follows from it.
//!
//! [`decide`](decide::decide) takes what is stored (a [`World`](world::World)), one
//! [`Input`](input::Input), the [`Policy`](policy::Policy) and the time, brings the world up to
//! date and returns the commands and the verdict. It is pure and total: no I/O, no clock, no
//! randomness, no panic; the same arguments always give the same answer. What it does not know
//! is Stripe's JSON (crate `stripe`), how rows are stored (`postgres`, `sqlite`) and how commands
//! travel (`bus`).
//!
//! Start at [`observation`] for what a source can say, [`account`] for how that is merged so
//! that order and repeats cannot matter, then [`decide`] for what follows.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

pub mod account;
pub mod aggregate;
pub mod bank;
pub mod bug;
mod case;
pub mod command;
pub mod decide;
mod doubt;
mod fact;
pub mod health;
mod hindsight;
pub mod id;
pub mod input;
pub mod invariant;
pub mod milestone;
pub mod observation;
mod platform;
pub mod policy;
pub mod register;
pub mod reminder;
mod session;
mod takeover;
pub mod time;
pub mod world;
