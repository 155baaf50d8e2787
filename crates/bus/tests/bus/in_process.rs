//! The bus of a single process: who is answered what, and when.

use std::time::Duration;

use crate::stand::{Lot, event, ids, lifecycle, message, stand};
use relink_bus::port::{
    ParkReason, Parking, PublishError, Publisher as _, Settlement, SubscribeError, Subscriber as _,
};
use relink_bus::topology::{Exchange, RETRY_LADDER, UNKNOWN_TYPE_KEY, WorkQueue};
use tokio::time::{Instant, timeout};

fn retry() -> Settlement {
    Settlement::Retry(Parking::new(ParkReason::Refused, "rate limited"))
}

#[tokio::test(start_paused = true)]
async fn a_publish_resolves_only_after_its_message_was_accepted() {
    let stand = lifecycle();
    let answer = stand.send(event("evt_1")).await;
    let batch = stand.next().await;
    assert_eq!(ids(&batch), ["evt_1"]);
    assert!(!batch[0].redelivered);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(!answer.is_finished(), "given out is not accepted");
    stand.settle(&batch[0], Settlement::Accept).await;
    assert_eq!(answer.await.unwrap(), Ok(()));
    // A second settlement of the same receipt settles nothing.
    stand.settle(&batch[0], Settlement::HandBack).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_handed_back_is_an_error_to_its_publisher() {
    let stand = lifecycle();
    let answer = stand.send(event("evt_1")).await;
    let batch = stand.next().await;
    stand.settle(&batch[0], Settlement::HandBack).await;
    assert_eq!(answer.await.unwrap(), Err(PublishError::Away));
    assert!(stand.lot.parked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_is_kept_before_its_publisher_is_told() {
    let stand = lifecycle();
    let answer = stand.send(event("evt_1")).await;
    let batch = stand.next().await;
    let parking = Parking::new(ParkReason::Unparsable, "not JSON");
    stand.settle(&batch[0], Settlement::Park(parking.clone())).await;
    assert_eq!(answer.await.unwrap(), Ok(()));
    let parked = stand.lot.parked.lock().unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].parking, parking);
    assert_eq!(parked[0].queue, "relink.lifecycle");
    assert_eq!(parked[0].delivery, batch[0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_parked_stays_with_its_publisher() {
    let stand = stand(WorkQueue::Lifecycle, Lot { full: true, ..Lot::default() }, 1.0);
    let answer = stand.send(event("evt_1")).await;
    let batch = stand.next().await;
    let parking = Parking::new(ParkReason::Unparsable, "not JSON");
    stand.settle(&batch[0], Settlement::Park(parking)).await;
    assert_eq!(answer.await.unwrap(), Err(PublishError::Refused));
}

#[tokio::test(start_paused = true)]
async fn the_ladder_counts_attempts_waits_its_rungs_and_parks_at_its_end() {
    let stand = lifecycle();
    let answer = stand.send(event("evt_1")).await;
    let start = Instant::now();
    let mut waited = Duration::ZERO;
    for (attempt, (_, wait)) in RETRY_LADDER.iter().enumerate() {
        let batch = stand.next().await;
        assert_eq!(batch[0].headers.attempts as usize, attempt);
        assert_eq!(batch[0].redelivered, attempt > 0);
        assert_eq!(start.elapsed().as_secs(), waited.as_secs());
        stand.settle(&batch[0], retry()).await;
        waited += *wait;
        assert!(!answer.is_finished());
    }
    let batch = stand.next().await;
    assert_eq!(start.elapsed().as_secs(), waited.as_secs());
    stand.settle(&batch[0], retry()).await;
    assert_eq!(answer.await.unwrap(), Ok(()));
    let parked = stand.lot.parked.lock().unwrap();
    assert_eq!(parked[0].parking.reason, ParkReason::RetriesExhausted);
    assert_eq!(parked[0].parking.error, "rate limited", "the last error is told");
    assert_eq!(parked[0].first_failed_at_unix_ms, 0);
    let millis = i64::try_from(waited.as_millis()).unwrap();
    assert!((millis..millis + 100).contains(&parked[0].last_failed_at_unix_ms));
}

#[tokio::test(start_paused = true)]
async fn a_faster_pace_shortens_the_rungs() {
    let stand = stand(WorkQueue::Lifecycle, Lot::default(), 0.01);
    let _answer = stand.send(event("evt_1")).await;
    let start = Instant::now();
    let batch = stand.next().await;
    stand.settle(&batch[0], retry()).await;
    stand.next().await;
    assert!(start.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_hold_up_its_neighbours() {
    let stand = lifecycle();
    let slow = stand.send(event("evt_slow")).await;
    let batch = stand.next().await;
    stand.settle(&batch[0], retry()).await;
    let quick = stand.send(event("evt_quick")).await;
    let batch = stand.next().await;
    assert_eq!(ids(&batch), ["evt_quick"]);
    stand.settle(&batch[0], Settlement::Accept).await;
    assert_eq!(quick.await.unwrap(), Ok(()));
    assert!(!slow.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_type_that_nobody_bound_goes_where_its_second_address_says() {
    let stand = lifecycle();
    let mut unknown =
        message(Exchange::Events, "financial_connections.account.brand_new", "e", true);
    assert_eq!(stand.bus.publish(unknown.clone()).await, Err(PublishError::Unroutable));
    unknown.also_to = Some(UNKNOWN_TYPE_KEY);
    assert!(stand.bus.routes(&unknown));
    let answer = stand.send(unknown).await;
    let batch = stand.next().await;
    assert_eq!(&*batch[0].routing_key, "financial_connections.account.brand_new");
    stand.settle(&batch[0], Settlement::Accept).await;
    assert_eq!(answer.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_nobody_takes_is_no_error_and_an_event_is() {
    let stand = stand(WorkQueue::Followup, Lot::default(), 1.0);
    let command = |mandatory| message(Exchange::Commands, "relink.pause_data.v1", "c", mandatory);
    assert_eq!(stand.bus.publish(command(false)).await, Ok(()));
    assert_eq!(stand.bus.publish(command(true)).await, Ok(()));
    // The same key on the other exchange is another address.
    let verify = message(Exchange::Events, "relink.verify_accounts.v1", "c", true);
    assert_eq!(stand.bus.publish(verify).await, Err(PublishError::Unroutable));
    // A queue that this process does not consume takes nothing.
    assert_eq!(stand.bus.publish(event("e")).await, Err(PublishError::Unroutable));
}

#[tokio::test(start_paused = true)]
async fn closing_hands_everything_back_but_what_was_given_out() {
    let stand = lifecycle();
    let given_out = stand.send(event("evt_given_out")).await;
    let retried = stand.send(event("evt_retried")).await;
    let batch = stand.next().await;
    stand.settle(&batch[1], retry()).await;
    let waiting = stand.send(event("evt_waiting")).await;
    let start = Instant::now();
    stand.subscriber.close().await;
    assert_eq!(waiting.await.unwrap(), Err(PublishError::Away));
    assert_eq!(retried.await.unwrap(), Err(PublishError::Away));
    assert_eq!(start.elapsed(), Duration::ZERO, "a rung is not waited for");
    let none = stand.subscriber.next_batch(1, Duration::ZERO).await;
    assert_eq!(none, Err(SubscribeError::Closed));
    assert_eq!(stand.bus.publish(event("evt_late")).await, Err(PublishError::Away));
    stand.settle(&batch[0], Settlement::Accept).await;
    assert_eq!(given_out.await.unwrap(), Ok(()), "what was in hand can still be settled");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_a_batch_that_waits() {
    let stand = lifecycle();
    let subscriber = stand.subscriber.clone();
    let waiting = tokio::spawn(async move { subscriber.next_batch(9, Duration::ZERO).await });
    tokio::task::yield_now().await;
    stand.subscriber.close().await;
    assert_eq!(waiting.await.unwrap(), Err(SubscribeError::Closed));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_subscriber_answers_all_who_wait() {
    let stand = lifecycle();
    let given_out = stand.send(event("evt_1")).await;
    stand.next().await;
    drop(stand.subscriber);
    assert_eq!(given_out.await.unwrap(), Err(PublishError::Away));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_loses_nothing() {
    let stand = lifecycle();
    // Cancelled before anything came.
    let nothing = stand.subscriber.next_batch(9, Duration::from_secs(60));
    assert!(timeout(Duration::from_secs(1), nothing).await.is_err());
    // Cancelled while the batch fills.
    let _first = stand.send(event("evt_1")).await;
    let filling = stand.subscriber.next_batch(9, Duration::from_secs(60));
    assert!(timeout(Duration::from_secs(1), filling).await.is_err());
    let _second = stand.send(event("evt_2")).await;
    let batch = stand.next().await;
    assert_eq!(ids(&batch), ["evt_1", "evt_2"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_filling_when_it_was_cancelled_is_handed_back_on_closing() {
    let stand = lifecycle();
    let answer = stand.send(event("evt_1")).await;
    let filling = stand.subscriber.next_batch(9, Duration::from_secs(60));
    assert!(timeout(Duration::from_secs(1), filling).await.is_err());
    stand.subscriber.close().await;
    assert_eq!(answer.await.unwrap(), Err(PublishError::Away));
}

#[tokio::test(start_paused = true)]
async fn a_batch_lingers_for_more_and_is_never_longer_than_asked() {
    let stand = lifecycle();
    let mut answers = vec![stand.send(event("evt_1")).await];
    let subscriber = stand.subscriber.clone();
    let linger = Duration::from_millis(5);
    let filling = tokio::spawn(async move { subscriber.next_batch(3, linger).await });
    tokio::time::sleep(Duration::from_millis(2)).await;
    answers.push(stand.send(event("evt_2")).await);
    let batch = filling.await.unwrap().unwrap();
    assert_eq!(ids(&batch), ["evt_1", "evt_2"]);
    for number in 3..9 {
        answers.push(stand.send(event(&format!("evt_{number}"))).await);
    }
    let start = Instant::now();
    let full = stand.subscriber.next_batch(3, Duration::from_secs(60)).await.unwrap();
    assert_eq!(ids(&full), ["evt_3", "evt_4", "evt_5"]);
    assert_eq!(start.elapsed(), Duration::ZERO, "a full batch does not linger");
}

#[tokio::test(start_paused = true)]
async fn pausing_hands_back_what_was_not_given_out_and_the_next_batch_resumes() {
    let stand = lifecycle();
    let waiting = stand.send(event("evt_1")).await;
    stand.subscriber.pause().await;
    assert!(!stand.subscriber.is_ready());
    assert_eq!(waiting.await.unwrap(), Err(PublishError::Away));
    let _again = stand.send(event("evt_1")).await;
    assert_eq!(ids(&stand.next().await), ["evt_1"]);
    assert!(stand.subscriber.is_ready());
}

#[tokio::test(start_paused = true)]
async fn many_publishes_are_answered_in_their_order() {
    let stand = lifecycle();
    let bus = stand.bus.clone();
    let messages = vec![
        event("evt_accept"),
        message(Exchange::Events, "nobody", "evt_unroutable", true),
        event("evt_back"),
        message(Exchange::Commands, "relink.pause_data.v1", "c", false),
        event("evt_park"),
    ];
    let answers = tokio::spawn(async move { bus.publish_all(messages).await });
    let linger = Duration::from_millis(1);
    let mut batch = stand.subscriber.next_batch(3, linger).await.unwrap();
    // Settled the other way round.
    batch.sort_by(|a, b| b.id.cmp(&a.id));
    for delivery in &batch {
        let settlement = match delivery.id.as_deref().unwrap() {
            "evt_accept" => Settlement::Accept,
            "evt_back" => Settlement::HandBack,
            _ => Settlement::Park(Parking::new(ParkReason::NoId, "no id")),
        };
        stand.settle(delivery, settlement).await;
    }
    let (unroutable, away) = (PublishError::Unroutable, PublishError::Away);
    assert_eq!(answers.await.unwrap(), [Ok(()), Err(unroutable), Err(away), Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_publishers_wait_and_loses_nothing() {
    let stand = lifecycle();
    let bus = stand.bus.clone();
    let messages = (0..5000).map(|number| event(&format!("evt_{number}"))).collect();
    let answers = tokio::spawn(async move { bus.publish_all(messages).await });
    let mut accepted = 0;
    while accepted < 5000 {
        let batch = stand.subscriber.next_batch(256, Duration::ZERO).await.unwrap();
        assert!((1..=256).contains(&batch.len()));
        accepted += batch.len();
        let settlements = batch.iter().map(|one| (one.receipt, Settlement::Accept)).collect();
        stand.subscriber.settle(settlements).await;
    }
    assert!(answers.await.unwrap().iter().all(Result::is_ok));
}
