//! One of a publisher's two connections is lost, and the other goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher, Settlement};
use relink_bus::topology::WorkQueue;
use relink_rabbitmq::{BrokerStatus, RabbitPublisher, RabbitSubscriber};

use crate::publishing::mixed;
use crate::support::{
    BOUND, Broker, PATIENCE, batch, event, events, publisher, rabbitmqctl, settle_all, until,
};

type Answer = Result<(), PublishError>;

/// Closes one connection of a virtual host, by the name that the broker shows.
fn close(broker: &Broker, name: &str) {
    let vhost = broker.vhost();
    let script = format!(
        "[ok] = [rabbit_networking:close_connection(Pid, \"test\") || \
         Pid <- rabbit_networking:connections(), \
         [{{vhost, V}}, {{client_properties, P}}] <- \
         [rabbit_reader:info(Pid, [vhost, client_properties])], \
         V =:= <<\"{vhost}\">>, \
         lists:member({{<<\"connection_name\">>, longstr, <<\"relink {name}\">>}}, P)]."
    );
    rabbitmqctl(&["eval", &script]);
}

/// A publisher whose lost connections stay lost for longer than a test takes, and who waits for
/// confirms as long as a test does.
async fn unforgiving(broker: &Broker) -> RabbitPublisher {
    let mut config = broker.config();
    (config.backoff_min, config.backoff_max) = (PATIENCE * 10, PATIENCE * 10);
    config.confirm_timeout = PATIENCE;
    publisher(config).await
}

fn status(publisher: &RabbitPublisher, name: &str) -> BrokerStatus {
    publisher.connections().find(|(other, _)| *other == name).unwrap().1.status()
}

/// What several tasks publish until they are stopped, every seventh message to nobody.
#[derive(Default)]
struct Load {
    next: AtomicUsize,
    confirmed: Mutex<BTreeSet<usize>>,
    stopped: AtomicBool,
}

impl Load {
    fn messages(&self, count: usize) -> (Vec<usize>, Vec<(Message, Answer)>) {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first..first + count).map(|id| (id, mixed(id, id))).unzip()
    }

    /// Lists of so many; one is published alone.
    async fn run(self: Arc<Self>, publisher: Arc<RabbitPublisher>, count: usize) {
        while !self.stopped.load(Ordering::Relaxed) {
            let (ids, mixture) = self.messages(count);
            let (mut messages, expected): (Vec<_>, Vec<_>) = mixture.into_iter().unzip();
            let answers = match messages.len() {
                1 => vec![publisher.publish(messages.remove(0)).await],
                _ => publisher.publish_all(messages).await,
            };
            for ((id, expected), answer) in ids.into_iter().zip(expected).zip(answers) {
                // Lost or not, no message has the answer of another.
                assert!(
                    answer == expected || answer == Err(PublishError::Away),
                    "{id}: {answer:?}"
                );
                if answer.is_ok() {
                    self.confirmed.lock().unwrap().insert(id);
                }
            }
        }
    }

    fn confirmed(&self) -> BTreeSet<usize> {
        self.confirmed.lock().unwrap().clone()
    }

    async fn goes_on(&self) {
        let before = self.confirmed().len();
        until("more confirms", async || self.confirmed().len() > before + 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_closed_under_load_loses_nothing_and_the_other_goes_on() {
    let Some(broker) = Broker::controlled().await else { return };
    let publisher = Arc::new(unforgiving(&broker).await);
    let load = Arc::new(Load::default());
    // Together fewer than one connection may have in flight: nobody is told that it is busy.
    let tasks = [1, 1, 1, 1, 1, 1, 100, 100]
        .map(|count| tokio::spawn(Arc::clone(&load).run(Arc::clone(&publisher), count)));
    load.goes_on().await;
    close(&broker, "publish-1");
    until("the loss", async || status(&publisher, "publish-1").failures == 1).await;
    load.goes_on().await;
    load.stopped.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(!status(&publisher, "publish-1").connected);
    assert_eq!(status(&publisher, "publish-2").connects, 1);
    let subscriber = RabbitSubscriber::new(broker.config(), WorkQueue::Lifecycle);
    let (confirmed, mut received) = (load.confirmed(), BTreeSet::new());
    while !confirmed.is_subset(&received) {
        let batch = batch(&subscriber, 500).await;
        received.extend(batch.iter().map(|d| d.id.as_ref().unwrap().parse::<usize>().unwrap()));
        settle_all(&subscriber, &batch, Settlement::Accept).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn either_connection_is_enough_to_go_on_with() {
    let Some(broker) = Broker::controlled().await else { return };
    let names = ["publish-1", "publish-2"];
    for (round, name) in names.into_iter().enumerate() {
        let publisher = unforgiving(&broker).await;
        close(&broker, name);
        until("the loss", async || status(&publisher, name).failures == 1).await;
        assert!(publisher.is_ready());
        // More than any turn is long, and more than one connection may have in flight.
        for id in 0..50 {
            assert_eq!(publisher.publish(event(id, BOUND)).await, Ok(()));
        }
        assert!(publisher.publish_all(events(50..1000)).await.iter().all(Result::is_ok));
        let depth = u32::try_from(1000 * (round + 1)).unwrap();
        broker.until_depth(WorkQueue::Lifecycle.name(), depth).await;
        close(&broker, names[1 - round]);
        until("the other loss", async || status(&publisher, names[1 - round]).failures == 1).await;
        assert!(!publisher.is_ready());
        assert_eq!(publisher.publish(event(1, BOUND)).await, Err(PublishError::Away));
        assert_eq!(publisher.publish_all(events(0..200)).await, [Err(PublishError::Away); 200]);
    }
}
