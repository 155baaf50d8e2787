//! What the scheduler shows as metrics.

use relink_core::aggregate::{Aggregate, Case, Health};
use relink_core::command::{CaseOutcome, Reason};
use relink_core::id::HomeKey;
use relink_core::observation::Stamp;
use relink_core::register::Register;
use relink_core::time::{Second, Span, Time};
use relink_engine::outlook::{LATER, OVERDUE};
use relink_engine::store::{CaseRow, Store};

use super::parked::parked;
use super::sample::{self, Samples};
use super::world::*;

const WEEK_S: i64 = 7 * 86_400;

fn named(counts: &[(&str, i64)]) -> Vec<(String, i64)> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn at_bank(key: HomeKey, bank: Option<&str>) -> Aggregate {
    let mut one = aggregate(key, &[]);
    one.state.institution_name = bank.map(|name| Register(Stamp::event(NOW_S), name.into()));
    one
}

pub(crate) async fn an_empty_outlook_is_all_zero(store: &dyn Store) {
    let outlook = store.outlook(NOW).await.unwrap();
    assert_eq!((outlook.authorizations.len(), outlook.open_cases.len()), (0, 0));
    assert_eq!((outlook.outbox_depth, outlook.outbox_oldest, outlook.parked), (0, None, 0));
    assert_eq!((outlook.expected.len(), outlook.at_one_institution), (0, 0));
}

pub(crate) async fn the_outlook_counts_healths_cases_and_parked_messages(store: &dyn Store) {
    let with = |key: HomeKey, health| {
        let id = format!("fca_of_{}", key.home.as_str());
        let id = if key.home.is_provisional() { key.home.as_str() } else { &id };
        // A home without an authorization and without an account is not kept.
        let mut one = aggregate(key.clone(), &[(id, account(1))]);
        one.state.summary.health = health;
        one
    };
    let homes = [
        with(home("fcauth_1"), Health::Active),
        with(home("fcauth_2"), Health::RelinkRequired),
        with(home("fcauth_3"), Health::Active),
        with(provisional("fca_9"), Health::Unverified),
        with(provisional("fca_8"), Health::Active),
    ];
    put(store, &homes).await.unwrap();
    let mut samples = Samples::new();
    let mut case = |id: &str, reason, closed| CaseRow {
        home: home("fcauth_2"),
        case: Case { id: id.into(), reason, ..samples.draw(sample::case()) },
        closed,
    };
    let cases = vec![
        case("1", Reason::Inactive, None),
        case("2", Reason::Upcoming, None),
        case("3", Reason::Inactive, Some((Time(9), CaseOutcome::Moved))),
    ];
    write_rows(store, Rows { cases, ..Rows::default() }).await.unwrap();
    store.park(parked(None)).await.unwrap();
    let outlook = store.outlook(NOW).await.unwrap();
    let healths = [("active", 3), ("relink_required", 1), ("unverified", 1)];
    assert_eq!(outlook.authorizations, named(&healths));
    assert_eq!(outlook.open_cases, named(&[("inactive", 1), ("upcoming", 1)]));
    assert_eq!(outlook.parked, 1);
}

pub(crate) async fn what_is_expected_is_counted_by_week(store: &dyn Store) {
    let weeks = [
        -30 * WEEK_S,
        -1,
        0,
        WEEK_S - 1,
        WEEK_S,
        3 * WEEK_S + 5,
        LATER * WEEK_S - 1,
        LATER * WEEK_S,
        80 * WEEK_S,
    ];
    let homes: Vec<Aggregate> = weeks
        .into_iter()
        .enumerate()
        .map(|(index, ahead)| {
            let mut one = aggregate(home(&format!("fcauth_{index}")), &[]);
            one.state.summary.expected_deactivation = Some(Second(NOW_S + ahead));
            one
        })
        .chain([aggregate(home("fcauth_without_a_date"), &[])])
        .collect();
    put(store, &homes).await.unwrap();
    let expected = store.outlook(NOW).await.unwrap().expected;
    assert_eq!(expected, [(OVERDUE, 2), (0, 2), (1, 1), (3, 1), (7, 1), (LATER, 2)]);
}

pub(crate) async fn outages_are_counted_at_the_institution_with_the_most(store: &dyn Store) {
    let harbor = |index: usize| at_bank(home(&format!("fcauth_h{index}")), Some("Harbor Federal"));
    let other = |index: usize| at_bank(home(&format!("fcauth_o{index}")), Some("Other Bank"));
    let nameless = |index: usize| at_bank(home(&format!("fcauth_n{index}")), None);
    let homes: Vec<Aggregate> =
        (0..6).flat_map(|index| [harbor(index), other(index), nameless(index)]).collect();
    put(store, &homes).await.unwrap();
    let mut samples = Samples::new();
    let mut case = |home: &Aggregate, reason, minutes_ago| CaseRow {
        home: home.key.clone(),
        case: Case {
            id: format!("case-{}", home.key.home.as_str()).as_str().into(),
            reason,
            opened_at: NOW.before(Span::minutes(minutes_ago)),
            ..samples.draw(sample::case())
        },
        closed: None,
    };
    let mut cases = Vec::new();
    // Three fresh ones, and what does not count: too old, another reason, no name of a bank.
    cases.extend((0..3).map(|index| case(&harbor(index), Reason::Inactive, 1)));
    cases.extend((3..5).map(|index| case(&harbor(index), Reason::Inactive, 16)));
    cases.push(case(&harbor(5), Reason::Upcoming, 1));
    cases.extend((0..2).map(|index| case(&other(index), Reason::Inactive, 14)));
    cases.extend((0..6).map(|index| case(&nameless(index), Reason::Inactive, 1)));
    write_rows(store, Rows { cases, ..Rows::default() }).await.unwrap();
    assert_eq!(store.outlook(NOW).await.unwrap().at_one_institution, 3);
    let later = NOW.after(Span::minutes(20));
    assert_eq!(store.outlook(later).await.unwrap().at_one_institution, 0, "it is over");
}
