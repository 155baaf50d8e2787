//! The fault matrix: real servers, the real binary as processes, webhooks that keep coming, and
//! one thing after the other that goes wrong.
//!
//! Each test is a row. It ends with the reckoning of [`row`]: what was accepted is in the inbox,
//! nothing is parked, nothing is left, a command was seen twice only if it was in flight at a
//! fault, and the state is that of one worker which got the events in order. Every row prints a
//! line of figures that begins with `ROW`; how long something took is told and never expected.
//!
//! Rows play in a database and a virtual host of their own on the servers that all tests share;
//! what would disturb others has servers of its own (`tests/servers/pair`).

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a row tells its figures")]

mod broker;
mod database;
mod horizon;
mod killed;
mod link;
mod neighbours;
mod pooler;
mod row;

use relink_tests::stage::on_stage;

#[test]
fn every_role_killed_again_and_again() {
    on_stage(killed::every_role_killed_again_and_again);
}

#[test]
fn connections_closed_by_the_broker() {
    on_stage(broker::connections_closed_by_the_broker);
}

#[test]
fn queue_deleted_under_its_consumers() {
    on_stage(broker::queue_deleted_under_its_consumers);
}

#[test]
fn binding_lost() {
    on_stage(broker::binding_lost);
}

#[test]
fn database_restarted() {
    on_stage(database::database_restarted);
}

#[test]
fn backends_terminated() {
    on_stage(database::backends_terminated);
}

#[test]
fn database_read_only() {
    on_stage(database::database_read_only);
}

#[test]
fn disk_full() {
    on_stage(database::disk_full);
}

#[test]
fn outage_of_400_ms() {
    on_stage(database::outage_of_400_ms);
}

#[test]
fn outage_of_30_s() {
    on_stage(database::outage_of_30_s);
}

#[test]
fn links_cut_mid_frame() {
    on_stage(link::links_cut_mid_frame);
}

#[test]
fn links_delayed() {
    on_stage(link::links_delayed);
}

#[test]
fn links_stalled() {
    on_stage(link::links_stalled);
}

#[test]
fn connections_forgotten() {
    on_stage(link::connections_forgotten);
}

#[test]
fn two_schedulers() {
    on_stage(neighbours::two_schedulers);
}

#[test]
fn broker_restarted() {
    on_stage(broker::broker_restarted);
}

#[test]
fn memory_alarm() {
    on_stage(broker::memory_alarm);
}

#[test]
fn acknowledged_too_late() {
    on_stage(broker::acknowledged_too_late);
}

#[test]
fn clocks_minutes_apart() {
    on_stage(neighbours::clocks_minutes_apart);
}

#[test]
fn pooler_in_front() {
    on_stage(pooler::pooler_in_front);
}

#[test]
fn long_transaction_beside() {
    on_stage(horizon::long_transaction_beside);
}
