//! What the relay and the scheduler rely on.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;
use relink_core::id::{CommandId, Scope};
use relink_core::time::Time;
use relink_engine::store::{Committed, OutboxRow, Store};

use super::world::*;

fn command(id: &str, decided: i64, claimed_until: i64) -> OutboxRow {
    OutboxRow {
        id: CommandId::from(id),
        kind: "relink.prompt_relink.v1".into(),
        scope: Scope::connected(true, "acct_1"),
        correlation: "case".into(),
        decided_at: Time(decided),
        traceparent: (decided % 2 == 0).then(|| "00-0af7651916cd43dd8448eb211c80319c-01".into()),
        body: Bytes::from_static(b"{\"\x00\xff"),
        claimed_until: Time(claimed_until),
        bundle: None,
    }
}

/// Claims, and leaves out where each command is kept.
async fn claim(store: &dyn Store, now: i64, until: i64, limit: usize) -> Vec<OutboxRow> {
    bare(&store.claim_outbox(Time(now), Time(until), limit).await.unwrap())
}

/// Without where each command is kept, which differs from store to store.
pub(crate) fn bare(rows: &[OutboxRow]) -> Vec<OutboxRow> {
    rows.iter().map(|row| OutboxRow { bundle: None, ..row.clone() }).collect()
}

/// Claims until nothing is left.
async fn claim_all(store: &dyn Store, now: i64, until: i64) -> Vec<OutboxRow> {
    let mut all = Vec::new();
    loop {
        let claimed = store.claim_outbox(Time(now), Time(until), 7).await.unwrap();
        if claimed.is_empty() {
            return all;
        }
        all.extend(claimed);
    }
}

async fn delete(store: &dyn Store, rows: &[OutboxRow]) {
    let taken: Vec<Committed> = rows.iter().map(OutboxRow::committed).collect();
    store.delete_outbox(&taken).await.unwrap();
}

async fn write(store: &dyn Store, outbox: Vec<OutboxRow>) {
    write_rows(store, Rows { outbox, ..Rows::default() }).await.unwrap();
}

pub(crate) async fn commands_are_claimed_in_order_once_their_claim_has_run_out(store: &dyn Store) {
    let rows = [command("c", 1, 50), command("a", 3, 101), command("b", 2, 100)];
    write(store, rows.to_vec()).await;
    assert_eq!(claim(store, 49, 60, 9).await, []);
    let claimed = |id: &str, decided, until| OutboxRow {
        claimed_until: Time(until),
        ..command(id, decided, 0)
    };
    assert_eq!(claim(store, 50, 150, 9).await, [claimed("c", 1, 150)]);
    assert_eq!(claim(store, 100, 160, 1).await, [claimed("b", 2, 160)]);
    let rest = store.claim_outbox(Time(150), Time(300), 9).await.unwrap();
    assert_eq!(bare(&rest), [claimed("c", 1, 300), claimed("a", 3, 300)]);
    delete(store, &rest).await;
    delete(store, &rest).await;
    delete(store, &[]).await;
    assert_eq!(claim(store, 1_000, 2_000, 9).await, [claimed("b", 2, 2_000)]);
}

pub(crate) async fn of_commands_committed_together_only_those_go_that_were_taken(
    store: &dyn Store,
) {
    // More than a store may keep in one row.
    let ids: Vec<String> = (0..2_500).map(|number| format!("c{number:04}")).collect();
    let rows = ids.iter().map(|id| command(id, 4, 50)).collect();
    let written = write_rows(store, Rows { outbox: rows, ..Rows::default() }).await.unwrap();
    assert_eq!(written.outbox.len(), ids.len());
    let is_taken = |row: &&OutboxRow| !row.id.as_str().ends_with('7');
    let taken: Vec<OutboxRow> = written.outbox.iter().filter(is_taken).cloned().collect();
    delete(store, &taken).await;
    let mut left = claim_all(store, 100, 200).await;
    left.sort_by(|one, other| one.id.cmp(&other.id));
    let whole = |id: &String| OutboxRow { claimed_until: Time(200), ..command(id, 4, 0) };
    let expected: Vec<_> = ids.iter().filter(|id| id.ends_with('7')).map(whole).collect();
    assert_eq!(bare(&left), expected);
    let depth = async || store.outlook(Time(300)).await.unwrap().outbox_depth;
    assert_eq!(depth().await, 250);
    delete(store, &left[1..]).await;
    assert_eq!(depth().await, 1);
    // Where the rest is kept has changed meanwhile: what was taken stays taken.
    assert_eq!(claim(store, 300, 400, 9).await.len(), 1);
    delete(store, &left[1..]).await;
    assert_eq!(depth().await, 1);
}

pub(crate) async fn two_claimers_never_get_the_same_command(store: &dyn Store) {
    let rows = (0..200).map(|number| command(&format!("c{number}"), number, 0)).collect();
    write(store, rows).await;
    let claims = (0..8).map(|_| async {
        let mut mine = Vec::new();
        for _ in 0..5 {
            mine.extend(store.claim_outbox(Time(1), Time(100), 7).await.unwrap());
        }
        mine
    });
    let all: Vec<OutboxRow> = join_all(claims).await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = all.iter().map(|row| row.id.clone()).collect();
    assert_eq!(all.len(), distinct.len());
    let rest = claim_all(store, 1, 100).await;
    assert_eq!(all.len() + rest.len(), 200);
}

pub(crate) async fn work_is_claimed_by_one_until_it_runs_out_or_is_given_up(store: &dyn Store) {
    let claim =
        async |by, now, until| store.claim_work("walk", by, Time(now), Time(until)).await.unwrap();
    assert!(claim("a", 0, 100).await);
    assert!(!claim("b", 50, 150).await);
    assert!(claim("a", 60, 160).await, "one's own is renewed");
    assert!(!claim("b", 159, 300).await);
    assert!(claim("b", 160, 300).await, "it has run out");
    assert!(!claim("a", 161, 400).await);
    assert!(claim("b", 170, 170).await, "and is given up");
    assert!(claim("a", 170, 400).await);
    let other = store.claim_work("another", "b", Time(171), Time(400)).await.unwrap();
    assert!(other, "each work is claimed by itself");
}

pub(crate) async fn of_many_claimants_one_gets_the_work(store: &dyn Store) {
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let claims = names.iter().map(|name| store.claim_work("walk", name, Time(1), Time(100)));
    let won: Vec<bool> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
}

pub(crate) async fn due_homes_come_earliest_first(store: &dyn Store) {
    let due = |key, at: Option<i64>| {
        let mut one = aggregate(key, &[]);
        one.state.summary.next_due = at.map(Time);
        one
    };
    let alone = provisional("fca_1");
    let mut not_void = due(alone.clone(), Some(15));
    not_void.accounts.insert("fca_1".into(), account(1));
    let all = [
        due(home("fcauth_1"), Some(30)),
        due(home("fcauth_2"), Some(10)),
        due(home("fcauth_3"), None),
        due(home("fcauth_4"), Some(31)),
        not_void,
    ];
    put(store, &all).await.unwrap();
    let at = |now, most| async move {
        let homes = store.due_homes(Time(now), most).await.unwrap();
        homes.into_iter().map(|due| (due.home, due.due.0)).collect::<Vec<_>>()
    };
    assert_eq!(at(9, 9).await, []);
    assert_eq!(at(30, 9).await, [(home("fcauth_2"), 10), (alone, 15), (home("fcauth_1"), 30)]);
    assert_eq!(at(30, 1).await, [(home("fcauth_2"), 10)]);
    put(store, &[due(home("fcauth_2"), None)]).await.unwrap();
    assert_eq!(at(14, 9).await, []);
}
