//! What figures are made of: how long customers wait, for what, and how it ends.

#[expect(dead_code, unreachable_pub, reason = "each suite uses its own part of the harness")]
mod harness;

use harness::{Desk, START, Truth, X, expired, session};
use relink_core::command::{CaseOutcome, Reason};
use relink_core::input::Happened;
use relink_core::milestone::Milestone;
use relink_core::observation::RelinkOutcome;
use relink_core::time::{Span, Time};

/// The clock of the machine, so many seconds after the start.
fn at(desk: &mut Desk, seconds: i64) {
    desk.now = Time((START + seconds) * 1000);
}

#[test]
fn an_outage_is_as_old_as_its_event_however_late_that_comes() {
    let mut desk = Desk::new(0);
    at(&mut desk, 100);
    let decision = desk.see(expired("fca_a").event(40));
    let waited = Span::seconds(60);
    let both = [Milestone::Opened(Reason::Inactive), Milestone::Prompted(Reason::Inactive, waited)];
    assert_eq!(decision.milestones, both);
    // Told again, and read again: it began when it began.
    assert_eq!(desk.see(expired("fca_a").event(120)).milestones, []);
    assert_eq!(desk.see(expired("fca_a").read(130)).milestones, []);
    at(&mut desk, 1000);
    let decision = desk.see(Truth::new("fca_a", X).event(990));
    let lasted = Span::seconds(960);
    let closed = Milestone::Closed(Reason::Inactive, CaseOutcome::Recovered, lasted);
    assert_eq!(decision.milestones, [closed]);
}

#[test]
fn what_was_announced_and_then_happened_counts_from_when_it_happened() {
    let mut desk = Desk::new(0);
    let expected = Truth::new("fca_a", X).expected(START + 40 * 86_400, "relink_required");
    at(&mut desk, 10);
    let decision = desk.see(expected.event(3));
    let waited = Span::seconds(7);
    let both = [Milestone::Opened(Reason::Upcoming), Milestone::Prompted(Reason::Upcoming, waited)];
    assert_eq!(decision.milestones, both);
    at(&mut desk, 5000);
    let decision = desk.see(expired("fca_a").event(4998));
    assert_eq!(decision.milestones, [Milestone::Prompted(Reason::Inactive, Span::seconds(2))]);
}

#[test]
fn an_attempt_counts_once_for_its_start_and_once_for_its_end() {
    let mut desk = Desk::new(0);
    desk.see(expired("fca_a").event(0));
    let of = |desk: &mut Desk, seen| desk.see(seen).milestones;
    assert_eq!(of(&mut desk, session("fcsess_1", 10, None)), [Milestone::Started]);
    assert_eq!(of(&mut desk, session("fcsess_1", 11, None)), []);
    let cancelled = || session("fcsess_1", 20, Some(RelinkOutcome::Cancelled));
    assert_eq!(of(&mut desk, cancelled()), [Milestone::Ended(RelinkOutcome::Cancelled)]);
    assert_eq!(of(&mut desk, cancelled()), []);
    assert_eq!(of(&mut desk, session("fcsess_2", 30, None)), [Milestone::Started]);
    at(&mut desk, 3 * 3600);
    let home = desk.aggregate(X).key.clone();
    let abandoned = [Milestone::Ended(RelinkOutcome::Abandoned)];
    assert_eq!(of(&mut desk, Happened::TimerDue(home)), abandoned);
}

#[test]
fn clocks_that_disagree_make_no_negative_time() {
    let mut desk = Desk::new(0);
    let decision = desk.see(expired("fca_a").event(500));
    assert!(decision.milestones.contains(&Milestone::Prompted(Reason::Inactive, Span::ZERO)));
}
