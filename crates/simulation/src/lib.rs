//! Runs Relink against a simulated Stripe with everything going wrong that can, and demands that
//! it ends right.
//!
//! One seed decides a whole run ([`Plan`]): how Relink is deployed, what happens at the banks,
//! which faults there are and when they strike. The code that runs is the product's: ingress,
//! consumers, relay, scheduler, followup, catch-up, the rules, the SQLite store in memory. Around
//! it are a bus – the product's own of a single process, or a broker that outlives processes –,
//! Stripe's stand-in, and one clock that passes when nobody can go on. All runs on one thread, so
//! the same plan gives the same [trace](Outcome::trace), byte for byte.
//!
//! At every step the promises of `watch.rs` must hold. Then the faults stop, everything comes to
//! rest, and Relink must know Stripe's truth and have said what somebody would have said who saw
//! everything at once (`converge.rs`): first as far as events tell – a relink, for one, removes
//! expected dates silently –, then, after everything was read back, without exception.
//!
//! What it does not show: how PostgreSQL and RabbitMQ behave. The suites with real servers do.
//!
//! Start reading at [`run`], then `host.rs` (what runs) and `process.rs` (how it dies).

mod broker;
mod chance;
mod converge;
mod fault;
mod host;
mod plan;
mod port;
mod process;
mod run;
mod shrink;
mod stage;
mod trace;
mod truth;
mod watch;
mod weather;
mod webhook;

pub use fault::Fault;
pub use plan::{Bodies, Deployment, Plan};
pub use run::{Outcome, run};
pub use shrink::shrink;
