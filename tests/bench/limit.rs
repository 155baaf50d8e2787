//! Bare programs with the same guarantees and none of the product: how fast this machine, its
//! broker and its database let anybody be. Each runs as a process of its own, so that its
//! processor time and memory can be told from the driver's.

mod ingress;
mod relay;
mod worker;

use std::process::Stdio;
use std::time::Duration;

use lapin::options::{
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind, Queue};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Where bare programs and peers get their events from.
pub(crate) const EVENTS: &str = "bench.events";

/// Where they put commands.
pub(crate) const COMMANDS: &str = "bench.commands";

/// The tables that bare workers and peers write to, as somebody would make them by hand.
pub(crate) const SCHEMA: &str = include_str!("limit/schema.sql");

/// A bare program, or a peer: told by variables, says lines.
pub(crate) struct Bare {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Bare {
    /// One of these.
    pub(crate) fn start(what: &str, settings: &[(&str, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["limit", what]);
        Self::run(command, settings)
    }

    /// A peer.
    pub(crate) fn run(mut command: Command, settings: &[(&str, String)]) -> Self {
        command.envs(settings.iter().map(|(name, value)| (*name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// What it says next.
    pub(crate) async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("the program ended")
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Runs one of them in this process, which was started for that.
pub(crate) async fn run(what: &str) {
    match what {
        "ingress" => ingress::run().await,
        "worker" => worker::run().await,
        "relay" => relay::run().await,
        other => panic!("there is no bare {other}"),
    }
}

/// What the bench has set; empty where it has not.
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// A connection and a channel.
pub(crate) async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// The same with publisher confirms.
pub(crate) async fn confirming(url: &str) -> (Connection, Channel) {
    let (connection, channel) = channel(url).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// An empty quorum queue.
pub(crate) async fn queue(channel: &Channel, name: &str) {
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, arguments).await.unwrap();
}

/// A durable topic exchange, as those of the contract are.
pub(crate) async fn exchange(channel: &Channel, name: &str) {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (kind, nothing) = (ExchangeKind::Topic, FieldTable::default());
    channel.exchange_declare(name.into(), kind, options, nothing).await.unwrap();
}

/// Binds a queue to a key of an exchange.
pub(crate) async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) {
    let (options, nothing) = (QueueBindOptions::default(), FieldTable::default());
    let bound =
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, nothing).await;
    bound.unwrap();
}

/// How many messages wait there.
pub(crate) async fn waiting(channel: &Channel, name: &str) -> usize {
    look(channel, name).await.message_count() as usize
}

/// Returns once somebody consumes from there: a program that has just started.
pub(crate) async fn consumed(channel: &Channel, name: &str) {
    while look(channel, name).await.consumer_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn look(channel: &Channel, name: &str) -> Queue {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(name.into(), options, FieldTable::default()).await.unwrap()
}

/// Throws away what waits there.
pub(crate) async fn purge(channel: &Channel, name: &str) {
    channel.queue_purge(name.into(), QueuePurgeOptions::default()).await.unwrap();
}

async fn database() -> tokio_postgres::Client {
    let url = setting("BENCH_DATABASE");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
