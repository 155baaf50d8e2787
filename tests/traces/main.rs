//! Traces, from the webhook to the command, as a collector gets them.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod chain;
mod collector;
mod sampling;
mod trouble;

use std::net::SocketAddr;

use relink_sim::signature_header;
use relink_tests::http::{Answer, Connection};
use relink_tests::role::WEBHOOK_SECRET;
use relink_tests::send::now_unix_s;
use relink_tests::stage::{on_stage, without_servers};

#[test]
fn a_webhook_is_followed_to_its_commands_and_to_what_they_led_to() {
    on_stage(chain::a_webhook_is_followed_to_its_commands_and_to_what_they_led_to);
}

#[test]
fn what_a_person_puts_back_is_linked_to_the_trace_it_had() {
    on_stage(chain::what_a_person_puts_back_is_linked_to_the_trace_it_had);
}

#[test]
fn who_sends_a_webhook_decides_and_the_ratio_about_the_others() {
    on_stage(sampling::who_sends_a_webhook_decides_and_the_ratio_about_the_others);
}

#[test]
fn work_goes_on_while_the_collector_is_away() {
    without_servers(trouble::work_goes_on_while_the_collector_is_away);
}

#[test]
fn what_a_collector_refuses_is_sent_again_only_where_that_may_help() {
    without_servers(trouble::what_a_collector_refuses_is_sent_again_only_where_that_may_help);
}

#[test]
fn a_collector_that_never_answers_holds_up_no_shutdown() {
    without_servers(trouble::a_collector_that_never_answers_holds_up_no_shutdown);
}

#[test]
fn what_cannot_be_a_collector_is_told_before_anything_starts() {
    without_servers(trouble::what_cannot_be_a_collector_is_told_before_anything_starts);
}

/// Posts a webhook with this `traceparent`, or without one; it must be taken.
async fn webhook(address: SocketAddr, body: &[u8], traceparent: Option<&str>) {
    let signature = signature_header(&[WEBHOOK_SECRET], now_unix_s(), body);
    let mut headers = vec![("stripe-signature", &*signature)];
    headers.extend(traceparent.map(|context| ("traceparent", context)));
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.request("POST /webhooks/stripe", &headers, body).await;
    let Answer { status, body } = answer.unwrap();
    assert_eq!(status, 200, "{body}");
}
