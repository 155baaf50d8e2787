//! What relink sessions lead to, one sentence each.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, expired, session, three_expired};
use relink_core::aggregate::{ATTEMPT_LIFETIME, Attempt};
use relink_core::command::{Because, Body, CaseOutcome};
use relink_core::input::{Happened, Verdict};
use relink_core::observation::*;
use relink_core::time::{Second, Span};

#[test]
fn a_forecast_that_comes_after_the_relink_that_moved_it_is_read_back() {
    let date = START + 30 * 86_400;
    let forecast = Forecast { date: Second(date), action: Action::RelinkRequired, cause: None };
    let session = SessionObservation {
        session: "fcsess_1".into(),
        stamp: Stamp::event(START + 5000),
        authorization: X.into(),
        outcome: Some(RelinkOutcome::Repaired),
        accounts: Vec::new(),
        complete: true,
    };
    let own = AuthorizationObservation {
        authorization: X.into(),
        stamp: Stamp::event(START + 1000),
        status: Some(Status::Active),
        details: Details::Active(Some(forecast)),
        holder: None,
        institution: None,
        institution_name: None,
    };
    let mut desk = Desk::new(5);
    desk.see(Truth::new("fca_a", X).event(0));
    desk.see(Happened::SessionObserved(Box::new(session)));
    desk.see(Truth::new("fca_a", X).expected(date, "relink_required").event(1000));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!((verify.accounts.len(), verify.because), (1, Because::Forecast));
    desk.see(Happened::AuthorizationObserved(Box::new(own)));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert!(verify.read_authorization);
    desk.see(Truth::new("fca_a", X).expected(date, "relink_required").event(6000));
    assert_eq!(desk.count("verify_accounts"), 2, "what is said after the relink is not doubted");
}

#[test]
fn a_session_that_succeeded_names_the_outcome() {
    let mut desk = Desk::new(0);
    three_expired(&mut desk);
    let accounts = ["fca_a", "fca_b", "fca_c"]
        .map(|id| Truth::new(id, X).seen(Stamp::event(START + 5000)))
        .to_vec();
    let session = SessionObservation {
        session: "fcsess_1".into(),
        stamp: Stamp::event(START + 5000),
        authorization: X.into(),
        outcome: Some(RelinkOutcome::Repaired),
        accounts: Vec::new(),
        complete: true,
    };
    desk.see(Happened::SessionObserved(Box::new(session.clone())));
    assert_eq!(desk.count("withdraw_relink"), 0, "a session's word is no proof for its accounts");
    assert_eq!(desk.count("verify_accounts"), 1);
    let whole = SessionObservation { accounts, ..session.clone() };
    desk.see(Happened::SessionObserved(Box::new(whole)));
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Relinked);
    let partly = SessionObservation { complete: false, ..session };
    desk.see(Happened::SessionObserved(Box::new(partly)));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!(verify.session, Some("fcsess_1".into()), "its event did not tell all");
}

#[test]
fn a_session_that_brings_all_accounts_back_at_once_is_told_as_a_relink() {
    let mut desk = Desk::new(0);
    for id in ["fca_a", "fca_b"] {
        desk.see(expired(id).event(0));
    }
    let accounts = ["fca_a", "fca_b"].map(|id| Truth::new(id, X).seen(Stamp::event(START + 90)));
    let session = SessionObservation {
        session: "fcsess_1".into(),
        stamp: Stamp::event(START + 90),
        authorization: X.into(),
        outcome: Some(RelinkOutcome::Repaired),
        accounts: accounts.to_vec(),
        complete: true,
    };
    let decision = desk.see(Happened::SessionObserved(Box::new(session)));
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Relinked);
    let of = |id: &str| -> Vec<&str> {
        let own = decision.notes.iter().filter(|note| note.account == Some(id.into()));
        own.flat_map(|note| note.commands.iter().map(|command| command.as_str())).collect()
    };
    for id in ["fca_a", "fca_b"] {
        assert!(of(id).contains(&&*format!("live:{id}:resume-2")), "{id}: {:?}", decision.notes);
    }
}

#[test]
fn a_session_told_after_the_case_closed_still_names_what_ended_it() {
    let session = |id: &str, at: i64, outcome| SessionObservation {
        session: id.into(),
        stamp: Stamp::event(START + at),
        authorization: X.into(),
        outcome,
        accounts: Vec::new(),
        complete: true,
    };
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    let started = session("fcsess_1", 4990, None);
    desk.see(Happened::SessionObserved(Box::new(started)));
    desk.see(Truth::new("fca_a", X).event(5000));
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Recovered, "nobody has told of the relink yet");

    let other = session("fcsess_0", -90_000, Some(RelinkOutcome::Repaired));
    let decision = desk.see(Happened::SessionObserved(Box::new(other)));
    assert_eq!(decision.cases, [], "a session of another day");
    let ended = session("fcsess_1", 5001, Some(RelinkOutcome::Repaired));
    let decision = desk.see(Happened::SessionObserved(Box::new(ended.clone())));
    assert_eq!(decision.verdict, Verdict::Applied);
    assert!(matches!(decision.cases[0].closed, Some((_, CaseOutcome::Relinked))));
    assert_eq!(decision.cases[0].case.attempts.len(), 1);
    let decision = desk.see(Happened::SessionObserved(Box::new(ended)));
    assert_eq!((decision.verdict, decision.cases.len()), (Verdict::Unchanged, 0));
}

/// The outcomes of the attempts of the open case, or else of the last one.
fn attempts(desk: &Desk) -> Vec<Attempt> {
    let state = &desk.aggregate(X).state;
    let case = state.case.as_ref().or(state.last_case.as_ref().map(|closed| &closed.case));
    case.expect("there is a case").attempts.clone()
}

#[test]
fn an_attempt_that_nobody_finishes_is_abandoned_in_time_and_only_once() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    desk.see(session("fcsess_1", 10, None));
    desk.pass(Span(ATTEMPT_LIFETIME.0));
    assert_eq!(attempts(&desk)[0].outcome, None, "ten seconds are left");
    desk.pass(Span::seconds(10));
    let abandoned = Some(RelinkOutcome::Abandoned);
    assert_eq!(attempts(&desk)[0].outcome, abandoned);
    assert_eq!(attempts(&desk)[0].at, Second(START + 10), "since when stays");
    let decision = desk.see(session("fcsess_1", 20, None));
    assert_eq!((decision.verdict, decision.notes.len()), (Verdict::Unchanged, 0));
    assert_eq!(attempts(&desk)[0].outcome, abandoned, "still nobody has told of its end");
    assert_eq!(desk.names(), ["pause_data", "prompt_relink"].to_vec(), "it asks for nothing");
}

#[test]
fn the_timer_that_calls_an_attempt_abandoned_says_so_in_history_and_in_the_record() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    desk.see(session("fcsess_1", 0, None));
    desk.now = desk.now.after(ATTEMPT_LIFETIME);
    let home = desk.aggregate(X).key.clone();
    let decision = desk.see(Happened::TimerDue(home));
    assert_eq!(decision.verdict, Verdict::Applied);
    assert_eq!(decision.notes[0].text, "relink abandoned");
    let written = &decision.cases[0].case.attempts;
    assert_eq!(written[0].outcome, Some(RelinkOutcome::Abandoned));
}

#[test]
fn a_late_end_corrects_what_was_called_abandoned_in_every_order() {
    let news = [session("fcsess_1", 10, None), session("fcsess_1", 20, None)];
    let ends = [RelinkOutcome::Cancelled, RelinkOutcome::Failed("no_account".into())];
    for end in ends {
        let told = session("fcsess_1", 30_000, Some(end.clone()));
        let all = [&news[0], &news[1], &told];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for wait in [Span::ZERO, ATTEMPT_LIFETIME, Span::days(1)] {
                let mut desk = Desk::new(0);
                desk.see(expired("fca_a").event(0));
                for index in order {
                    desk.see(all[index].clone());
                    desk.pass(wait);
                }
                let ended = Attempt {
                    session: "fcsess_1".into(),
                    at: Second(START + 30_000),
                    outcome: Some(end.clone()),
                };
                assert_eq!(attempts(&desk), [ended], "{order:?} {wait:?}");
            }
        }
    }
}

#[test]
fn an_attempt_is_abandoned_since_it_was_first_seen_in_every_order() {
    for order in [[10, 20], [20, 10]] {
        let mut desk = Desk::new(0);
        desk.see(expired("fca_a").event(0));
        for at in order {
            desk.see(session("fcsess_1", at, None));
        }
        desk.pass(Span::days(1));
        let outcome = Some(RelinkOutcome::Abandoned);
        let abandoned = Attempt { session: "fcsess_1".into(), at: Second(START + 10), outcome };
        assert_eq!(attempts(&desk), [abandoned]);
    }
}

#[test]
fn an_attempt_of_a_closed_case_is_abandoned_and_corrected_as_well() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    desk.see(session("fcsess_1", 1000, None));
    desk.see(expired("fca_a").active().event(1100));
    desk.pass(Span::days(1));
    assert_eq!(attempts(&desk)[0].outcome, Some(RelinkOutcome::Abandoned));
    desk.see(expired("fca_a").event(90_000));
    let late = session("fcsess_1", 1090, Some(RelinkOutcome::Repaired));
    let decision = desk.see(late);
    assert_eq!(decision.verdict, Verdict::Applied);
    let state = &desk.aggregate(X).state;
    assert_eq!(state.last_case.as_ref().unwrap().outcome, CaseOutcome::Relinked);
    assert!(state.case.as_ref().unwrap().attempts.is_empty(), "no attempt of the new case");
}
