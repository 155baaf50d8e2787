//! The real binary as processes against a real broker and database.
//!
//! Tests on a stage need the servers that `tests/run` or `tests/servers/with` starts; without them
//! they say so and pass.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "seed and figures, shown when a test fails or on demand")]

mod bad_input;
mod bodies;
mod configuration;
mod contracts;
mod demo;
mod doctor;
mod doctor_rights;
mod drain;
mod forecast;
mod killed;
mod listeners;
mod main_job;
mod missed;
mod parked;
mod progress;
mod rights;
mod standalone;

use relink_tests::stage::{on_stage, without_servers};

#[test]
fn the_main_job() {
    on_stage(main_job::the_main_job);
}

#[test]
fn a_worker_killed_in_the_middle_changes_nothing() {
    on_stage(killed::a_worker_killed_in_the_middle_changes_nothing);
}

#[test]
fn every_example_body_goes_through() {
    on_stage(bodies::every_example_body_goes_through);
}

#[test]
fn bad_input_is_parked_and_its_mates_are_applied() {
    on_stage(bad_input::bad_input_is_parked_and_its_mates_are_applied);
}

#[test]
fn configuration_problems_are_told_together() {
    without_servers(configuration::configuration_problems_are_told_together);
}

#[test]
fn secrets_of_a_wrong_form_are_named_and_never_shown() {
    without_servers(configuration::secrets_of_a_wrong_form_are_named_and_never_shown);
}

#[test]
fn the_binary_prints_the_contract_that_is_kept() {
    without_servers(contracts::the_binary_prints_the_contract_that_is_kept);
}

#[test]
fn shells_and_manuals_know_every_command() {
    without_servers(listeners::shells_and_manuals_know_every_command);
}

#[test]
fn a_role_that_shares_its_database_offers_no_file() {
    without_servers(configuration::a_role_that_shares_its_database_offers_no_file);
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    without_servers(configuration::an_answer_that_cannot_be_written_is_a_failure);
}

#[test]
fn a_queue_with_other_arguments_stops_the_role() {
    on_stage(configuration::a_queue_with_other_arguments_stops_the_role);
}

#[test]
fn a_wrong_password_is_named_and_never_shown() {
    on_stage(configuration::a_wrong_password_is_named_and_never_shown);
}

#[test]
fn a_missing_schema_says_migrate() {
    on_stage(configuration::a_missing_schema_says_migrate);
}

#[test]
fn the_demo_says_what_the_readme_shows() {
    without_servers(demo::the_demo_says_what_the_readme_shows);
}

#[test]
fn a_taken_port_is_told_and_another_one_serves() {
    without_servers(demo::a_taken_port_is_told_and_another_one_serves);
}

#[test]
fn sigterm_drains() {
    on_stage(drain::sigterm_drains);
}

#[test]
fn standalone_alone() {
    without_servers(standalone::standalone_alone);
}

#[test]
fn a_parked_event_is_explained() {
    without_servers(standalone::a_parked_event_is_explained);
}

#[test]
fn settings_that_contradict_each_other_are_told() {
    without_servers(configuration::settings_that_contradict_each_other_are_told);
}

#[test]
fn standalone_on_postgres() {
    on_stage(standalone::standalone_on_postgres);
}

#[test]
fn a_hundred_dropped_webhooks_are_caught_up() {
    on_stage(missed::a_hundred_dropped_webhooks_are_caught_up);
}

#[test]
fn whoever_waits_for_stripe_is_told() {
    without_servers(missed::whoever_waits_for_stripe_is_told);
}

#[test]
fn whoever_looks_on_sees_how_far_it_is() {
    without_servers(progress::whoever_looks_on_sees_how_far_it_is);
}

#[test]
fn nobody_else_sees_a_bar() {
    without_servers(progress::nobody_else_sees_a_bar);
}

#[test]
fn an_interruption_leaves_a_tidy_screen() {
    without_servers(progress::an_interruption_leaves_a_tidy_screen);
}

#[test]
fn an_interrupted_search_says_how_many_runs_held() {
    without_servers(progress::an_interrupted_search_says_how_many_runs_held);
}

#[test]
fn whoever_waits_for_a_server_sees_it_and_may_leave() {
    without_servers(progress::whoever_waits_for_a_server_sees_it_and_may_leave);
}

#[test]
fn a_reader_that_has_stopped_holds_up_no_interruption() {
    without_servers(progress::a_reader_that_has_stopped_holds_up_no_interruption);
}

#[test]
fn what_is_said_meanwhile_stands_above() {
    without_servers(progress::what_is_said_meanwhile_stands_above);
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    without_servers(progress::colours_are_for_terminals_that_want_them);
}

#[test]
fn the_scheduler_catches_up_by_itself() {
    on_stage(missed::the_scheduler_catches_up_by_itself);
}

#[test]
fn what_stripe_never_told_is_found_by_reading() {
    on_stage(missed::what_stripe_never_told_is_found_by_reading);
}

#[test]
fn standalone_catches_up_by_itself() {
    without_servers(missed::standalone_catches_up_by_itself);
}

#[test]
fn the_forecast_tells_stripes_dates_from_ours() {
    without_servers(forecast::the_forecast_tells_stripes_dates_from_ours);
}

#[test]
fn a_ga_destination_costs_one_read_and_gives_the_same_prompt() {
    without_servers(standalone::a_ga_destination_costs_one_read_and_gives_the_same_prompt);
}

#[test]
fn parked_work_at_a_broker() {
    on_stage(parked::parked_work_at_a_broker);
}

#[test]
fn parked_work_of_a_single_process() {
    without_servers(parked::parked_work_of_a_single_process);
}

#[test]
fn the_doctor_finds_a_healthy_system_healthy() {
    on_stage(doctor::healthy);
}

#[test]
fn the_doctor_names_what_is_wrong_at_the_broker() {
    on_stage(doctor::broken_broker);
}

#[test]
fn the_doctor_names_a_permission_that_is_missing() {
    on_stage(doctor::missing_permission);
}

#[test]
fn the_doctor_names_what_is_wrong_in_the_database() {
    on_stage(doctor::broken_database);
}

#[test]
fn the_doctor_names_what_is_wrong_with_stripe() {
    without_servers(doctor::wrong_with_stripe);
}

#[test]
fn the_doctor_asks_the_collector_of_traces() {
    without_servers(doctor::a_collector);
}

#[test]
fn the_doctor_tells_settings_that_cannot_work() {
    without_servers(doctor::wrong_settings);
}

#[test]
fn the_doctor_finds_what_each_user_needs_and_names_what_is_taken_away() {
    on_stage(doctor_rights::each_user_has_what_its_role_needs);
}

#[test]
fn a_whole_system_works_with_the_least_rights() {
    on_stage(rights::a_whole_system_works_with_the_least_rights);
}

#[test]
fn each_user_is_refused_what_is_not_its_own() {
    on_stage(rights::each_user_is_refused_what_is_not_its_own);
}

#[test]
fn every_listener_is_bounded() {
    without_servers(listeners::every_listener_is_bounded);
}

#[test]
fn every_secret_may_come_from_a_file() {
    without_servers(configuration::every_secret_may_come_from_a_file);
}
