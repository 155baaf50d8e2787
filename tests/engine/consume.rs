//! The consume loop when all is well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use relink_bus::port::{PublishError, Publisher as _, Subscriber as _};
use relink_engine::consume::Order;
use serde_json::json;
use tokio::time::Instant;

use crate::bodies::{CREATED_S, account, deactivated, event, message};
use crate::faults::Mood;
use crate::stand::{QUEUE, Stand, settle_down};
use relink_engine::store::Store as _;

#[tokio::test(start_paused = true)]
async fn a_duplicate_takes_effect_once_within_a_batch_and_across_batches() {
    let stand = Stand::new();
    let answers = stand.run(vec![deactivated("1"), deactivated("1"), deactivated("1")]).await;
    assert_eq!(answers, [Ok(()); 3]);
    assert_eq!(stand.run(vec![deactivated("1")]).await, [Ok(())]);
    assert_eq!(stand.counted("applied"), 1);
    assert_eq!(stand.counted("duplicate"), 3);
    assert_eq!(stand.wire.names(), ["pause_data", "prompt_relink"]);
    assert_eq!(stand.verdict("evt_1").await, Some("applied"));
    assert_eq!(stand.outbox_depth().await, 0);
    let found = stand.store.find("fca_1").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].accounts.values().next().unwrap().version, 1);
}

#[tokio::test(start_paused = true)]
async fn a_case_that_changes_often_within_one_batch_is_kept_as_it_ends() {
    let stand = Stand::new();
    let seen = |id: &str, stem: &str, at: i64, status: &str| {
        message(&event(id, stem, CREATED_S + at, &account("fca_1", "fcauth_1", status)))
    };
    let batch = vec![
        seen("evt_1", "account.deactivated", 0, "inactive"),
        seen("evt_2", "account.reactivated", 60, "active"),
        seen("evt_3", "account.deactivated", 120, "inactive"),
        seen("evt_4", "account.reactivated", 180, "active"),
    ];
    stand.run(batch).await;
    let home = stand.store.find("fcauth_1").await.unwrap().remove(0);
    assert_eq!(home.state.cases, 2);
    let cases = stand.store.cases(&home.key, 9).await.unwrap();
    assert_eq!(cases.len(), 2);
    assert!(cases.iter().all(|case| case.closed.is_some()));
    let ids = stand.wire.ids();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "no command twice: {ids:?}");
    let history = stand.store.history(&home.key, None, 99).await.unwrap();
    let told: std::collections::BTreeSet<_> =
        history.iter().flat_map(|row| &row.commands).map(|id| id.as_str().to_owned()).collect();
    assert_eq!(told, ids.iter().cloned().collect(), "history names every command");
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_the_batch_in_hand_and_hands_back_the_rest() {
    let stand = Stand::new();
    let batch = stand.send((0..600).map(|n| deactivated(&format!("b{n}"))).collect()).await;
    let working = stand.consume(Order::PublishFirst);
    // The first batch is on its way, the rest has not been given out.
    while stand.store.transacts.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    working.end().await;
    let answers = batch.await.unwrap();
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((256..=600).contains(&done), "{done}");
    for (number, answer) in answers.iter().enumerate() {
        let known = stand.verdict(&format!("evt_b{number}")).await;
        assert_eq!(answer.is_ok(), known.is_some(), "what was answered is what was committed");
    }
    assert!(stand.parked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_does_not_wait_for_the_receiver_of_commands() {
    let stand = Stand::new();
    stand.wire.set(Mood::Hanging);
    let _working = stand.consume(Order::AcknowledgeFirst);
    // Far more batches than may be settling, or even sending, at once.
    for number in 0..100 {
        let answers = stand.bus.publish(deactivated(&format!("{number}"))).await;
        assert_eq!(answers, Ok(()));
    }
    assert_eq!(stand.outbox_depth().await, 200, "all of it stays for the relay");
}

#[tokio::test(start_paused = true)]
async fn with_a_broker_nothing_is_acknowledged_before_its_commands_are_out() {
    let stand = Stand::new();
    stand.wire.set(Mood::Hanging);
    let answers = stand.send(vec![deactivated("1")]).await;
    let _working = stand.consume(Order::PublishFirst);
    settle_down().await;
    assert_eq!(stand.verdict("evt_1").await, Some("applied"), "committed");
    assert!(!answers.is_finished(), "and not acknowledged");
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_reaches_the_ledger_with_its_verdict() {
    let stand = Stand::new();
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "created": "2026-11-02T01:00:00.000Z",
        "livemode": true,
        "type": "v1.financial_connections.account.balance_refresh_failed",
        "related_object": {"id": "fca_1", "type": "financial_connections.account"},
    });
    let new = event("evt_new", "account.brand_new", CREATED_S, &json!({"id": "fca_1"}));
    let session = json!({
        "id": "fcsess_1", "object": "financial_connections.session", "status": "succeeded",
    });
    let session = event("evt_session", "session.updated", CREATED_S, &session);
    let answers = stand.run([thin, new, session].iter().map(message).collect()).await;
    assert_eq!(answers, [Ok(()); 3]);
    assert_eq!(stand.verdict("evt_thin").await, Some("ignored(refresh_outcome)"));
    assert_eq!(stand.verdict("evt_new").await, Some("ignored(unknown_type)"));
    assert_eq!(stand.verdict("evt_session").await, Some("ignored(not_a_relink)"));
    assert_eq!(stand.engine.metrics.deliveries.with_label_values(&[QUEUE]).get(), 3);
}

#[tokio::test(start_paused = true)]
async fn once_a_queue_is_busy_a_batch_waits_for_more_where_it_may() {
    let ms = Duration::from_millis;
    for (linger_max, transacts) in [(ms(20), 2), (ms(0), 3)] {
        let stand = Stand { linger_max, ..Stand::new() };
        *stand.store.takes.lock().unwrap() = ms(8);
        let busy = stand.send((0..9).map(|n| deactivated(&format!("b{n}"))).collect()).await;
        let working = stand.consume(Order::PublishFirst);
        assert_eq!(busy.await.unwrap(), [Ok(()); 9]);
        // The next one may fill as long as nine took: eight milliseconds.
        let one = stand.send(vec![deactivated("1")]).await;
        tokio::time::sleep(ms(4)).await;
        let other = stand.send(vec![deactivated("2")]).await;
        assert_eq!((one.await.unwrap(), other.await.unwrap()), (vec![Ok(())], vec![Ok(())]));
        assert_eq!(stand.store.transacts.load(Ordering::SeqCst), transacts, "{linger_max:?}");
        working.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_begins_beside_the_one_before_where_it_may() {
    let ms = Duration::from_millis;
    for (at_once, transacts, took) in [(1, 2, ms(20)), (3, 3, ms(12))] {
        let stand = Stand { at_once, ..Stand::new() };
        *stand.store.takes.lock().unwrap() = ms(10);
        let working = stand.consume(Order::AcknowledgeFirst);
        let began = Instant::now();
        let mut sent = Vec::new();
        for id in ["1", "2", "3"] {
            sent.push(stand.send(vec![deactivated(id)]).await);
            tokio::time::sleep(ms(1)).await;
        }
        for one in sent {
            assert_eq!(one.await.unwrap(), [Ok(())]);
        }
        assert_eq!(stand.store.transacts.load(Ordering::SeqCst), transacts, "{at_once}");
        assert!(began.elapsed() < took + ms(5), "{at_once}: {:?}", began.elapsed());
        working.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_finished_although_the_one_beside_it_finds_the_database_away() {
    let stand = Stand { at_once: 2, ..Stand::new() };
    *stand.store.takes.lock().unwrap() = Duration::from_millis(10);
    let working = stand.consume(Order::AcknowledgeFirst);
    let one = stand.send(vec![deactivated("1")]).await;
    stand.store.transacts_to_fail.store(1, Ordering::SeqCst);
    stand.store.probes_to_fail.store(5, Ordering::SeqCst);
    let other = stand.send(vec![deactivated("2")]).await;
    assert_eq!(other.await.unwrap(), [Err(PublishError::Away)]);
    assert_eq!(one.await.unwrap(), [Ok(())]);
    assert!(!stand.subscriber.is_ready(), "nobody has waited for the database to be back");
    let again = stand.send(vec![deactivated("2")]).await;
    assert_eq!(again.await.unwrap(), [Ok(())]);
    assert!(stand.subscriber.is_ready());
    working.end().await;
}
