//! Days: odd ones, coming ones, and those whose time is over.

use relink_core::input::{Input, Verdict};
use relink_core::time::{Second, Time};
use relink_engine::store::Store;

use super::world::*;

const DAY_S: i64 = 86_400;

fn filed(id: &str, at: i64) -> Input {
    Input { at: Second(at), ..ignored(id) }
}

async fn file(store: &dyn Store, inputs: &[Input]) {
    let inbox = inputs.iter().map(|input| inbox_row(input, Verdict::Applied)).collect();
    let history = inputs
        .iter()
        .map(|input| relink_engine::store::HistoryRow {
            home: home("fcauth_1"),
            account: None,
            input: input.id.clone(),
            kind: input.kind.clone(),
            at: input.at,
            decided_at: NOW,
            verdict: "applied".into(),
            note: String::new(),
            commands: Vec::new(),
        })
        .collect();
    write_rows(store, Rows { inbox, history, ..Rows::default() }).await.unwrap();
}

pub(crate) async fn any_date_is_filed(store: &dyn Store) {
    let dates = [0, -1, NOW_S, 4_102_444_800, i64::MIN, i64::MAX];
    let inputs: Vec<_> =
        dates.iter().enumerate().map(|(index, at)| filed(&format!("evt_{index}"), *at)).collect();
    file(store, &inputs).await;
    assert!(gather_all(store, &inputs).await.1.iter().all(|seen| *seen));
    assert_eq!(store.history(&home("fcauth_1"), None, 99).await.unwrap().len(), dates.len());
    store.maintain(NOW, 35).await.unwrap();
    store.maintain(Time(NOW.0 + 20 * DAY_S * 1000), 35).await.unwrap();
    let seen = gather_all(store, &inputs).await.1;
    assert_eq!(seen, [false, false, true, true, false, true]);
}

pub(crate) async fn what_is_old_is_dropped_and_the_rest_is_kept(store: &dyn Store) {
    store.maintain(NOW, 50).await.unwrap();
    let ages = [0, 1, 34, 35, 36, 40, 49];
    let inputs: Vec<_> =
        ages.iter().map(|age| filed(&format!("evt_{age}"), NOW_S - age * DAY_S)).collect();
    file(store, &inputs).await;
    store.maintain(NOW, 50).await.unwrap();
    assert!(gather_all(store, &inputs).await.1.iter().all(|seen| *seen));
    store.maintain(NOW, 35).await.unwrap();
    let seen = gather_all(store, &inputs).await.1;
    assert_eq!(seen, [true, true, true, true, false, false, false]);
    assert_eq!(store.inbox_row("evt_36").await.unwrap(), None);
    assert_eq!(store.history(&home("fcauth_1"), None, 99).await.unwrap().len(), 4);
}
