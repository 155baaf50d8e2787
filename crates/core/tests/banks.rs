//! What is expected of accounts at banks whose ways are known.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, expired};
use relink_core::bank::{Bank, Ends, Expectation, Rule, expectation};
use relink_core::time::{Second, Span, Time};

const DAY_S: i64 = 86_400;
/// A little after everything that the stories tell.
const NOW: Time = Time((START + 10 * DAY_S) * 1000);

fn rule(from: Option<i64>, before: Option<i64>, ends: Ends, why: &str) -> Rule {
    let at = |days: i64| Second(START + days * DAY_S);
    Rule { linked_from: from.map(at), linked_before: before.map(at), ends, why: why.into() }
}

fn harbor(rules: Vec<Rule>) -> Vec<Bank> {
    vec![Bank { names: vec!["HARBOR federal bank".into()], rules }]
}

fn expected<'a>(banks: &'a [Bank], desk: &Desk) -> Option<Expectation<'a>> {
    expectation(banks, desk.aggregate(X), desk.account("fca_a"), NOW)
}

#[test]
fn a_permission_that_lasts_a_year_is_counted_from_the_last_time_it_was_given() {
    let banks = harbor(vec![rule(None, None, Ends::After(Span::days(365)), "a year")]);
    let mut desk = Desk::new(0);
    let mut truth = Truth::new("fca_a", X);
    truth.created = START;
    desk.see(truth.event(0));
    let year_after = |second: i64| Some(Second(second + 365 * DAY_S));
    assert_eq!(expected(&banks, &desk).unwrap().date, year_after(START));
    desk.see(truth.clone().inactive("access_expired", "relink_required").event(1000));
    assert_eq!(expected(&banks, &desk), None, "it has ended already");
    desk.see(truth.event(5000));
    assert_eq!(expected(&banks, &desk).unwrap().date, year_after(START + 5000));
}

#[test]
fn rules_are_for_those_linked_in_their_time_and_the_first_date_to_come_counts() {
    let mut truth = Truth::new("fca_a", X);
    truth.created = START - 5 * DAY_S;
    let mut desk = Desk::new(0);
    desk.see(truth.event(0));
    let on = |days: i64| Ends::On(Second(START + days * DAY_S));
    let later = rule(None, None, on(300), "later");
    let any = rule(None, None, Ends::AnyTime, "any time");
    let banks = harbor(vec![
        any.clone(),
        later,
        rule(None, Some(0), on(200), "in time"),
        rule(Some(0), None, on(100), "of those linked later"),
        rule(None, None, on(5), "over"),
    ]);
    assert_eq!(expected(&banks, &desk).unwrap().why, "in time");
    let banks = harbor(vec![any]);
    assert_eq!(expected(&banks, &desk), Some(Expectation { date: None, why: "any time" }));
    assert_eq!(expected(&[], &desk), None);
}

#[test]
fn what_stripe_says_itself_is_not_guessed() {
    let banks = harbor(vec![rule(None, None, Ends::AnyTime, "any time")]);
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").active().expected(START + 40 * DAY_S, "none").event(0));
    assert_eq!(expected(&banks, &desk), None);
}
