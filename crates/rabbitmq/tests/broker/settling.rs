use std::time::{Duration, Instant};

use relink_bus::message::{Headers, Message, header};
use relink_bus::port::{ParkReason, Parking, Publisher, Settlement};
use relink_bus::topology::WorkQueue;
use relink_rabbitmq::RabbitSubscriber;

use crate::support::{BOUND, Broker, deliveries, event, events, settle_all};

const QUEUE: WorkQueue = WorkQueue::Lifecycle;

fn parking() -> Parking {
    Parking::new(ParkReason::Unparsable, "not JSON")
}

#[tokio::test]
async fn a_retried_delivery_comes_back_after_the_first_rung_with_one_attempt() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    publisher.publish(event("evt_1", BOUND)).await.unwrap();
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let first = deliveries(&subscriber, 1).await;
    let begin = Instant::now();
    settle_all(&subscriber, &first, Settlement::Retry(parking())).await;
    let second = deliveries(&subscriber, 1).await.remove(0);
    assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
    assert_eq!(second.headers.attempts, 1);
    assert!(second.headers.first_failed_at_unix_ms.is_some());
    assert_eq!((second.id, second.kind), (first[0].id.clone(), first[0].kind.clone()));
    assert_eq!(second.body, first[0].body);
}

#[tokio::test]
async fn a_parked_delivery_lies_in_the_parked_queue_with_its_reason() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    assert!(publisher.publish_all(events(0..3)).await.iter().all(Result::is_ok));
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let batch = deliveries(&subscriber, 3).await;
    settle_all(&subscriber, &batch[1..2], Settlement::Park(parking())).await;
    let parked = broker.get(QUEUE.parked()).await;
    assert_eq!(parked.properties.message_id(), &Some("1".into()));
    let headers = parked.properties.headers().as_ref().unwrap();
    let shown = |name: &str| format!("{:?}", headers.inner().get(name));
    assert!(shown(header::PARK_REASON).contains("LongString"));
    assert_eq!(headers.inner()[header::PARK_REASON], long("unparsable"));
    assert_eq!(headers.inner()[header::PARK_ERROR], long("not JSON"));
    assert!(headers.contains_key(header::FIRST_FAILED_AT));
    assert!(headers.contains_key(header::LAST_FAILED_AT));
    settle_all(&subscriber, &[batch[0].clone(), batch[2].clone()], Settlement::Accept).await;
    drop(subscriber);
    broker.until_depth(QUEUE.name(), 0).await;
}

fn long(text: &str) -> lapin::types::AMQPValue {
    lapin::types::AMQPValue::LongString(text.into())
}

#[tokio::test]
async fn a_delivery_at_the_end_of_the_ladder_is_parked_as_exhausted() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let headers = Headers { attempts: 4, ..Headers::default() };
    publisher.publish(Message { headers, ..event(1, BOUND) }).await.unwrap();
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let batch = deliveries(&subscriber, 1).await;
    settle_all(&subscriber, &batch, Settlement::Retry(parking())).await;
    let parked = broker.get(QUEUE.parked()).await;
    let headers = parked.properties.headers().as_ref().unwrap();
    assert_eq!(headers.inner()[header::PARK_REASON], long("retries_exhausted"));
}

#[tokio::test]
async fn what_is_handed_back_comes_again_beside_what_is_accepted() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish_all(events(0..6)).await;
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let batch = deliveries(&subscriber, 6).await;
    let settlements = batch.iter().enumerate().map(|(at, delivery)| {
        let settlement = if at < 3 { Settlement::Accept } else { Settlement::HandBack };
        (delivery.receipt, settlement)
    });
    relink_bus::port::Subscriber::settle(&subscriber, settlements.collect()).await;
    let again = deliveries(&subscriber, 3).await;
    assert!(again.iter().all(|delivery| delivery.redelivered));
    let ids: std::collections::BTreeSet<_> = again.iter().map(|d| d.id.clone().unwrap()).collect();
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["3".into(), "4".into(), "5".into()]);
    assert!(again.iter().all(|delivery| delivery.headers.attempts == 0));
}

#[tokio::test]
async fn what_cannot_be_parked_is_handed_back() {
    let Some(broker) = Broker::declared().await else { return };
    broker.publisher().await.publish(event(1, BOUND)).await.unwrap();
    let channel = broker.channel().await;
    let options = lapin::options::QueueDeleteOptions::default();
    channel.queue_delete(QUEUE.parked().into(), options).await.unwrap();
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let batch = deliveries(&subscriber, 1).await;
    settle_all(&subscriber, &batch, Settlement::Park(parking())).await;
    assert!(deliveries(&subscriber, 1).await[0].redelivered);
}
