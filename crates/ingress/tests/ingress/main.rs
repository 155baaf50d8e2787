//! The ingress over real HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic, helpers included")]

mod answers;
mod https;
mod limits;
mod logging;
mod server;
mod stand;
