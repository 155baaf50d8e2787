//! The ladder of a case: prompt, reminders, one escalation.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, expired, reason_of};
use relink_core::command::{Body, Reason, Urgency};
use relink_core::time::{Second, Span};

const DAY_S: i64 = 86_400;

#[test]
fn an_upcoming_deactivation_prompts_reminds_and_becomes_urgent_when_it_happens() {
    let mut desk = Desk::new(5);
    let date = START + 30 * 86_400;
    desk.see(Truth::new("fca_a", X).expected(date, "relink_required").event(0));
    desk.pass(Span::seconds(5));
    let Body::PromptRelink(prompt) = desk.last("prompt_relink") else { panic!() };
    assert_eq!((prompt.reason, prompt.urgency), (Reason::Upcoming, Urgency::BeforeDate));
    assert_eq!(prompt.deadline, Some(Second(date)));
    desk.pass(Span::days(28));
    assert_eq!(desk.count("remind_relink"), 3, "14, 7 and 3 days before");
    desk.see(expired("fca_a").event(28 * 86_400));
    desk.pass(Span::seconds(5));
    assert_eq!(desk.count("prompt_relink"), 2);
    assert_eq!(reason_of(desk.last("prompt_relink")), Some(Reason::Inactive));
    assert_eq!(desk.aggregate(X).state.cases, 1, "an upgrade of the same case");
    desk.pass(Span::days(20));
    assert_eq!(desk.count("remind_relink"), 6);
    assert_eq!(desk.count("escalate_relink"), 1);
    desk.pass(Span::days(100));
    assert_eq!(desk.count("escalate_relink"), 1);
}

#[test]
fn a_date_moved_later_reschedules_and_a_date_removed_closes() {
    let mut desk = Desk::new(0);
    let day = 86_400;
    desk.see(Truth::new("fca_a", X).expected(START + 20 * day, "relink_required").event(0));
    desk.pass(Span::days(7));
    assert_eq!(desk.count("remind_relink"), 1);
    desk.see(Truth::new("fca_a", X).expected(START + 60 * day, "relink_required").event(7 * day));
    desk.pass(Span::days(30));
    assert_eq!(desk.count("remind_relink"), 1, "14 days before day 60 is day 46");
    desk.see(Truth::new("fca_a", X).event(37 * day));
    assert_eq!(desk.count("withdraw_relink"), 1);
}

#[test]
fn what_was_escalated_is_not_escalated_again_when_only_a_date_is_left_of_it() {
    let mut desk = Desk::new(0);
    let expiring = |second: i64| {
        Truth::new("fca_a", X).expected(START + 5 * DAY_S, "relink_required").event(second)
    };
    desk.see(expiring(0));
    desk.see(expired("fca_a").event(DAY_S));
    desk.pass(Span::days(40));
    assert_eq!(desk.count("escalate_relink"), 1);
    let asked = desk.commands.len();
    // It works again, and the date that was told is still there, long passed.
    desk.see(expiring(40 * DAY_S));
    desk.pass(Span::days(1));
    let again = &desk.commands[asked..];
    let names: Vec<_> = again.iter().map(|command| command.body.name()).collect();
    assert!(!names.contains(&"escalate_relink"), "{names:?}");
    assert!(!names.contains(&"prompt_relink"), "{names:?}");
}

#[test]
fn a_date_that_moves_makes_the_ladder_longer_and_it_ends_with_another_escalation() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).expected(START + 20 * DAY_S, "relink_required").event(0));
    desk.pass(Span::days(21));
    assert_eq!(desk.count("escalate_relink"), 1);
    let moved = Truth::new("fca_a", X).expected(START + 60 * DAY_S, "relink_required");
    desk.see(moved.event(21 * DAY_S));
    desk.pass(Span::days(40));
    assert_eq!(desk.count("remind_relink"), 4 + 4);
    assert_eq!(desk.count("escalate_relink"), 2);
    let ids: std::collections::BTreeSet<_> = desk.commands.iter().map(|one| &one.id).collect();
    assert_eq!(ids.len(), desk.commands.len(), "no id twice");
}
