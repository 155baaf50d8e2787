//! The relink page and the API as a browser, a platform and an attacker would use them.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod api;
mod bad_input;
mod outcomes;
mod page;
mod parked;
mod stand;
