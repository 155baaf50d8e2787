//! Relink's state in a SQLite file, or in memory: the port `relink_engine::store::Store`.
//!
//! One thread owns the connection that writes. It takes all calls that are waiting and commits
//! them together, each behind a savepoint of its own. Another one has the disk take the log, one
//! synchronisation for all that was committed meanwhile, and only then are they answered; so the
//! disk and the next transaction are busy beside each other. A third one reads, from the log's
//! last commit.
//!
//! **Invariants**
//! 1. There is one writer: no rows are locked, and no transaction meets another of the process.
//! 2. A file belongs to one process; a second one is told so. Operator commands may read beside it
//!    ([`SqliteStore::open_read_only`]) and say what becomes of parked messages
//!    ([`SqliteStore::open_beside`]), in transactions of some milliseconds that hold the file.
//! 3. What a call has written, and what it has concluded from, is on the disk before it is
//!    answered. What only reads may see a commit milliseconds before the disk has it, and a
//!    person's change beside the owner is as safe as the log it is appended to.
//!
//! What it does not do: rules, or anything for many processes (that is PostgreSQL's). Start
//! reading at `store`, then `worker` for the grouping, `log` for the disk and `transact` for the
//! work.

mod checkup;
mod day;
mod error;
mod inline;
mod log;
mod migrate;
mod open;
mod operator;
mod outbox;
mod outlook;
mod parked;
mod sql;
mod store;
mod survey;
mod thread;
mod transact;
mod worker;
mod write;

pub use checkup::Checkup;
pub use store::SqliteStore;
