//! The rules of the design, one sentence each.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, expired, reason_of, three_expired};
use relink_core::command::{Because, Body, CaseOutcome, Reason, Urgency};
use relink_core::input::{Deferred, Happened, Verdict};
use relink_core::observation::*;
use relink_core::time::{Second, Span};

#[test]
fn a_burst_of_three_deactivations_makes_one_prompt_that_names_all() {
    let mut desk = Desk::new(5);
    three_expired(&mut desk);
    assert_eq!(desk.count("prompt_relink"), 0);
    desk.pass(Span::seconds(5));
    assert_eq!(desk.count("prompt_relink"), 1);
    let Body::PromptRelink(prompt) = desk.last("prompt_relink") else { panic!() };
    assert_eq!(prompt.accounts.len(), 3);
    assert_eq!((prompt.reason, prompt.urgency), (Reason::Inactive, Urgency::Now));
    assert_eq!(desk.count("pause_data"), 3);
}

#[test]
fn a_case_that_heals_within_the_settle_time_prompts_nobody() {
    let mut desk = Desk::new(5);
    desk.see(expired("fca_a").event(0));
    desk.see(expired("fca_a").active().event(100));
    desk.pass(Span::days(40));
    assert_eq!(desk.count("prompt_relink") + desk.count("withdraw_relink"), 0);
}

#[test]
fn with_no_settle_time_the_prompt_is_in_the_same_decision() {
    let mut desk = Desk::new(0);
    let decision = desk.see(expired("fca_a").event(0));
    assert!(decision.commands.iter().any(|command| command.body.name() == "prompt_relink"));
}

#[test]
fn one_relinked_account_asks_for_its_siblings_and_their_answers_close_the_case() {
    let mut desk = Desk::new(5);
    three_expired(&mut desk);
    desk.pass(Span::seconds(5));
    desk.see(expired("fca_a").active().event(5000));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!(verify.because, Because::Siblings);
    assert_eq!(verify.accounts.len(), 2);
    assert_eq!(desk.count("withdraw_relink"), 0);
    desk.see(expired("fca_b").active().read(5001));
    desk.see(expired("fca_c").active().read(5001));
    assert_eq!(desk.count("verify_accounts"), 1, "an answer asks for nothing more");
    assert_eq!(desk.count("resume_data"), 3);
    assert_eq!(desk.count("refresh_data"), 3);
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Recovered);
    assert_eq!(withdraw.accounts.len(), 3);
}

#[test]
fn an_account_lost_before_the_outage_does_not_make_its_recovery_unrepairable() {
    let mut desk = Desk::new(5);
    desk.see(Truth::new("fca_closed", X).inactive("account_closed", "none").event(0));
    desk.see(expired("fca_a").event(1000));
    desk.pass(Span::seconds(5));
    desk.see(expired("fca_a").active().event(5000));
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Recovered);
}

#[test]
fn a_sibling_that_a_read_soon_after_the_return_finds_unchanged_is_read_once_more() {
    let mut desk = Desk::new(0);
    three_expired(&mut desk);
    desk.see(Truth::new("fca_a", X).event(2000));
    desk.see(Truth::new("fca_b", X).read(2001));
    let asked = desk.count("verify_accounts");
    // Stripe's answer may be from before the return, even twice.
    desk.see(expired("fca_c").read(2002));
    assert_eq!(desk.count("verify_accounts"), asked);
    desk.pass(Span::seconds(5));
    assert_eq!(desk.count("verify_accounts"), asked + 1);
    desk.see(expired("fca_c").read(2008));
    desk.pass(Span::seconds(600));
    assert_eq!(desk.count("verify_accounts"), asked + 1, "and then it is believed");
    let mut desk = Desk::new(0);
    three_expired(&mut desk);
    desk.see(Truth::new("fca_a", X).event(2000));
    for id in ["fca_b", "fca_c"] {
        desk.see(expired(id).read(2006));
    }
    let asked = desk.count("verify_accounts");
    desk.pass(Span::seconds(600));
    assert_eq!(desk.count("verify_accounts"), asked, "an answer after the window is the truth");
}

#[test]
fn a_sibling_that_stays_inactive_keeps_the_case_open() {
    let mut desk = Desk::new(5);
    three_expired(&mut desk);
    desk.pass(Span::seconds(5));
    desk.see(expired("fca_a").active().event(5000));
    desk.see(expired("fca_b").read(5001));
    desk.see(expired("fca_c").read(5001));
    assert_eq!(desk.count("withdraw_relink"), 0);
    assert_eq!(desk.count("verify_accounts"), 1);
}

#[test]
fn a_closed_account_is_replaced_and_nobody_is_prompted() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).event(0));
    desk.see(Truth::new("fca_a", X).inactive("account_closed", "none").event(10));
    assert_eq!(desk.names(), ["pause_data", "replace_account"].to_vec());
    desk.pass(Span::days(60));
    assert_eq!(desk.commands.len(), 2);
}

#[test]
fn unknown_details_are_verified_and_nobody_is_prompted_before_the_answer() {
    let mut desk = Desk::new(0);
    let mut seen = expired("fca_a").seen(Stamp::event(START));
    seen.details = Details::Absent;
    let decision = desk.see(Happened::AccountObserved(Box::new(seen)));
    assert_eq!(decision.verdict, Verdict::Deferred(Deferred::DetailsUnknown));
    assert_eq!(desk.names(), ["pause_data", "verify_accounts"].to_vec());
    desk.see(expired("fca_a").read(20));
    assert_eq!(desk.count("prompt_relink"), 1);
}

#[test]
fn a_recovery_that_is_told_late_shows_that_the_known_details_are_of_another_outage() {
    let mut desk = Desk::new(5);
    desk.see(expired("fca_a").event(0));
    let mut again = expired("fca_a").seen(Stamp::event(START + 200));
    again.details = Details::Absent;
    desk.see(Happened::AccountObserved(Box::new(again)));
    assert_eq!(desk.count("verify_accounts"), 0, "the same outage, as far as is known");
    let mut between = expired("fca_a").active().seen(Stamp::event(START + 100));
    between.details = Details::Absent;
    let decision = desk.see(Happened::AccountObserved(Box::new(between)));
    assert_eq!(decision.verdict, Verdict::Stale);
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!(verify.because, Because::UnknownDetails);
    desk.see(expired("fca_a").inactive("access_denied", "relink_required").read(300));
    assert_eq!(desk.aggregate(X).state.verifies.len(), 0, "answered");
}

#[test]
fn a_recovery_that_is_told_late_makes_the_details_of_siblings_doubtful_too() {
    let mut desk = Desk::new(5);
    let told = |truth: Truth, at: i64| {
        let mut seen = truth.seen(Stamp::event(START + at));
        seen.details = Details::Absent;
        Happened::AccountObserved(Box::new(seen))
    };
    for id in ["fca_a", "fca_b"] {
        desk.see(expired(id).event(0));
        desk.see(told(expired(id), 200));
    }
    assert_eq!(desk.count("verify_accounts"), 0, "the same outage, as far as is known");
    // Both came back in between, and Stripe tells of one: late.
    desk.see(told(expired("fca_a").active(), 100));
    let asked: Vec<&str> =
        desk.aggregate(X).state.verifies.keys().map(|account| account.as_str()).collect();
    assert_eq!(asked, ["fca_a", "fca_b"]);
}

#[test]
fn a_read_that_cannot_explain_asks_for_nothing_more() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).inactive("institution_merged", "contact_them").event(0));
    assert_eq!(desk.count("verify_accounts"), 1);
    desk.see(Truth::new("fca_a", X).inactive("institution_merged", "contact_them").read(60));
    assert_eq!(desk.count("verify_accounts"), 1);
    assert_eq!(desk.count("prompt_relink"), 0);
}

#[test]
fn the_second_of_two_events_of_one_second_is_not_dropped_but_verified() {
    for first_active in [true, false] {
        let mut desk = Desk::new(0);
        let (active, inactive) = (Truth::new("fca_a", X), expired("fca_a"));
        let (first, second) =
            if first_active { (&active, &inactive) } else { (&inactive, &active) };
        desk.see(first.event(0));
        desk.see(second.event(0));
        assert_eq!(desk.account("fca_a").status(), Some(Status::Inactive));
        assert_eq!(desk.count("verify_accounts"), 1);
        desk.see(active.read(1));
        assert_eq!(desk.account("fca_a").status(), Some(Status::Active));
    }
}

#[test]
fn news_of_the_second_of_a_read_is_verified_since_the_read_may_be_older() {
    let (active, broken) = (Truth::new("fca_a", X), expired("fca_a"));
    let mut desk = Desk::new(0);
    for seen in [active.event(0), broken.event(0), broken.read(0)] {
        desk.see(seen);
    }
    let before = desk.count("verify_accounts");
    desk.see(active.event(0));
    assert_eq!(desk.count("verify_accounts"), before + 1);
    assert_eq!(desk.account("fca_a").status(), Some(Status::Inactive), "until it is answered");
    desk.see(active.read(1));
    assert_eq!(desk.account("fca_a").status(), Some(Status::Active));
    assert_eq!(desk.count("verify_accounts"), before + 1);
}

#[test]
fn two_reads_of_one_second_that_differ_are_read_once_more() {
    let mut desk = Desk::new(5);
    desk.see(expired("fca_a").event(0));
    desk.see(expired("fca_a").read(1000));
    desk.see(expired("fca_a").active().read(1000));
    assert_eq!(desk.count("verify_accounts"), 0);
    desk.pass(Span::seconds(5));
    assert_eq!(desk.count("verify_accounts"), 1);
    desk.see(expired("fca_a").active().read(1006));
    assert_eq!(desk.account("fca_a").status(), Some(Status::Active));
}

#[test]
fn a_late_event_changes_nothing_but_history() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).event(1000));
    let decision = desk.see(expired("fca_a").event(10));
    assert_eq!(decision.verdict, Verdict::Stale);
    assert!(decision.commands.is_empty());
}

#[test]
fn a_later_body_that_carries_less_never_erases_what_is_known() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    let mut thin = AccountObservation::of("fca_a".into(), Stamp::event(START + 60));
    thin.status = Some(Status::Inactive);
    let decision = desk.see(Happened::AccountObserved(Box::new(thin)));
    assert_eq!(decision.verdict, Verdict::Unchanged);
    assert!(desk.account("fca_a").needs_relink());
    assert_eq!(desk.count("verify_accounts"), 0);
}

#[test]
fn disconnected_is_final_and_a_contradicting_read_is_an_anomaly() {
    let mut desk = Desk::new(0);
    let mut gone = Truth::new("fca_a", X);
    gone.status = Status::Disconnected;
    desk.see(gone.event(0));
    assert_eq!(desk.names(), ["pause_data", "replace_account"].to_vec());
    let decision = desk.see(Truth::new("fca_a", X).read(60));
    assert!(decision.notes.iter().any(|note| note.text.contains("anomaly")));
    desk.see(expired("fca_a").event(120));
    assert_eq!(desk.account("fca_a").status(), Some(Status::Disconnected));
    assert_eq!(desk.commands.len(), 2);
}

#[test]
fn a_date_with_action_none_is_a_forecast_and_not_prompted() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).expected(START + 90 * 86_400, "none").event(0));
    desk.pass(Span::days(80));
    assert!(desk.commands.is_empty());
    assert_eq!(
        desk.aggregate(X).state.summary.expected_deactivation,
        Some(Second(START + 90 * 86_400))
    );
}

#[test]
fn a_passed_date_is_read_back_once() {
    let mut desk = Desk::new(0);
    desk.see(Truth::new("fca_a", X).expected(START + 86_400, "relink_required").event(0));
    desk.pass(Span::seconds(86_400 + 3600));
    assert_eq!(desk.count("verify_accounts"), 1);
    desk.see(Truth::new("fca_a", X).expected(START + 86_400, "relink_required").read(90_100));
    desk.pass(Span::days(3));
    assert_eq!(desk.count("verify_accounts"), 1, "confirmed: nothing more to ask");
}

#[test]
fn the_authorizations_own_date_is_read_back_when_an_account_leaves_expiring() {
    let mut desk = Desk::new(0);
    let date = START + 20 * 86_400;
    let forecast = Forecast { date: Second(date), action: Action::RelinkRequired, cause: None };
    desk.see(Truth::new("fca_a", X).expected(date, "relink_required").event(0));
    let seen = AuthorizationObservation {
        authorization: X.into(),
        stamp: Stamp::event(START),
        status: Some(Status::Active),
        details: Details::Active(Some(forecast)),
        holder: None,
        institution: None,
        institution_name: None,
    };
    desk.see(Happened::AuthorizationObserved(Box::new(seen.clone())));
    assert_eq!(desk.count("prompt_relink"), 1, "1 + N warnings make one prompt");
    desk.see(Truth::new("fca_a", X).event(1000));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert!(verify.read_authorization && verify.accounts.is_empty());
    assert_eq!(desk.count("withdraw_relink"), 0);
    let answer = AuthorizationObservation {
        stamp: Stamp::read(START + 1001),
        details: Details::Active(None),
        ..seen
    };
    desk.see(Happened::AuthorizationObserved(Box::new(answer)));
    assert_eq!(desk.count("withdraw_relink"), 1);
    assert_eq!(desk.count("verify_accounts"), 1);
}

#[test]
fn an_outage_told_after_its_end_still_makes_its_siblings_doubtful() {
    let mut desk = Desk::new(5);
    desk.see(Truth::new("fca_a", X).event(2000));
    desk.see(expired("fca_b").event(1000));
    assert_eq!(desk.count("verify_accounts"), 0);
    desk.see(expired("fca_a").event(1000));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!((verify.accounts[0].as_str(), verify.because), ("fca_b", Because::Siblings));
}

#[test]
fn a_second_outage_told_after_its_end_makes_its_siblings_doubtful_again() {
    let mut desk = Desk::new(5);
    desk.see(expired("fca_a").event(1000));
    desk.see(expired("fca_a").active().event(2000));
    desk.see(expired("fca_a").active().event(4000));
    desk.see(expired("fca_b").read(3000));
    let asked = desk.count("verify_accounts");
    desk.see(expired("fca_a").event(3000));
    assert_eq!(desk.count("verify_accounts"), asked + 1);
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!((verify.accounts[0].as_str(), verify.because), ("fca_b", Because::Siblings));
}

#[test]
fn an_outage_told_after_a_siblings_return_is_read_back() {
    let mut desk = Desk::new(5);
    desk.see(expired("fca_a").event(1000));
    desk.see(expired("fca_a").active().event(2000));
    desk.see(expired("fca_b").event(1000));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!((verify.accounts[0].as_str(), verify.because), ("fca_b", Because::Siblings));
}

#[test]
fn repeats_do_not_move_the_reminder_clock() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    for day in 1..=3 {
        desk.pass(Span::days(1));
        desk.see(expired("fca_a").event(day));
    }
    assert_eq!(desk.count("remind_relink"), 1);
    assert_eq!(desk.count("prompt_relink"), 1);
}

#[test]
fn a_second_outage_is_a_case_of_its_own_with_its_own_prompt() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    desk.see(expired("fca_a").active().event(1000));
    desk.see(expired("fca_a").event(2000));
    assert_eq!(desk.count("prompt_relink"), 2);
    assert_eq!(desk.count("withdraw_relink"), 1);
    assert_eq!(desk.aggregate(X).state.cases, 2);
    assert_eq!(desk.account("fca_a").version, 3);
}

#[test]
fn a_tokenized_number_about_to_expire_is_prompted_and_its_renewal_withdraws() {
    let mut desk = Desk::new(0);
    let number = |status: &str, expiry: Option<i64>| {
        let mut seen = Truth::new("fca_a", X).seen(Stamp::event(START));
        seen.description.permissions = Some(vec!["payment_method".into()]);
        let expected_expiry = expiry.map(|days| Second(START + days * 86_400));
        seen.numbers =
            Some(vec![AccountNumber { tokenized: true, status: status.into(), expected_expiry }]);
        seen
    };
    desk.see(Happened::AccountObserved(Box::new(number("transactable", Some(60)))));
    assert_eq!(desk.count("prompt_relink"), 0);
    desk.pass(Span::days(31));
    assert_eq!(reason_of(desk.last("prompt_relink")), Some(Reason::Numbers));
    let mut renewed = number("transactable", Some(400));
    renewed.stamp = Stamp::event(START + 32 * 86_400);
    desk.see(Happened::AccountObserved(Box::new(renewed)));
    assert_eq!(desk.count("withdraw_relink"), 1);
}

#[test]
fn an_event_of_the_second_of_a_read_that_says_otherwise_is_read_back() {
    let mut desk = Desk::new(0);
    let dated = |days: i64| Truth::new("fca_a", X).expected(START + days * 86_400, "none");
    desk.see(dated(60).read(0));
    desk.see(dated(90).event(0));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!(verify.because, Because::Doubt);
    desk.see(dated(90).read(1));
    desk.see(dated(90).event(1));
    assert_eq!(desk.count("verify_accounts"), 1);
}

#[test]
fn a_read_that_follows_an_event_and_says_otherwise_is_repeated_after_the_window() {
    let dated = |days: i64| Truth::new("fca_a", X).expected(START + days * 86_400, "none");
    for late in [false, true] {
        let mut desk = Desk::new(0);
        desk.see(dated(60).event(0));
        let mut news = [dated(90).event(100), dated(60).read(101)];
        news[..].rotate_left(usize::from(late));
        for one in news {
            desk.see(one);
        }
        assert_eq!(desk.count("verify_accounts"), 0, "an answer within the window may be old");
        desk.pass(Span::seconds(6));
        assert_eq!(desk.count("verify_accounts"), 1, "the event came last: {late}");
    }
}

#[test]
fn a_read_that_confirms_one_of_two_events_of_its_second_is_repeated_after_the_window() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(100));
    desk.see(expired("fca_a").active().event(100));
    assert_eq!(desk.count("verify_accounts"), 1);
    desk.see(expired("fca_a").read(100));
    desk.pass(Span::seconds(6));
    assert_eq!(desk.count("verify_accounts"), 2, "the answer may be older than the second event");
    desk.see(expired("fca_a").active().read(107));
    desk.pass(Span::seconds(6));
    assert_eq!(desk.count("verify_accounts"), 2);
}

#[test]
fn an_unanswered_verify_is_asked_again_with_patience_and_not_for_ever() {
    let mut desk = Desk::new(0);
    let mut seen = AccountObservation::of("fca_a".into(), Stamp::event(START));
    seen.must_read = true;
    desk.see(Happened::AccountObserved(Box::new(seen)));
    desk.pass(Span::days(30));
    assert_eq!(desk.count("verify_accounts"), 5);
}

#[test]
fn the_201st_account_of_an_authorization_is_refused_and_changes_nothing() {
    let mut desk = Desk::new(0);
    for number in 0..200 {
        desk.see(Truth::new(&format!("fca_{number:04}"), X).event(0));
    }
    let one_more = Truth::new("fca_9999", X);
    let input = relink_core::input::Input {
        id: "evt_x".into(),
        scope: relink_core::id::Scope::own(true),
        kind: "test".into(),
        at: Second(START),
        happened: one_more.event(0),
    };
    let refused = relink_core::decide::decide(&mut desk.world, &input, &desk.policy, desk.now);
    assert!(refused.is_err());
    assert_eq!(desk.aggregate(X).accounts.len(), 200);
}
