use std::collections::BTreeSet;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use relink_bus::message::{Headers, header};
use relink_bus::port::{Publisher, Settlement, SubscribeError, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_rabbitmq::RabbitSubscriber;

use crate::support::{
    BOUND, Broker, PATIENCE, batch, deliveries, event, events, settle_all, until,
};

const QUEUE: WorkQueue = WorkQueue::Lifecycle;

fn ids(deliveries: &[relink_bus::message::Delivery]) -> Vec<usize> {
    deliveries.iter().map(|delivery| delivery.id.as_ref().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn batches_keep_the_order_and_what_is_accepted_is_gone() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    // One list after the other, each short enough for one connection: that keeps the order.
    for first in (0..1000).step_by(50) {
        let answers = publisher.publish_all(events(first..first + 50)).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        let batch = batch(&subscriber, 256).await;
        assert!(!batch.is_empty() && batch.len() <= 256);
        assert_eq!(batch[0].body, format!("{{\"id\":\"{}\"}}", seen.len()));
        seen.extend(ids(&batch));
        settle_all(&subscriber, &batch, Settlement::Accept).await;
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    drop(subscriber);
    broker.until_depth(QUEUE.name(), 0).await;
}

#[tokio::test]
async fn settling_in_any_order_settles_exactly_those() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish_all(events(0..10)).await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let all = deliveries(&subscriber, 10).await;
    let settle = async |which: &[usize]| {
        let settlements = which.iter().map(|at| (all[*at].receipt, Settlement::Accept)).collect();
        subscriber.settle(settlements).await;
    };
    settle(&[8, 3, 4]).await;
    settle(&[2, 0, 1]).await;
    settle(&[0, 8]).await;
    // 5, 6, 7 and 9 are unsettled: they come again.
    drop(subscriber);
    let again = RabbitSubscriber::new(broker.config(), QUEUE);
    let rest: BTreeSet<_> = ids(&deliveries(&again, 4).await).into_iter().collect();
    assert_eq!(rest, BTreeSet::from([5, 6, 7, 9]));
}

#[tokio::test]
async fn a_cancelled_next_batch_loses_nothing() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let publish = async {
        for chunk in 0..50 {
            publisher.publish_all(events(chunk * 10..chunk * 10 + 10)).await;
        }
    };
    let consume = async {
        let mut seen = Vec::new();
        let mut cancelled = 0;
        while seen.len() < 500 {
            let next = subscriber.next_batch(64, Duration::from_millis(3));
            let hurry = Duration::from_millis(1 + cancelled % 5);
            match tokio::time::timeout(hurry, next).await {
                Ok(batch) => {
                    let batch = batch.unwrap();
                    seen.extend(ids(&batch));
                    settle_all(&subscriber, &batch, Settlement::Accept).await;
                }
                Err(_) => cancelled += 1,
            }
        }
        assert!(cancelled > 0);
        seen
    };
    let both = tokio::time::timeout(PATIENCE, futures_util::future::join(publish, consume));
    let ((), seen) = both.await.expect("all of them");
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_does_not_wait_for_more_than_the_broker_hands_out_ahead() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish_all(events(0..20)).await;
    let mut config = broker.config();
    config.prefetch = 8;
    let subscriber = RabbitSubscriber::new(config, QUEUE);
    let given = deliveries(&subscriber, 5).await;
    let rest = subscriber.next_batch(512, PATIENCE * 10);
    let rest = tokio::time::timeout(PATIENCE, rest).await.expect("a batch").unwrap();
    assert_eq!((given.len(), rest.len()), (5, 3));
}

#[tokio::test]
async fn a_pause_hands_back_what_was_not_given_out_and_next_batch_starts_again() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish_all(events(0..100)).await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let given = deliveries(&subscriber, 10).await;
    subscriber.pause().await;
    broker.until_depth(QUEUE.name(), 90).await;
    settle_all(&subscriber, &given, Settlement::Accept).await;
    let rest = deliveries(&subscriber, 90).await;
    // Which ten were given first is left to the two connections that published them.
    let seen: BTreeSet<_> = ids(&given).into_iter().chain(ids(&rest)).collect();
    assert_eq!(seen, (0..100).collect());
}

#[tokio::test]
async fn after_close_nothing_comes_but_what_was_given_out_can_be_settled() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish_all(events(0..20)).await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let given = deliveries(&subscriber, 5).await;
    let (closed, waiting) = futures_util::future::join(subscriber.close(), async {
        loop {
            if let Err(error) = subscriber.next_batch(100, Duration::ZERO).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(((), SubscribeError::Closed), (closed, waiting));
    assert!(!subscriber.is_ready());
    settle_all(&subscriber, &given, Settlement::Accept).await;
    drop(subscriber);
    until("fewer messages", async || broker.depth(QUEUE.name()).await <= 15).await;
}

#[tokio::test]
async fn a_foreign_message_comes_through_with_what_it_has() {
    let Some(broker) = Broker::declared().await else { return };
    let mut table = FieldTable::default();
    table.insert(header::ATTEMPTS.into(), AMQPValue::Double(1.5));
    table.insert(header::TRACEPARENT.into(), AMQPValue::LongInt(1));
    let properties = BasicProperties::default().with_headers(table);
    let options = BasicPublishOptions::default();
    let channel = broker.channel().await;
    channel
        .basic_publish("".into(), QUEUE.name().into(), options, b"\xff", properties)
        .await
        .unwrap();
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let delivery = deliveries(&subscriber, 1).await.remove(0);
    assert_eq!((delivery.id, delivery.kind, delivery.correlation), (None, None, None));
    assert_eq!(delivery.headers, Headers::default());
    assert_eq!(&*delivery.routing_key, QUEUE.name());
    assert_eq!(delivery.body, &b"\xff"[..]);
}

#[tokio::test]
async fn a_queue_deleted_under_the_consumer_is_declared_again() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    publisher.publish(event(1, BOUND)).await.unwrap();
    let old = deliveries(&subscriber, 1).await;
    let channel = broker.channel().await;
    channel.queue_delete(QUEUE.name().into(), QueueDeleteOptions::default()).await.unwrap();
    let publish = async || publisher.publish(event(2, BOUND)).await.is_ok();
    let consume = batch(&subscriber, 10);
    let (new, ()) = futures_util::future::join(consume, until("a publish", publish)).await;
    assert_eq!(ids(&new), [2]);
    // A receipt of the deleted queue's channel settles nothing of the new one.
    settle_all(&subscriber, &old, Settlement::Accept).await;
    assert_ne!(old[0].receipt.generation, new[0].receipt.generation);
    settle_all(&subscriber, &new, Settlement::Accept).await;
    drop(subscriber);
    broker.until_depth(QUEUE.name(), 0).await;
}
