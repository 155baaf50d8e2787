//! The public contract and the bus of a single process.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod commands;
mod contracts;
mod envelope;
mod in_process;
mod stand;
mod topology;
