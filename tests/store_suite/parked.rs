//! Messages that were set aside, and the ledger counted by day.

use std::sync::Arc;

use bytes::Bytes;
use relink_bus::message::{Delivery, Headers, Receipt};
use relink_bus::port::{ParkReason, Parked, Parking};
use relink_bus::topology::WorkQueue;
use relink_core::input::{Ignored, Verdict};
use relink_core::time::Second;
use relink_engine::store::{ParkedCount, Store, Tally};

use super::world::*;

const LIFECYCLE: WorkQueue = WorkQueue::Lifecycle;

pub(crate) fn parked(id: Option<Arc<str>>) -> Parked {
    let headers = Headers {
        livemode: Some(true),
        stripe_account: Some("acct_1".into()),
        attempts: u32::MAX,
        ..Headers::default()
    };
    let delivery = Delivery {
        receipt: Receipt { generation: 0, tag: 0 },
        id,
        kind: Some("t".into()),
        routing_key: "a.b".into(),
        timestamp_unix_s: Some(NOW_S),
        correlation: None,
        headers,
        redelivered: true,
        body: Bytes::from_static(b"\x00\xff not even text"),
    };
    Parked {
        queue: "relink.lifecycle",
        delivery,
        parking: Parking::new(ParkReason::Unparsable, "no JSON"),
        first_failed_at_unix_ms: 1,
        last_failed_at_unix_ms: 2,
    }
}

pub(crate) async fn a_message_is_parked(store: &dyn Store) {
    store.park(parked(Some("evt_1".into()))).await.unwrap();
    store.park(parked(Some("evt_1".into()))).await.unwrap();
    assert_eq!(store.census().await.unwrap().parked, 2);
}

pub(crate) async fn parked_messages_come_back_as_they_were(store: &dyn Store) {
    let headers = Headers {
        livemode: Some(false),
        stripe_account: Some("acct_1".into()),
        api_version: Some("2026-09-30.preview".into()),
        received_at_unix_ms: Some(-5),
        traceparent: Some("00-1-2-01".into()),
        attempts: 3,
        first_failed_at_unix_ms: Some(7),
        requeues: 2,
    };
    let mut full = parked(Some("evt_1".into()));
    full.delivery.headers = headers;
    full.delivery.correlation = Some("cor".into());
    let mut bare = parked(None);
    bare.delivery.kind = None;
    bare.delivery.timestamp_unix_s = None;
    bare.delivery.body = Bytes::new();
    for one in [&full, &bare] {
        store.park(one.clone()).await.unwrap();
    }
    let rows = store.parked(LIFECYCLE, false, 0, 9).await.unwrap();
    assert_eq!(rows.len(), 2);
    for (row, kept) in rows.iter().zip([&full, &bare]) {
        let message = &row.message;
        assert_eq!(message.delivery, kept.delivery);
        assert_eq!((message.queue, &*message.reason), (LIFECYCLE, "unparsable"));
        assert_eq!(&*message.error, "no JSON");
        assert_eq!(
            (message.first_failed_at_unix_ms, message.parked_at_unix_ms),
            (Some(1), Some(2))
        );
    }
    assert_eq!((rows[0].message.times(), &*rows[0].message.id), (3, &*rows[0].seq.to_string()));
    assert_eq!(store.parked(LIFECYCLE, false, 0, 1).await.unwrap(), rows[..1]);
    assert_eq!(store.parked(LIFECYCLE, false, rows[0].seq, 9).await.unwrap(), rows[1..]);
    assert_eq!(store.parked(WorkQueue::Upcoming, false, 0, 9).await.unwrap(), []);
}

pub(crate) async fn what_is_to_be_put_back_stands_apart(store: &dyn Store) {
    assert_eq!(store.parked_counts().await.unwrap(), []);
    for id in ["evt_1", "evt_2", "evt_3"] {
        store.park(parked(Some(id.into()))).await.unwrap();
    }
    let other = Parked { queue: WorkQueue::Upcoming.name(), ..parked(None) };
    store.park(other).await.unwrap();
    let seqs: Vec<i64> = {
        let rows = store.parked(LIFECYCLE, false, 0, 9).await.unwrap();
        rows.iter().map(|row| row.seq).collect()
    };
    assert!(store.mark_parked(seqs[0], NOW).await.unwrap());
    assert!(!store.mark_parked(seqs[0], NOW).await.unwrap());
    assert!(!store.mark_parked(i64::MAX, NOW).await.unwrap());
    let marked = store.parked(LIFECYCLE, true, 0, 9).await.unwrap();
    assert_eq!(marked.iter().map(|row| row.seq).collect::<Vec<_>>(), seqs[..1]);
    let left = store.parked(LIFECYCLE, false, 0, 9).await.unwrap();
    assert_eq!(left.iter().map(|row| row.seq).collect::<Vec<_>>(), seqs[1..]);
    let mut counts = store.parked_counts().await.unwrap();
    let count = |queue, is_marked, count, newest| ParkedCount { queue, is_marked, count, newest };
    let newest = counts.iter().map(|one| one.newest).max().unwrap();
    counts.sort_by_key(|one| (one.queue, one.is_marked));
    let expected = [
        count(LIFECYCLE, false, 2, seqs[2]),
        count(LIFECYCLE, true, 1, seqs[0]),
        count(WorkQueue::Upcoming, false, 1, newest),
    ];
    assert_eq!(counts, expected);
    assert_eq!(store.census().await.unwrap().parked, 3);
    assert!(store.unpark(seqs[0]).await.unwrap());
    assert!(!store.unpark(seqs[0]).await.unwrap());
    assert_eq!(store.parked(LIFECYCLE, true, 0, 9).await.unwrap(), []);
    assert_eq!(store.census().await.unwrap().parked, 3);
}

pub(crate) async fn the_ledger_is_counted_by_day(store: &dyn Store) {
    const DAY_S: i64 = 86_400;
    let row = |id: &str, days_ago: i64, verdict| {
        let mut row = inbox_row(&ignored(id), verdict);
        row.at = Second(NOW_S - days_ago * DAY_S);
        row.kind = "financial_connections.account.created".into();
        row
    };
    let mut own = row("obs:1", 0, Verdict::Applied);
    own.kind = "relink.observed.account".into();
    let dropped = Verdict::Ignored(Ignored::Dropped);
    let inbox = vec![
        row("evt_1", 0, Verdict::Applied),
        row("evt_2", 0, Verdict::Applied),
        row("evt_3", 0, dropped),
        row("evt_4", 1, Verdict::Stale),
        row("evt_5", 2, Verdict::Applied),
        own,
    ];
    write_rows(store, Rows { inbox, ..Rows::default() }).await.unwrap();
    let today = NOW_S.div_euclid(DAY_S);
    let tally = |day, is_event, verdict: Verdict, count| Tally {
        day,
        is_event,
        verdict: verdict.as_str().into(),
        count,
    };
    let found = store.tally(Second(NOW_S - DAY_S), Second(NOW_S)).await.unwrap();
    let expected = [
        tally(today - 1, true, Verdict::Stale, 1),
        tally(today, false, Verdict::Applied, 1),
        tally(today, true, Verdict::Applied, 2),
        tally(today, true, dropped, 1),
    ];
    assert_eq!(found, expected);
    assert_eq!(store.tally(Second(0), Second(DAY_S)).await.unwrap(), []);
}
