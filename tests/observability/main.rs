//! What a running system shows of itself: metrics against their table, dashboards and rules
//! against a real Prometheus.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a test tells what is left out")]

mod alerts;
mod dashboards;
mod documented;
mod prometheus;
mod promtool;
mod queries;
mod shown;
mod system;

use relink_tests::stage::on_stage;

#[test]
fn every_metric_is_documented_and_every_documented_one_is_shown() {
    on_stage(async |stage| documented::what_is_shown_is_what_is_documented(stage).await);
}

#[test]
fn every_query_of_a_dashboard_or_rule_finds_data() {
    on_stage(async |stage| queries::every_query_finds_data(stage).await);
}

#[test]
fn every_alert_is_tested_and_explained() {
    alerts::every_alert_is_tested_and_explained();
}

#[test]
fn every_panel_has_its_place_and_its_words() {
    dashboards::every_panel_has_its_place_and_its_words();
}

#[test]
fn queries_name_only_what_there_is() {
    dashboards::queries_name_only_what_there_is();
}
