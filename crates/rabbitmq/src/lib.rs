//! The [`bus`](relink_bus) ports over RabbitMQ, and the only crate that knows the AMQP library.
//!
//! * [`RabbitPublisher`] publishes persistent messages and answers only once the broker has
//!   confirmed that very message; see `lanes` for why it has two connections and `outlet` for how
//!   confirms and returns are paired.
//! * [`RabbitSubscriber`] hands out batches of one work queue and settles them, with the retry
//!   ladder and the parked queue; see `supervisor` for how it comes back from anything.
//! * [`RabbitParked`] shows parked messages and puts them back.
//! * [`declare`] and [`verify`] hold the broker against `bus::topology`.
//! * [`Examination`] and [`Management`] are for `relink doctor`: they look and change nothing, the
//!   second one over HTTP, because AMQP tells neither arguments nor bindings, policies and alarms.
//!
//! Both adapters own a supervisor that rebuilds connection, channel, settings and consumer after
//! any trouble; the library's own recovery is off, because it covers neither channel errors nor
//! acknowledgement timeouts nor deleted queues. Publishing and consuming use separate
//! connections, because a memory or disk alarm stops everything on a connection that publishes,
//! acknowledgements included. Every wait is bounded.
//!
//! There is no rule, no batching policy and no metric registry here: [`BrokerState`] says how the
//! connection is, and whoever serves metrics reads it. The AMQP library writes returned messages
//! with their bodies to the log at `warn`; a filter must contain [`LOG_DIRECTIVE`].

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

mod aside;
mod backoff;
mod config;
mod connection;
mod desk;
mod driver;
mod examine;
mod greeting;
mod lanes;
mod ledger;
mod management;
mod mismatch;
mod outlet;
mod outstanding;
mod parked;
mod properties;
mod publisher;
mod shelf;
mod state;
mod subscriber;
mod supervisor;
mod topology;

pub use config::{ConfigError, RabbitConfig};
pub use examine::{Examination, Keys, Permission, QueueState};
pub use greeting::version;
pub use management::{
    Alarm, Management, ManagementConfig, ManagementConfigError, ManagementError, Survey,
};
pub use mismatch::Mismatch;
pub use parked::RabbitParked;
pub use publisher::RabbitPublisher;
pub use state::{BrokerState, BrokerStatus};
pub use subscriber::RabbitSubscriber;
pub use topology::{Finding, TopologyError, Verified, declare, verify};

/// What every log filter must contain: the AMQP library logs returned messages with their bodies
/// at `warn`, and what it has to say about connections is said here once, at the boundary.
pub const LOG_DIRECTIVE: &str = "lapin=off";
