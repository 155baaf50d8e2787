//! The shell around `decide`: gather → decide → commit → perform, never interleaved.
//!
//! [`store`] is the port to the database; [`consume`] the one loop that every worker runs;
//! [`outbox`] sends what was committed, at once and, as the relay, later; [`scheduler`] fires what
//! falls due; [`parked`] is what a person does with messages that were set aside, [`balance`]
//! counts what became of events, [`metrics`] everything else. [`batch`] is where pure decisions
//! become rows, and [`row`] is what they look like in every store; [`link`] signs the links to the
//! relink page.
//!
//! **Invariant:** nothing here knows Stripe's JSON, SQL or AMQP, and no rule about accounts is
//! decided here. **Invariant:** nothing is acknowledged before it is committed or parked, and no
//! command leaves the outbox before the bus has confirmed it.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

mod apply;
pub mod balance;
pub mod batch;
pub mod claim;
pub mod clock;
pub mod consume;
pub mod engine;
mod fill;
pub mod link;
pub mod metrics;
pub mod outbox;
pub mod outlook;
pub mod parked;
pub mod row;
pub mod scheduler;
pub mod store;
