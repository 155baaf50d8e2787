//! The adapters against a real broker, named by `RELINK_TEST_AMQP_URL`.
//!
//! Each test has a virtual host of its own if `RELINK_TEST_RABBITMQCTL` is a command that runs
//! `rabbitmqctl` on that broker; otherwise the tests take turns in the URL's virtual host, and
//! those that need the broker's cooperation are left out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod consuming;
mod examining;
mod lanes;
mod outages;
mod publishing;
mod settling;
mod support;
mod topology;
mod traps;
