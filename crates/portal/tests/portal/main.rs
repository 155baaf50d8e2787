//! The relink page as a browser and as an attacker would use it, over HTTP.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod bad_input;
mod outcomes;
mod page;
mod stand;
