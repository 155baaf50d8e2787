//! The simulator through its public door: what it answers, what it emits, how webhooks travel.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic, helpers included")]

mod answers;
mod banks;
mod dialog;
mod document;
mod events;
mod harness;
mod webhooks;
