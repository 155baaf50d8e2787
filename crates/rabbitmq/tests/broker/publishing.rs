use std::sync::Arc;
use std::time::{Duration, Instant};

use relink_bus::message::{Headers, Message};
use relink_bus::port::{PublishError, Publisher};
use relink_bus::topology::{UNKNOWN_TYPE_KEY, WorkQueue};
use relink_rabbitmq::declare;

use crate::support::{BOUND, Broker, event, events, publisher, until};

/// A key that no queue is bound to.
const UNBOUND: &str = "nobody.wants.this";

pub(crate) fn mixed(index: usize, id: usize) -> (Message, Result<(), PublishError>) {
    if index.is_multiple_of(7) {
        (event(id, UNBOUND), Err(PublishError::Unroutable))
    } else {
        (event(id, BOUND), Ok(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exactly_the_unroutable_ones_of_many_pipelined_publishes_are_reported() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    for distinct_ids in [10_000, 3, 1] {
        let mixture = (0..5000).map(|index| mixed(index, index % distinct_ids));
        let (messages, expected): (Vec<_>, Vec<_>) = mixture.unzip();
        assert_eq!(publisher.publish_all(messages).await, expected, "{distinct_ids} ids");
    }
    let routable = (0..5000).filter(|index: &usize| !index.is_multiple_of(7)).count() * 3;
    let routable = u32::try_from(routable).unwrap();
    broker.until_depth(WorkQueue::Lifecycle.name(), routable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_with_one_publisher_each_get_their_own_answer() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = Arc::new(broker.publisher().await);
    let tasks: Vec<_> = (0..64)
        .map(|task: usize| {
            let publisher = Arc::clone(&publisher);
            tokio::spawn(async move {
                for index in 0..100 {
                    let (message, expected) = mixed(task + index, 1);
                    assert_eq!(publisher.publish(message).await, expected);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn without_a_topology_publishes_fail_in_time_and_work_once_it_is_declared() {
    let Some(broker) = Broker::bare().await else { return };
    let publisher = broker.publisher().await;
    let begin = Instant::now();
    for _ in 0..20 {
        let answer = publisher.publish(event(1, BOUND)).await;
        let away = [Err(PublishError::Unroutable), Err(PublishError::Away)];
        assert!(away.contains(&answer), "{answer:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    declare(&broker.config()).await.unwrap();
    until("a publish", async || publisher.publish(event(1, BOUND)).await.is_ok()).await;
}

#[tokio::test]
async fn more_than_the_limit_in_flight_is_busy_but_a_batch_waits_its_turn() {
    let Some(broker) = Broker::declared().await else { return };
    let mut config = broker.config();
    config.in_flight_max = 4;
    let publisher = publisher(config).await;
    let at_once = events(0..100).into_iter().map(|message| publisher.publish(message));
    let answers = futures_util::future::join_all(at_once).await;
    let busy = answers.iter().filter(|answer| **answer == Err(PublishError::Busy)).count();
    assert!(busy > 0 && busy <= 96, "{busy}");
    assert!(publisher.publish_all(events(0..100)).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn properties_and_headers_arrive_as_the_contract_says() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let headers = Headers {
        livemode: Some(true),
        stripe_account: Some("acct_1".into()),
        ..Headers::default()
    };
    let message = Message {
        also_to: Some(UNKNOWN_TYPE_KEY),
        correlation: Some("case_1".into()),
        headers,
        ..event("evt_1", "a.type.nobody.knows")
    };
    publisher.publish(message).await.unwrap();
    let delivery = broker.get(WorkQueue::Lifecycle.name()).await;
    let properties = &delivery.properties;
    assert_eq!(delivery.routing_key.as_str(), "a.type.nobody.knows");
    assert_eq!(properties.delivery_mode(), &Some(2));
    assert_eq!(properties.message_id(), &Some("evt_1".into()));
    assert_eq!(properties.kind(), &Some("a.type.nobody.knows".into()));
    assert_eq!(properties.timestamp(), &Some(1_700_000_000));
    assert_eq!(properties.correlation_id(), &Some("case_1".into()));
    assert_eq!(properties.content_type(), &Some("application/json".into()));
    assert_eq!(properties.app_id(), &Some("relink".into()));
    let headers = properties.headers().as_ref().unwrap();
    assert!(headers.contains_key("relink-livemode") && !headers.contains_key("BCC"));
}

#[tokio::test]
async fn a_text_too_long_for_amqp_is_refused_and_harms_nobody() {
    let Some(broker) = Broker::declared().await else { return };
    let publisher = broker.publisher().await;
    let long = event("x".repeat(300), BOUND);
    assert_eq!(publisher.publish(long).await, Err(PublishError::Refused));
    assert_eq!(publisher.publish(event(1, BOUND)).await, Ok(()));
}
