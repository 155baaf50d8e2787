//! The database is away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use relink_bus::port::{PublishError, Subscriber as _};
use relink_engine::consume::Order;
use tokio::time::Instant;

use crate::bodies::deactivated;
use crate::stand::{QUEUE, Stand, settle_down};

#[tokio::test(start_paused = true)]
async fn everything_is_handed_back_nothing_is_parked_and_consuming_resumes() {
    let stand = Stand::new();
    stand.store.transacts_to_fail.store(1, Ordering::SeqCst);
    stand.store.probes_to_fail.store(6, Ordering::SeqCst);
    let answers = stand.send((0..600).map(|n| deactivated(&format!("{n}"))).collect()).await;
    let working = stand.consume(Order::PublishFirst);
    let away = PublishError::Away;
    assert_eq!(answers.await.unwrap(), vec![Err(away); 600], "given out or not");
    assert!(!stand.subscriber.is_ready(), "it does not consume while the database is away");
    let metrics = &stand.engine.metrics;
    assert_eq!(metrics.paused.with_label_values(&[QUEUE]).get(), 1);
    assert_eq!(metrics.handed_back.with_label_values(&[QUEUE]).get(), 512);
    assert!(stand.parked().is_empty());

    // What comes meanwhile waits, and is applied at the first attempt once the database is back.
    let start = Instant::now();
    let later = stand.send(vec![deactivated("1")]).await;
    assert_eq!(later.await.unwrap(), [Ok(())]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(stand.subscriber.is_ready());
    assert_eq!(metrics.paused.with_label_values(&[QUEUE]).get(), 0);
    assert_eq!(stand.store.transacts.load(Ordering::SeqCst), 2, "never asked while away");
    assert_eq!(metrics.redelivered.with_label_values(&[QUEUE]).get(), 0, "no attempt was counted");
    assert_eq!(stand.verdict("evt_1").await, Some("applied"));
    working.end().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_in_halves_one_is_applied_though_the_other_meets_an_outage() {
    let stand = Stand { halves_from: 2, ..Stand::new() };
    stand.store.transacts_to_fail.store(1, Ordering::SeqCst);
    let answers = stand.send((0..50).map(|n| deactivated(&format!("{n}"))).collect()).await;
    let working = stand.consume(Order::PublishFirst);
    let answers = answers.await.unwrap();
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((1..50).contains(&taken), "{taken} of 50");
    let metrics = &stand.engine.metrics;
    let handed_back = metrics.handed_back.with_label_values(&[QUEUE]).get();
    assert_eq!(usize::try_from(handed_back).unwrap(), 50 - taken);
    for (number, answer) in answers.iter().enumerate() {
        let verdict = stand.verdict(&format!("evt_{number}")).await;
        assert_eq!(verdict, answer.is_ok().then_some("applied"), "evt_{number}");
    }
    let again = stand.send((0..50).map(|n| deactivated(&format!("{n}"))).collect()).await;
    assert_eq!(again.await.unwrap(), vec![Ok(()); 50]);
    assert!(stand.parked().is_empty());
    working.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_answers_probes_and_fails_batches_is_not_asked_in_a_loop() {
    let stand = Stand::new();
    stand.store.transacts_to_fail.store(usize::MAX, Ordering::SeqCst);
    let _working = stand.consume(Order::PublishFirst);
    let start = Instant::now();
    let mut batches = 0;
    while start.elapsed() < Duration::from_secs(60) {
        let answers = stand.send(vec![deactivated("1")]).await;
        assert!(answers.await.unwrap()[0].is_err());
        batches += 1;
    }
    assert!(batches < 50, "{batches} hand-backs in a minute would reach the delivery limit");
    // Once a batch has succeeded the next outage starts with a short wait again.
    stand.store.transacts_to_fail.store(0, Ordering::SeqCst);
    assert_eq!(stand.send(vec![deactivated("1")]).await.await.unwrap(), [Ok(())]);
    stand.store.transacts_to_fail.store(1, Ordering::SeqCst);
    let answers = stand.send(vec![deactivated("2")]).await;
    assert!(answers.await.unwrap()[0].is_err());
    let start = Instant::now();
    assert_eq!(stand.send(vec![deactivated("2")]).await.await.unwrap(), [Ok(())]);
    assert!(start.elapsed() <= Duration::from_millis(60), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_the_database() {
    let stand = Stand::new();
    stand.store.transacts_to_fail.store(usize::MAX, Ordering::SeqCst);
    stand.store.probes_to_fail.store(usize::MAX, Ordering::SeqCst);
    let answers = stand.send(vec![deactivated("1")]).await;
    let working = stand.consume(Order::PublishFirst);
    assert!(answers.await.unwrap()[0].is_err());
    settle_down().await;
    let start = Instant::now();
    working.end().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}
