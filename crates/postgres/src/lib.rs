//! Relink's state in PostgreSQL: the port `relink_engine::store::Store`.
//!
//! A batch is one transaction of READ COMMITTED with three to five flights, each of them several
//! statements sent without waiting in between: lock the accounts; lock the holders, where an
//! account may have replaced another; lock and load the homes and look into the ledger; look at
//! what took over, for timers; (decide); write and commit. It works through a transaction-mode
//! pooler, given `prepare: false`.
//!
//! **Invariants**
//! 1. Locks are taken in one order: named accounts, holders, homes; each sorted.
//! 2. An account's row is written only by a transaction that named the account, and holds the
//!    locks of the account and of the home it lived in. So who holds a home's lock may read all
//!    its accounts without locking them.
//! 3. A home's row is written only under its lock, except a provisional home that is new: it is
//!    guarded by the lock of its only account. A decision that touches a home which was only
//!    looked at is dropped and made again with that home locked.
//! 4. No row that was only locked is ever committed, unless it became something.
//! 5. No lock is held while waiting for anything but this database.
//!
//! What it does not do: rules, retries of what the database cannot do now (the engine probes and
//! tries again), creating databases or roles. Start reading at `transact`, then `gather` and
//! `commit`; `sql` has the statements, `migrations/` the tables.

mod checkup;
mod columns;
mod commit;
mod config;
mod day;
mod due;
mod error;
mod gather;
mod look;
mod maintain;
mod migrate;
mod operator;
mod outbox;
mod outlook;
mod parked;
mod record_columns;
mod rights;
mod session;
mod sql;
mod store;
mod survey;
mod transact;

pub use checkup::{Checkup, Days, Holder, Lacking, Schema, Server};
pub use commit::encoded_bytes;
pub use config::PostgresConfig;
pub use migrate::{Migration, migrate};
pub use rights::Role;
pub use store::PostgresStore;
