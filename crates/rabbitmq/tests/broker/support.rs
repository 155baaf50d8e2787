//! A broker for one test.

use std::process::Command;
use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use relink_bus::message::{CONTENT_TYPE_JSON, Delivery, Headers, Message};
use relink_bus::port::{Settlement, Subscriber};
use relink_bus::topology::{Exchange, LIFECYCLE_KEYS, queues};
use relink_rabbitmq::{BrokerState, RabbitConfig, RabbitPublisher, RabbitSubscriber, declare};

/// Longest wait for anything: generous, since it is only used up when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A routing key that the lifecycle queue is bound to.
pub(crate) const BOUND: &str = LIFECYCLE_KEYS[1];

/// A virtual host of its own, or the only one for as long as the value lives.
pub(crate) struct Broker {
    pub(crate) url: String,
    vhost: Option<String>,
    lapin: Connection,
}

impl Broker {
    /// With the topology declared.
    pub(crate) async fn declared() -> Option<Self> {
        let broker = Self::bare().await?;
        declare(&broker.config()).await.unwrap();
        Some(broker)
    }

    /// With the topology declared, and control over the broker.
    pub(crate) async fn controlled() -> Option<Self> {
        if std::env::var("RELINK_TEST_RABBITMQCTL").is_err() {
            left_out("RELINK_TEST_RABBITMQCTL");
            return None;
        }
        Self::declared().await
    }

    /// With nothing declared.
    pub(crate) async fn bare() -> Option<Self> {
        let Ok(url) = std::env::var("RELINK_TEST_AMQP_URL") else {
            left_out("RELINK_TEST_AMQP_URL");
            return None;
        };
        if std::env::var("RELINK_TEST_RABBITMQCTL").is_err() {
            return Some(Self::shared(url).await);
        }
        let (start, authority) = url.split_once("://").unwrap();
        let authority = authority.split('/').next().unwrap();
        let user = authority.split(':').next().unwrap();
        let vhost = format!("relink-test-{}-{}", std::process::id(), unique());
        rabbitmqctl(&["add_vhost", &vhost]);
        rabbitmqctl(&["set_permissions", "-p", &vhost, user, ".*", ".*", ".*"]);
        let url = format!("{start}://{authority}/{vhost}");
        let lapin = connect(&url).await;
        Some(Self { url, vhost: Some(vhost), lapin })
    }

    /// Takes a turn in the URL's virtual host: an exclusive queue is a lock that the broker
    /// releases with its connection.
    async fn shared(url: String) -> Self {
        let lapin = connect(&url).await;
        let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        until("the other tests to end", async || {
            let channel = lapin.create_channel().await.unwrap();
            let name = "relink-test-turn".into();
            channel.queue_declare(name, exclusive, FieldTable::default()).await.is_ok()
        })
        .await;
        let channel = lapin.create_channel().await.unwrap();
        for queue in queues() {
            let name = queue.name.as_str().into();
            channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in Exchange::ALL {
            let options = ExchangeDeleteOptions::default();
            channel.exchange_delete(exchange.name().into(), options).await.unwrap();
        }
        Self { url, vhost: None, lapin }
    }

    pub(crate) fn config(&self) -> RabbitConfig {
        RabbitConfig::new(&self.url).unwrap()
    }

    pub(crate) fn vhost(&self) -> &str {
        self.vhost.as_deref().unwrap()
    }

    /// A channel beside the adapters.
    pub(crate) async fn channel(&self) -> Channel {
        self.lapin.create_channel().await.unwrap()
    }

    /// How many messages wait in a queue.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel().await;
        let arguments = FieldTable::default();
        declared.queue_declare(queue.into(), passive, arguments).await.unwrap().message_count()
    }

    pub(crate) async fn until_depth(&self, queue: &str, depth: u32) {
        let what = format!("{depth} messages in {queue}");
        until(&what, async || self.depth(queue).await == depth).await;
    }

    /// Takes one message out of a queue, as soon as there is one.
    pub(crate) async fn get(&self, queue: &str) -> lapin::message::Delivery {
        let channel = self.channel().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let options = BasicGetOptions { no_ack: true };
            if let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
                return message.delivery;
            }
            assert!(Instant::now() < deadline, "nothing in {queue}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn publisher(&self) -> RabbitPublisher {
        publisher(self.config()).await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(vhost) = &self.vhost {
            rabbitmqctl(&["delete_vhost", vhost]);
        }
    }
}

pub(crate) async fn publisher(config: RabbitConfig) -> RabbitPublisher {
    let publisher = RabbitPublisher::new(config);
    for (_, state) in publisher.connections() {
        connected(&state).await;
    }
    publisher
}

pub(crate) async fn connected(state: &BrokerState) {
    let mut watch = state.watch();
    let connected = watch.wait_for(|status| status.connected);
    tokio::time::timeout(PATIENCE, connected).await.unwrap().unwrap();
}

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.unwrap()
}

/// Says aloud that a test proves nothing.
#[expect(clippy::print_stderr, reason = "a test that is left out must not look like one that ran")]
pub(crate) fn left_out(variable: &str) {
    eprintln!("\n*** LEFT OUT: {variable} is not set, so this test proves nothing ***\n");
}

pub(crate) fn rabbitmqctl(arguments: &[&str]) {
    let prefix = std::env::var("RELINK_TEST_RABBITMQCTL").unwrap();
    let mut words = prefix.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    let output = command.args(words).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

fn unique() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Polls until it holds.
pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn event(id: impl ToString, routing_key: &str) -> Message {
    Message {
        exchange: Exchange::Events,
        routing_key: routing_key.into(),
        also_to: None,
        mandatory: true,
        id: id.to_string().into(),
        kind: routing_key.into(),
        timestamp_unix_s: 1_700_000_000,
        correlation: None,
        content_type: CONTENT_TYPE_JSON,
        headers: Headers::default(),
        body: format!("{{\"id\":\"{}\"}}", id.to_string()).into(),
    }
}

/// Events with the ids of the range.
pub(crate) fn events(ids: std::ops::Range<usize>) -> Vec<Message> {
    ids.map(|id| event(id, BOUND)).collect()
}

/// The next batch, which must come.
pub(crate) async fn batch(subscriber: &RabbitSubscriber, max: usize) -> Vec<Delivery> {
    let batch = subscriber.next_batch(max, Duration::from_millis(20));
    tokio::time::timeout(PATIENCE, batch).await.expect("a batch").unwrap()
}

/// Exactly so many deliveries, in as many batches as it takes.
pub(crate) async fn deliveries(subscriber: &RabbitSubscriber, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(batch(subscriber, count - all.len()).await);
    }
    all
}

pub(crate) async fn settle_all(
    subscriber: &RabbitSubscriber,
    deliveries: &[Delivery],
    settlement: Settlement,
) {
    let settlements = deliveries.iter().map(|d| (d.receipt, settlement.clone())).collect();
    subscriber.settle(settlements).await;
}
