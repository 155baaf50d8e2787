//! The public contract on the wire, and the ports to whatever carries it.
//!
//! Names of exchanges, queues and routing keys are data in [`topology`]; what travels is a
//! [`Message`](message::Message); commands and observations are CloudEvents, see [`envelope`];
//! their JSON Schemas come from the types, see [`schema`], and so does the document that describes
//! all of it to others, see [`asyncapi`]; a body of each is kept as it was promised, see
//! [`golden`]. [`port`] is what an adapter offers:
//! a confirmed [`Publisher`](port::Publisher) and a [`Subscriber`](port::Subscriber) whose
//! deliveries are settled explicitly. [`in_process`] implements both for a single process, and
//! [`mask`] is what people may see of messages. [`trace`] tells who sent and who processed them.
//!
//! There is no retry, no rule and no AMQP library here.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

pub use relink_core::bug;

pub mod asyncapi;
pub mod envelope;
pub mod golden;
pub mod in_process;
pub mod mask;
pub mod message;
pub mod parked;
pub mod port;
pub mod schema;
pub mod topology;
pub mod trace;
