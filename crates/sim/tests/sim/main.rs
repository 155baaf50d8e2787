//! The simulator through its public door: what it answers, what it emits, how webhooks travel.

mod answers;
mod events;
mod harness;
mod webhooks;
