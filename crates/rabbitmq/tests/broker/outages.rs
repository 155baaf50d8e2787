use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relink_bus::port::{PublishError, Publisher, Settlement, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_rabbitmq::{Examination, Permission, RabbitSubscriber};

use crate::support::{
    BOUND, Broker, PATIENCE, deliveries, event, events, rabbitmqctl, settle_all, until,
};

const QUEUE: WorkQueue = WorkQueue::Lifecycle;

/// Raises or lowers the memory alarm for the connections of one virtual host: what
/// `set_vm_memory_high_watermark` does to all of them, without disturbing tests beside this one.
fn alarm(broker: &Broker, raised: bool) {
    let vhost = broker.vhost();
    let script = format!(
        "[rabbit_reader:conserve_resources(Pid, memory, {{{raised}, {raised}, node()}}) || \
         Pid <- rabbit_networking:connections(), \
         rabbit_reader:info(Pid, [vhost]) =:= [{{vhost, <<\"{vhost}\">>}}]]."
    );
    rabbitmqctl(&["eval", &script]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publisher_and_subscriber_survive_closed_connections_without_losing_a_confirmed_message() {
    let Some(broker) = Broker::controlled().await else { return };
    let publisher = Arc::new(broker.publisher().await);
    let subscriber = Arc::new(RabbitSubscriber::new(broker.config(), QUEUE));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn({
        let publisher = Arc::clone(&publisher);
        async move {
            let (mut confirmed, mut next) = (BTreeSet::new(), 0);
            while !*stopped.borrow() {
                let ids = next..next + 50;
                next += 50;
                let answers = publisher.publish_all(events(ids.clone())).await;
                confirmed.extend(ids.zip(answers).filter(|(_, a)| a.is_ok()).map(|(id, _)| id));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            confirmed
        }
    });
    let received = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let consumer = tokio::spawn({
        let (subscriber, received) = (Arc::clone(&subscriber), Arc::clone(&received));
        async move {
            while let Ok(batch) = subscriber.next_batch(64, Duration::ZERO).await {
                let ids = batch.iter().map(|d| d.id.as_ref().unwrap().parse::<usize>().unwrap());
                received.lock().unwrap().extend(ids);
                settle_all(&subscriber, &batch, Settlement::Accept).await;
            }
        }
    });
    for round in 1..=2 {
        let before = received.lock().unwrap().len();
        until("some deliveries", async || received.lock().unwrap().len() > before + 100).await;
        rabbitmqctl(&["close_all_connections", "--vhost", broker.vhost(), "test"]);
        until("reconnects", async || {
            let mut states = publisher.connections().map(|(_, state)| state);
            let published = states.all(|state| state.status().connects > round);
            published && subscriber.state().status().connects > round && publisher.is_ready()
        })
        .await;
    }
    stop.send_replace(true);
    let confirmed = load.await.unwrap();
    assert!(confirmed.len() > 200, "{}", confirmed.len());
    until("every confirmed message", async || confirmed.is_subset(&received.lock().unwrap())).await;
    subscriber.close().await;
    consumer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_a_memory_alarm_publishes_fail_in_time_and_acknowledgements_still_work() {
    let Some(broker) = Broker::controlled().await else { return };
    let publisher = broker.publisher().await;
    assert!(publisher.publish_all(events(0..10)).await.iter().all(Result::is_ok));
    let subscriber = RabbitSubscriber::new(broker.config(), QUEUE);
    let batch = deliveries(&subscriber, 10).await;
    alarm(&broker, true);
    // The broker blocks a connection when it publishes.
    let begin = Instant::now();
    let first = publisher.publish(event(10, BOUND)).await;
    assert!(matches!(first, Err(PublishError::TimedOut | PublishError::Blocked)), "{first:?}");
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    // One of the connections: it speaks for the other, which would only time out.
    let is_blocked = || publisher.connections().any(|(_, state)| state.status().blocked);
    until("the broker to say so", async || is_blocked()).await;
    assert!(!publisher.is_ready());
    let begin = Instant::now();
    assert_eq!(publisher.publish(event(11, BOUND)).await, Err(PublishError::Blocked));
    let refused = [Err(PublishError::Blocked); 200];
    assert_eq!(publisher.publish_all(events(11..211)).await, refused);
    settle_all(&subscriber, &batch, Settlement::Accept).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(subscriber.state().status().connects, 1);
    alarm(&broker, false);
    until("a publish", async || publisher.publish(event(12, BOUND)).await.is_ok()).await;
    until("the end of the alarm", async || !is_blocked()).await;
    assert!(publisher.publish_all(events(13..213)).await.iter().all(Result::is_ok));
    assert!(publisher.connections().all(|(_, state)| state.status().connects == 1));
    let next = deliveries(&subscriber, 1).await;
    assert!(next.iter().all(|delivery| !delivery.redelivered));
}

#[tokio::test]
async fn an_alarm_is_told_to_whoever_looks() {
    let Some(broker) = Broker::controlled().await else { return };
    let examination = Examination::begin(&broker.config()).await.unwrap();
    assert!(!examination.is_blocked().await);
    alarm(&broker, true);
    // Its confirm may or may not come.
    let _ = examination.may(Permission::SetAside).await;
    until("the broker to say so", async || examination.is_blocked().await).await;
    alarm(&broker, false);
    until("the end of the alarm", async || !examination.is_blocked().await).await;
    examination.end().await;
}

#[tokio::test]
async fn without_a_broker_publishes_fail_at_once_and_batches_wait() {
    // A port that was free a moment ago: nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    let config = relink_rabbitmq::RabbitConfig::new(&url).unwrap();
    let publisher = relink_rabbitmq::RabbitPublisher::new(config.clone());
    let subscriber = RabbitSubscriber::new(config.clone(), QUEUE);
    let begin = Instant::now();
    assert_eq!(publisher.publish(event(1, BOUND)).await, Err(PublishError::Away));
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(!publisher.is_ready() && !subscriber.is_ready());
    let batch = subscriber.next_batch(1, Duration::ZERO);
    assert!(tokio::time::timeout(Duration::from_millis(300), batch).await.is_err());
    assert!(relink_rabbitmq::verify(&config).await.unwrap_err().is_transient());
    tokio::time::timeout(PATIENCE, subscriber.close()).await.unwrap();
}
