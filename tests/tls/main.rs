//! TLS as it is in earnest: the real binary, a RabbitMQ and a PostgreSQL that speak nothing else,
//! certificates that the tests make, expire and renew.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod files;
mod listeners;
mod management;
mod problems;
mod renewal;
mod servers;

use relink_tests::stage::{on_stage, without_servers};

#[test]
fn broker_and_database_are_verified_in_full() {
    on_stage(servers::broker_and_database_are_verified_in_full);
}

#[test]
fn servers_without_tls_are_told_apart_from_those_that_are_away() {
    on_stage(servers::servers_without_tls_are_told_apart_from_those_that_are_away);
}

#[test]
fn a_server_that_hangs_up_without_its_reason_brings_the_client_certificate_to_mind() {
    on_stage(
        problems::a_server_that_hangs_up_without_its_reason_brings_the_client_certificate_to_mind,
    );
}

#[test]
fn authorities_and_certificates_of_both_sides_change_while_roles_run() {
    on_stage(renewal::authorities_and_certificates_of_both_sides_change_while_roles_run);
}

#[test]
fn listeners_speak_https_and_show_what_was_renewed() {
    without_servers(listeners::listeners_speak_https_and_show_what_was_renewed);
}

#[test]
fn problems_with_files_are_told_together_before_anything_starts() {
    without_servers(problems::problems_with_files_are_told_together_before_anything_starts);
}

#[test]
fn the_management_api_is_verified_as_the_broker_is() {
    without_servers(management::the_management_api_is_verified_as_the_broker_is);
}
