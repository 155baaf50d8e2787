//! What operators and metrics ask for.

use std::sync::Arc;

use relink_core::aggregate::{Aggregate, Health};
use relink_core::command::{CaseOutcome, Reason};
use relink_core::id::{AccountId, CommandId, InputId, Scope};
use relink_core::input::{Deferred, Ignored, Verdict};
use relink_core::observation::{AccountObservation, Stamp, Status};
use relink_core::register::Register;
use relink_core::time::{Second, Time};
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, InputKey, Selection, Store};

use super::parked::parked;
use super::sample::{self, Samples};
use super::world::*;

fn happened(number: i64, account: Option<&str>) -> HistoryRow {
    HistoryRow {
        home: home("fcauth_1"),
        account: account.map(AccountId::from),
        input: InputId::new(format!("evt_{number}")),
        kind: "financial_connections.account.deactivated".into(),
        at: Second(NOW_S - 1_000 * number),
        // Two of the same time each: the order of writing decides.
        decided_at: Time(number / 2),
        verdict: Verdict::Deferred(Deferred::DetailsUnknown).as_str().into(),
        note: format!("it's \"so\"\n{number}"),
        commands: (0..number % 3)
            .map(|one| CommandId::new(format!("c,{{{number}}}:{one}")))
            .collect(),
    }
}

pub(crate) async fn history_comes_latest_first(store: &dyn Store) {
    let rows: Vec<_> =
        (0..10).map(|one| happened(one, (one % 2 == 0).then_some("fca_1"))).collect();
    let mut elsewhere = happened(99, Some("fca_1"));
    elsewhere.home = home("fcauth_2");
    for part in rows.chunks(3) {
        let mut history = part.to_vec();
        history.push(elsewhere.clone());
        write_rows(store, Rows { history, ..Rows::default() }).await.unwrap();
    }
    let latest: Vec<_> = rows.iter().rev().cloned().collect();
    let key = home("fcauth_1");
    assert_eq!(store.history(&key, None, 99).await.unwrap(), latest);
    assert_eq!(store.history(&key, None, 4).await.unwrap(), latest[..4]);
    let of_one: Vec<_> = latest.iter().filter(|row| row.account.is_some()).cloned().collect();
    let account = AccountId::from("fca_1");
    assert_eq!(store.history(&key, Some(&account), 99).await.unwrap(), of_one);
    let mut other_scope = key;
    other_scope.scope = Scope::own(false);
    assert_eq!(store.history(&other_scope, None, 99).await.unwrap(), []);
}

pub(crate) async fn what_an_input_did_is_found_in_the_order_of_writing(store: &dyn Store) {
    let asked = ignored("evt_1");
    let row = |note: &str, home| HistoryRow {
        home,
        at: asked.at,
        note: note.to_owned(),
        // Decided in one batch: only the order of writing tells them apart.
        decided_at: NOW,
        ..happened(1, Some("fca_1"))
    };
    let did = [
        row("b", home("fcauth_1")),
        HistoryRow { account: None, ..row("a", provisional("fca_1")) },
        row("c", home("fcauth_2")),
    ];
    let mut other_scope = row("other scope", home("fcauth_1"));
    other_scope.home.scope = Scope::own(false);
    let other_input = HistoryRow { input: "evt_2".into(), ..row("other", home("fcauth_1")) };
    let mut history = did.to_vec();
    history.extend([other_scope, other_input]);
    write_rows(store, Rows { history, ..Rows::default() }).await.unwrap();

    let asked = inbox_row(&asked, Verdict::Applied);
    assert_eq!(store.input_history(&asked, 99).await.unwrap(), did);
    assert_eq!(store.input_history(&asked, 2).await.unwrap(), did[..2]);
    let unknown = inbox_row(&ignored("evt_9"), Verdict::Applied);
    assert_eq!(store.input_history(&unknown, 99).await.unwrap(), []);
}

pub(crate) async fn cases_keep_their_last_state(store: &dyn Store) {
    let mut samples = Samples::new();
    let case = |samples: &mut Samples, id: &str, at: i64| {
        let drawn = samples.draw(sample::case());
        relink_core::aggregate::Case { id: id.into(), opened_at: Time(at), ..drawn }
    };
    let row = |home, case, closed| CaseRow { home, case, closed };
    let opened = row(provisional("fca_1"), case(&mut samples, "case-1", 10), None);
    write_rows(store, Rows { cases: vec![opened.clone()], ..Rows::default() }).await.unwrap();
    assert_eq!(store.cases(&opened.home, 9).await.unwrap(), std::slice::from_ref(&opened));

    let moved = row(home("fcauth_1"), case(&mut samples, "case-1", 10), None);
    let closed = CaseRow { closed: Some((Time(20), CaseOutcome::Relinked)), ..moved.clone() };
    let second = row(home("fcauth_1"), case(&mut samples, "case-2", 30), None);
    let cases = vec![moved, closed.clone(), second.clone()];
    write_rows(store, Rows { cases, ..Rows::default() }).await.unwrap();
    assert_eq!(store.cases(&opened.home, 9).await.unwrap(), []);
    assert_eq!(store.cases(&closed.home, 9).await.unwrap(), [second.clone(), closed]);
    assert_eq!(store.cases(&second.home, 1).await.unwrap(), [second]);
}

pub(crate) async fn the_ledger_tells_the_verdict(store: &dyn Store) {
    let verdicts = [
        Verdict::Applied,
        Verdict::Unchanged,
        Verdict::Duplicate,
        Verdict::Stale,
        Verdict::Deferred(Deferred::StateUnknown),
        Verdict::Ignored(Ignored::UnknownType),
    ];
    let row =
        |(index, verdict): (usize, Verdict)| inbox_row(&ignored(&format!("evt_{index}")), verdict);
    let inbox: Vec<_> = verdicts.into_iter().enumerate().map(row).collect();
    write_rows(store, Rows { inbox: inbox.clone(), ..Rows::default() }).await.unwrap();
    for row in inbox {
        assert_eq!(store.inbox_row(row.id.as_str()).await.unwrap(), Some(row));
    }
    assert_eq!(store.inbox_row("evt_none").await.unwrap(), None);
}

pub(crate) async fn the_ledger_tells_which_it_holds(store: &dyn Store) {
    let mut late = inbox_row(&ignored("evt_2"), Verdict::Applied);
    late.at = Second(NOW_S - 3 * 86_400);
    let mut timer = inbox_row(&ignored("timer:1"), Verdict::Applied);
    (timer.kind, timer.at) = ("relink.timer".into(), Second(NOW_S + 60));
    let first = inbox_row(&ignored("evt_1"), Verdict::Unchanged);
    let inbox = vec![first.clone(), late.clone(), timer];
    assert_eq!(store.latest_event(Second(0)).await.unwrap(), None);
    write_rows(store, Rows { inbox, ..Rows::default() }).await.unwrap();
    let key =
        |row: &InboxRow| InputKey { scope: row.scope.clone(), id: row.id.clone(), at: row.at };
    let other_scope = InputKey { scope: Scope::own(false), ..key(&first) };
    let other_day = InputKey { at: Second(first.at.0 - 86_400), ..key(&first) };
    let unknown = InputKey { id: "evt_3".into(), ..key(&first) };
    let asked = [key(&late), other_scope, key(&first), other_day, unknown, key(&first)];
    let held = store.seen(&asked).await.unwrap();
    assert_eq!(held, [true, false, true, false, false, true]);
    assert_eq!(store.seen(&[]).await.unwrap(), Vec::<bool>::new());
    let latest = store.latest_event(Second(NOW_S - 9 * 86_400)).await.unwrap();
    assert_eq!(latest, Some(first.at), "a timer is no event");
    assert_eq!(store.latest_event(Second(first.at.0 + 1)).await.unwrap(), None);
}

pub(crate) async fn accounts_come_longest_unheard_first(store: &dyn Store) {
    let future = Time(i64::MAX);
    assert_eq!(store.longest_unheard(None, future, 9).await.unwrap(), []);
    assert_eq!(store.scopes().await.unwrap(), []);
    let mut gone = account(1);
    let mut seen = AccountObservation::of("fca_gone".into(), Stamp::event(NOW_S));
    seen.status = Some(Status::Disconnected);
    gone.merge(&seen);
    let mut first = aggregate(home("fcauth_1"), &[("fca_2", account(1)), ("fca_1", account(2))]);
    first.key.scope = Scope::connected(true, "acct_1");
    let second = aggregate(provisional("fca_3"), &[("fca_3", account(3))]);
    put(store, &[first.clone()]).await.unwrap();
    put(store, &[second.clone(), aggregate(home("fcauth_2"), &[("fca_gone", gone)])])
        .await
        .unwrap();
    let all = store.longest_unheard(None, future, 9).await.unwrap();
    let ids: Vec<_> = all.iter().map(|heard| heard.account.account.as_str()).collect();
    assert_eq!(ids.len(), 3, "a link that has ended is left out: {ids:?}");
    assert!(all.is_sorted_by_key(|heard| heard.at.0.div_euclid(86_400_000)), "to the day");
    let of = |id: &str| all.iter().find(|heard| heard.account.account.as_str() == id).unwrap();
    assert_eq!((&of("fca_1").home, &of("fca_3").home), (&first.key, &second.key));
    assert_eq!(of("fca_1").account.scope, first.key.scope);
    assert_eq!(store.longest_unheard(None, future, 2).await.unwrap(), all[..2]);
    assert_eq!(store.longest_unheard(Some(&all[0]), future, 9).await.unwrap(), all[1..]);
    assert_eq!(store.longest_unheard(Some(&all[2]), future, 9).await.unwrap(), []);
    let earliest = all.iter().map(|heard| heard.at).min().unwrap();
    assert_eq!(store.longest_unheard(None, earliest, 9).await.unwrap(), []);
    assert_eq!(store.count_unheard(future).await.unwrap(), 3);
    assert_eq!(store.count_unheard(earliest).await.unwrap(), 0);
    let scopes = store.scopes().await.unwrap();
    assert_eq!(scopes, [Scope::own(true), Scope::connected(true, "acct_1")]);
}

pub(crate) async fn an_id_is_found_in_every_scope(store: &dyn Store) {
    let mut all = Vec::new();
    for number in 0..25 {
        let mut one = aggregate(home("fcauth_1"), &[("fca_1", account(number))]);
        one.key.scope = Scope::connected(true, &format!("acct_{number:02}"));
        all.push(one);
    }
    put(store, &all[..3]).await.unwrap();
    assert_eq!(store.find("fcauth_1").await.unwrap(), all[..3]);
    assert_eq!(store.find("fca_1").await.unwrap(), all[..3]);
    assert_eq!(store.find("fca_2").await.unwrap(), []);
    put(store, &all[3..]).await.unwrap();
    assert_eq!(store.find("fca_1").await.unwrap().len(), 20);
}

pub(crate) async fn authorizations_are_listed_page_by_page(store: &dyn Store) {
    let mut all = Vec::new();
    for number in 0..7_u64 {
        for stripe_account in ["acct_1", "acct_2"] {
            let id = format!("fcauth_{number}");
            let account = account(number);
            let mut one = aggregate(home(&id), &[(&format!("fca_{number}"), account)]);
            one.key.scope = Scope::connected(true, stripe_account);
            let healths = [Health::Active, Health::RelinkRequired];
            one.state.summary.health = healths[usize::from(number % 3 == 0)];
            one.state.holder = (number < 4).then(|| Register(Stamp::read(NOW_S), holder("cus_1")));
            all.push(one);
        }
    }
    let mut hidden = aggregate(provisional("fca_9"), &[("fca_9", account(9))]);
    hidden.state.holder = Some(Register(Stamp::read(NOW_S), holder("cus_1")));
    put(store, &all).await.unwrap();
    put(store, &[hidden]).await.unwrap();
    let everything = Selection { holder: None, health: None, after: None, limit: 99 };
    for of_whom in [None, Some("cus_1")] {
        for health in [None, Some(Health::RelinkRequired), Some(Health::Expiring)] {
            let of = Selection { holder: of_whom.map(Arc::from), health, ..everything.clone() };
            let fits = |one: &&Aggregate| {
                health.is_none_or(|health| one.state.summary.health == health)
                    && of_whom.is_none_or(|id| one.holder().is_some_and(|held| *held.id == *id))
            };
            let expected: Vec<Aggregate> = all.iter().filter(fits).cloned().collect();
            assert_eq!(store.list(&of).await.unwrap(), expected);
            let mut pages: Vec<Aggregate> = Vec::new();
            loop {
                let after = pages
                    .last()
                    .map(|last| (last.key.home.as_str().into(), last.key.scope.clone()));
                let page = store.list(&Selection { after, limit: 3, ..of.clone() }).await.unwrap();
                assert!(page.len() <= 3);
                if page.is_empty() {
                    break;
                }
                pages.extend(page);
            }
            assert_eq!(pages, expected);
        }
    }
}

pub(crate) async fn parts_together_are_the_whole_list(store: &dyn Store) {
    let all: Vec<Aggregate> =
        (0..50).map(|number| aggregate(home(&format!("fcauth_{number:02}")), &[])).collect();
    put(store, &all).await.unwrap();
    for every in [1, 7, 50, 99] {
        let ends = store.part_ends(every).await.unwrap();
        assert!(ends.is_sorted_by_key(|(id, scope)| (id.as_str().to_owned(), scope.to_string())));
        let (mut parts, mut after) = (Vec::new(), None);
        for end in ends {
            let selection = Selection { holder: None, health: None, after, limit: every };
            let part = store.list(&selection).await.unwrap();
            let last = part.last().map(|last| (last.key.home.as_str(), &last.key.scope));
            assert_eq!(last, Some((end.0.as_str(), &end.1)), "every {every}");
            parts.extend(part);
            after = Some(end);
        }
        let selection = Selection { holder: None, health: None, after, limit: 99 };
        parts.extend(store.list(&selection).await.unwrap());
        assert_eq!(parts, all, "every {every}");
    }
}

pub(crate) async fn the_census_counts(store: &dyn Store) {
    assert_eq!(store.census().await.unwrap(), relink_engine::store::Census::default());
    let with = |id: &str, health| {
        let mut one = aggregate(home(id), &[]);
        one.state.summary.health = health;
        one
    };
    let homes = [
        with("fcauth_1", Health::Active),
        with("fcauth_2", Health::RelinkRequired),
        with("fcauth_3", Health::Active),
    ];
    put(store, &homes).await.unwrap();
    let mut samples = Samples::new();
    let mut case = |id: &str, reason, closed| CaseRow {
        home: home("fcauth_2"),
        case: relink_core::aggregate::Case {
            id: id.into(),
            reason,
            ..samples.draw(sample::case())
        },
        closed,
    };
    let cases = vec![
        case("1", Reason::Inactive, None),
        case("2", Reason::Upcoming, None),
        case("3", Reason::Inactive, None),
        case("4", Reason::Inactive, Some((Time(9), CaseOutcome::Moved))),
    ];
    write_rows(store, Rows { cases, ..Rows::default() }).await.unwrap();
    store.park(parked(None)).await.unwrap();
    let census = store.census().await.unwrap();
    let named = |counts: &[(&str, i64)]| -> Vec<(String, i64)> {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(census.authorizations, named(&[("active", 2), ("relink_required", 1)]));
    assert_eq!(census.open_cases, named(&[("inactive", 2), ("upcoming", 1)]));
    assert_eq!((census.outbox_depth, census.outbox_oldest, census.parked), (0, None, 1));
}

pub(crate) async fn a_probe_passes(store: &dyn Store) {
    store.probe().await.unwrap();
    store.probe().await.unwrap();
}
