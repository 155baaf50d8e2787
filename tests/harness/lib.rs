//! What end-to-end tests stand on: the real binary as processes, a database and a virtual host
//! for each run, a feed of events with a known truth, and a foreign client that looks on.
//!
//! Start reading at [`stage::on_stage`], the one door to a test. Servers are named by
//! `RELINK_TEST_AMQP_URL`, `RELINK_TEST_DATABASE_URL` and `RELINK_TEST_RABBITMQCTL`, which
//! `tests/run` and `tests/servers/with` set; without them a test says that it is left out and
//! passes. Nothing here waits for a fixed time: everything is asked until it holds or a deadline
//! has passed, and no deadline is an expectation of speed.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a test tells what is left out and why it failed")]

pub mod api;
pub mod authority;
pub mod captured;
pub mod contract;
pub mod database;
pub mod feed;
pub mod flights;
pub mod foreign;
pub mod http;
pub mod ledger;
pub mod load;
pub mod pair;
pub mod place;
pub mod portal;
pub mod process;
pub mod proxy;
pub mod rights;
pub mod role;
pub mod send;
pub mod stage;
pub mod wait;
