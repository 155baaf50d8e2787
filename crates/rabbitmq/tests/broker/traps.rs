//! What the AMQP library does not do by itself, where no other test is about it.

use std::collections::BTreeSet;

use relink_bus::message::Delivery;
use relink_bus::port::{Publisher, Settlement};
use relink_bus::topology::WorkQueue;
use relink_rabbitmq::{RabbitConfig, RabbitSubscriber};
use relink_tests::proxy::{Proxy, server_of};

use crate::support::{BOUND, Broker, deliveries, event, events, rabbitmqctl, settle_all};

const QUEUE: WorkQueue = WorkQueue::Lifecycle;

fn ids(deliveries: &[Delivery]) -> BTreeSet<usize> {
    deliveries.iter().map(|delivery| delivery.id.as_ref().unwrap().parse().unwrap()).collect()
}

/// The library answers `Ok(false)`, or nothing at all, to an acknowledgement whose connection is
/// gone; taken for done, the delivery would be counted as settled and its twin as new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_after_the_connection_was_lost_settles_nothing() {
    let Some(broker) = Broker::controlled().await else { return };
    let publisher = broker.publisher().await;
    assert!(publisher.publish_all(events(0..20)).await.iter().all(Result::is_ok));
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let old = deliveries(&subscriber, 20).await;
    rabbitmqctl(&["close_all_connections", "--vhost", broker.vhost(), "test"]);
    // Half of them while it may not have noticed, half of them on the next connection.
    settle_all(&subscriber, &old[..10], Settlement::Accept).await;
    let new = deliveries(&subscriber, 20).await;
    settle_all(&subscriber, &old[10..], Settlement::Accept).await;
    assert_eq!(ids(&new), (0..20).collect());
    assert!(new.iter().all(|delivery| delivery.redelivered));
    settle_all(&subscriber, &new[..15], Settlement::Accept).await;
    drop(subscriber);
    let again = RabbitSubscriber::new(broker.config(), QUEUE);
    assert_eq!(ids(&deliveries(&again, 5).await), ids(&new[15..]));
}

/// A link that is silent and never closed gives neither an error nor an end: the stream hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_hangs_is_left_and_begun_anew() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let link = Proxy::before(server_of(&broker.url)).await;
    let url = format!("{}?heartbeat=1", link.in_place_of(&broker.url));
    let subscriber = RabbitSubscriber::new(RabbitConfig::new(&url).unwrap(), QUEUE);
    publisher.publish(event(1, BOUND)).await.unwrap();
    let old = deliveries(&subscriber, 1).await;
    link.forget_connections();
    publisher.publish(event(2, BOUND)).await.unwrap();
    // Nothing was settled, so the first one comes again as well.
    assert_eq!(ids(&deliveries(&subscriber, 2).await), BTreeSet::from([1, 2]));
    assert!(subscriber.state().status().connects > 1);
    settle_all(&subscriber, &old, Settlement::Accept).await;
    drop(subscriber);
    broker.until_depth(QUEUE.name(), 2).await;
}
