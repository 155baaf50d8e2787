//! What the relay and the scheduler rely on.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;
use relink_core::id::{CommandId, Scope};
use relink_core::time::Time;
use relink_engine::store::{OutboxRow, Store};

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
    }
}

async fn write(store: &dyn Store, outbox: Vec<OutboxRow>) {
    write_rows(store, Rows { outbox, ..Rows::default() }).await.unwrap();
}

pub(crate) async fn commands_are_claimed_in_order_once_their_claim_has_run_out(store: &dyn Store) {
    let rows = [command("c", 1, 50), command("a", 3, 101), command("b", 2, 100)];
    write(store, rows.to_vec()).await;
    assert_eq!(store.claim_outbox(Time(49), Time(60), 9).await.unwrap(), []);
    let claimed = |id: &str, decided, until| OutboxRow {
        claimed_until: Time(until),
        ..command(id, decided, 0)
    };
    let first = store.claim_outbox(Time(50), Time(150), 9).await.unwrap();
    assert_eq!(first, [claimed("c", 1, 150)]);
    let most = store.claim_outbox(Time(100), Time(160), 1).await.unwrap();
    assert_eq!(most, [claimed("b", 2, 160)]);
    let rest = store.claim_outbox(Time(150), Time(300), 9).await.unwrap();
    assert_eq!(rest, [claimed("c", 1, 300), claimed("a", 3, 300)]);
    let done = ["c", "a", "never"].map(CommandId::from);
    store.delete_outbox(&done).await.unwrap();
    store.delete_outbox(&[]).await.unwrap();
    let left = store.claim_outbox(Time(1_000), Time(2_000), 9).await.unwrap();
    assert_eq!(left, [claimed("b", 2, 2_000)]);
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
    let rest = store.claim_outbox(Time(1), Time(100), 999).await.unwrap();
    assert_eq!(all.len() + rest.len(), 200);
}

pub(crate) async fn a_command_that_waits_is_not_written_twice(store: &dyn Store) {
    write(store, vec![command("c", 1, 10)]).await;
    write(store, vec![command("c", 2, 20)]).await;
    let waiting = store.claim_outbox(Time(100), Time(200), 9).await.unwrap();
    assert_eq!(waiting.iter().map(|row| row.decided_at).collect::<Vec<_>>(), [Time(1)]);
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
