//! Accounts that move, are replaced, or find their authorization late.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, Y, expired, three_expired};
use relink_core::command::{Because, Body, CaseOutcome};
use relink_core::input::Happened;
use relink_core::observation::*;
use relink_core::time::Span;

#[test]
fn an_account_that_moves_closes_the_old_case_as_moved_and_is_reconciled() {
    let mut desk = Desk::new(5);
    three_expired(&mut desk);
    desk.pass(Span::seconds(5));
    for id in ["fca_a", "fca_b"] {
        desk.see(Truth::new(id, Y).event(5000));
    }
    let Body::WithdrawRelink(withdraw) = desk.last("withdraw_relink") else { panic!() };
    assert_eq!(withdraw.outcome, CaseOutcome::Moved);
    desk.pass(Span::seconds(5));
    let Body::ReconcileAccounts(body) = desk.last("reconcile_accounts") else { panic!() };
    assert_eq!(desk.count("reconcile_accounts"), 1, "a burst of moves makes one");
    assert_eq!(&*body.from_authorization, X);
    assert_eq!(body.about.authorization.as_deref(), Some(Y));
    assert_eq!(body.pairs.len(), 2);
    assert_eq!(body.unmatched_old, ["fca_c".into()].to_vec());
    desk.pass(Span::days(30));
    assert_eq!(desk.count("remind_relink"), 0);
}

#[test]
fn a_new_account_is_matched_by_its_digits_and_never_by_the_bank_alone() {
    let mut desk = Desk::new(0);
    three_expired(&mut desk);
    let mut other = Truth::new("fca_z", Y);
    other.created = START + 4000;
    desk.see(other.event(4000));
    assert_eq!(desk.count("withdraw_relink"), 0, "same bank, other digits");
    let mut same = Truth::new("fca_n", Y);
    (same.created, same.last4) = (START + 5000, expired("fca_a").last4);
    desk.see(same.event(5000));
    assert_eq!(desk.count("withdraw_relink"), 1);
    let Body::ReconcileAccounts(body) = desk.last("reconcile_accounts") else { panic!() };
    assert_eq!(body.pairs.len(), 1);
    assert_eq!(body.unmatched_old.len(), 2);
    assert_eq!(body.unmatched_new, ["fca_z".into()].to_vec());
}

#[test]
fn of_two_that_were_linked_in_one_second_neither_replaces_the_other() {
    let mut desk = Desk::new(0);
    let one = Truth::new("fca_a", X);
    let mut other = Truth::new("fca_n", Y);
    other.last4 = one.last4.clone();
    let broken = other.clone().inactive("access_denied", "relink_required");
    desk.see(one.event(0));
    desk.see(broken.event(0));
    desk.see(one.event(0));
    assert_eq!(desk.count("prompt_relink"), 1);
    assert_eq!(desk.count("withdraw_relink"), 0);
    assert!(desk.aggregate(Y).state.case.is_some());
}

/// Accounts break, one is linked anew and later moves itself: the move is what counts, in
/// whichever order the two are told.
#[test]
fn that_an_account_moved_outweighs_that_it_was_replaced() {
    let (a, b) = (Truth::new("fca_a", X), Truth::new("fca_b", X));
    let mut newer = Truth::new("fca_n", Y);
    (newer.last4, newer.created) = (b.last4.clone(), START + 1006);
    let mut moved = b.clone();
    moved.authorization = "fcauth_z".into();
    let broken = |one: &Truth| one.clone().inactive("access_expired", "relink_required");
    let events = [
        broken(&b).event(1000),
        a.event(1007),
        broken(&a).event(1007),
        newer.event(1006),
        moved.event(1007),
    ];
    let pictures = [[0, 1, 2, 3, 4], [4, 0, 3, 1, 2]].map(|order| {
        let mut desk = Desk::new(0);
        for one in [&a, &b] {
            desk.see(one.event(0));
        }
        for index in order {
            desk.see(events[index].clone());
        }
        (desk.picture(), desk.successors())
    });
    assert_eq!(pictures[0], pictures[1]);
    assert_eq!(pictures[0].1["fcauth_x"], "fcauth_z");
}

#[test]
fn an_account_that_came_back_makes_siblings_doubtful_once_it_is_known_whose_they_are() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_b").read(1000));
    let nameless = |truth: Truth, at: i64| {
        let mut seen = truth.seen(Stamp::event(START + at));
        seen.authorization = None;
        Happened::AccountObserved(Box::new(seen))
    };
    desk.see(nameless(expired("fca_a"), 2000));
    desk.see(nameless(expired("fca_a").active(), 3000));
    desk.see(expired("fca_a").active().read(3001));
    let Body::VerifyAccounts(verify) = desk.last("verify_accounts") else { panic!() };
    assert_eq!((verify.accounts[0].as_str(), verify.because), ("fca_b", Because::Siblings));
}

#[test]
fn a_provisional_account_takes_its_case_along_to_its_authorization() {
    let mut desk = Desk::new(0);
    let mut seen = expired("fca_a").seen(Stamp::event(START));
    seen.authorization = None;
    desk.see(Happened::AccountObserved(Box::new(seen)));
    assert_eq!(desk.count("prompt_relink"), 1);
    desk.see(expired("fca_a").read(60));
    assert_eq!((desk.count("prompt_relink"), desk.count("withdraw_relink")), (1, 0));
    assert!(desk.aggregate(X).state.case.is_some());
    assert!(desk.aggregate("fca_a").is_void());
}
