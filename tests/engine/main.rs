//! The engine over a real store and the in-process bus, with faults in between.
//!
//! Start reading at [`stand`]: one process with a database in memory, whose store and way
//! out can be made to fail. Time is the runtime's, paused, and two clocks that tests turn.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod bodies;
mod books;
mod catch_up;
mod claim;
mod consume;
mod decode;
mod duties;
mod faults;
mod followup;
mod ledger;
mod outage;
mod outbox;
mod poison;
mod scene;
mod scheduler;
mod stand;
