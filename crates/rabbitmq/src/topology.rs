//! Holds the broker against `bus::topology`.

use std::fmt;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use relink_bus::topology::{Argument, Exchange, Queue, queues};

use crate::config::RabbitConfig;
use crate::connection::{self, Trouble, bounded};
use crate::mismatch::Mismatch;
use crate::properties::text;
use crate::shelf::queue_name;

/// One difference between the broker and the topology, or what kept it from being looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A queue or an exchange does not exist.
    Missing {
        /// `queue` or `exchange`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It exists and differs.
    Different(Mismatch),
    /// Something else that a setting has to be corrected for.
    Misconfigured(String),
    /// The broker is away; trying again may help.
    Away(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kind, name } => {
                write!(f, "{kind} `{name}` is missing; run `relink migrate`")
            }
            Self::Different(mismatch) => mismatch.fmt(f),
            Self::Misconfigured(text) => f.write_str(text),
            Self::Away(text) => write!(f, "the broker could not be asked: {text}"),
        }
    }
}

/// All that was found, one line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopologyError {
    /// Never empty.
    pub findings: Vec<Finding>,
}

impl TopologyError {
    /// Whether trying again may help: nothing was found but that the broker is away.
    pub fn is_transient(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding, Finding::Away(_)))
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the broker's topology is not as Relink needs it:")?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

impl std::error::Error for TopologyError {}

/// How much of the topology was looked at, where nothing is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verified {
    /// All of it is there, with the arguments that it has to have.
    Compared,
    /// All of it is there; the user may not declare, so nothing tells its arguments.
    Present,
}

/// Creates every exchange, queue and binding that does not exist; the rest stays as it is.
///
/// Idempotent. Bindings that earlier versions made and this one does not want cannot be seen
/// without the management plugin, so they stay: their messages reach a worker that ignores them.
///
/// # Errors
/// All differences and failures at once; what does not depend on them is declared nevertheless.
pub async fn declare(config: &RabbitConfig) -> Result<(), TopologyError> {
    declare_queues(config, &queues()).await
}

/// Compares the broker with the topology and creates nothing that is missing.
///
/// Bindings are not compared: AMQP has no way to ask for them. Nor are arguments, where the user
/// may not declare: whether something is there can be asked for without any right, how it is
/// made only by declaring it.
///
/// # Errors
/// All differences and failures at once.
pub async fn verify(config: &RabbitConfig) -> Result<Verified, TopologyError> {
    let mut survey = Survey::connect(config).await?;
    for exchange in Exchange::ALL {
        // An active declaration of something that exists changes nothing, and is refused if it
        // differs; only what is there is compared so.
        if survey.exchange(exchange, true).await && survey.may_declare() {
            survey.exchange(exchange, false).await;
        }
    }
    for queue in queues() {
        if survey.queue(&queue, true).await && survey.may_declare() {
            survey.queue(&queue, false).await;
        }
    }
    let verified = match survey.refusal.take() {
        Some(_) => Verified::Present,
        None => Verified::Compared,
    };
    survey.finish().await?;
    Ok(verified)
}

pub(crate) async fn declare_queues(
    config: &RabbitConfig,
    queues: &[Queue],
) -> Result<(), TopologyError> {
    let mut survey = Survey::connect(config).await?;
    for exchange in Exchange::ALL {
        if survey.may_declare() {
            survey.exchange(exchange, false).await;
        }
    }
    for queue in queues {
        // Who may not declare one of them may declare none.
        if !survey.may_declare() {
            break;
        }
        if survey.queue(queue, false).await {
            for (exchange, key) in &queue.bindings {
                survey.bind(&queue.name, *exchange, key).await;
            }
        }
    }
    survey.finish().await
}

/// Asks the broker one thing after the other and notes what is not as wanted.
struct Survey<'a> {
    config: &'a RabbitConfig,
    connection: Connection,
    /// A refused declaration closes its channel; the next one opens another.
    channel: Option<Channel>,
    findings: Vec<Finding>,
    /// The broker's words, once it has refused this user something.
    refusal: Option<String>,
}

impl<'a> Survey<'a> {
    async fn connect(config: &'a RabbitConfig) -> Result<Self, TopologyError> {
        match connection::connect(config, "topology").await {
            Ok(connection) => {
                Ok(Self { config, connection, channel: None, findings: Vec::new(), refusal: None })
            }
            Err(trouble) => Err(TopologyError { findings: vec![finding(trouble, "", "")] }),
        }
    }

    fn may_declare(&self) -> bool {
        self.refusal.is_none()
    }

    async fn exchange(&mut self, exchange: Exchange, passive: bool) -> bool {
        let name = exchange.name();
        // Durable: it survives a restart of the broker, as its queues do.
        let options =
            ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
        self.ask("exchange", name, async |channel| {
            let arguments = FieldTable::default();
            channel.exchange_declare(name.into(), ExchangeKind::Topic, options, arguments).await
        })
        .await
    }

    async fn queue(&mut self, queue: &Queue, passive: bool) -> bool {
        let options =
            QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
        self.ask("queue", &queue.name, async |channel| {
            let arguments = arguments(queue);
            channel.queue_declare(queue_name(&queue.name), options, arguments).await.map(drop)
        })
        .await
    }

    async fn bind(&mut self, queue: &str, exchange: Exchange, key: &str) -> bool {
        self.ask("exchange", exchange.name(), async |channel| {
            let (exchange, options) = (exchange.name().into(), QueueBindOptions::default());
            channel
                .queue_bind(queue_name(queue), exchange, key.into(), options, FieldTable::default())
                .await
        })
        .await
    }

    /// Notes what the broker objects to; says whether it did not.
    async fn ask(
        &mut self,
        kind: &'static str,
        name: &str,
        question: impl AsyncFnOnce(Channel) -> lapin::Result<()>,
    ) -> bool {
        let limit = self.config.confirm_timeout;
        let answer = match self.channel().await {
            Ok(channel) => bounded(limit, name, question(channel)).await,
            Err(trouble) => Err(trouble),
        };
        let Err(trouble) = answer else { return true };
        self.channel = None;
        if let Trouble::Forbidden(text) = trouble {
            self.refusal.get_or_insert(text);
            return false;
        }
        let finding = finding(trouble, kind, name);
        // One broker that is away is one finding, however much was to be asked.
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
        false
    }

    async fn channel(&mut self) -> Result<Channel, Trouble> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let opening = self.connection.create_channel();
        let channel = bounded(self.config.confirm_timeout, "channel.open", opening).await?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    async fn finish(mut self) -> Result<(), TopologyError> {
        connection::close(&self.connection, self.config.confirm_timeout).await;
        self.findings.extend(self.refusal.map(Finding::Misconfigured));
        if self.findings.is_empty() {
            Ok(())
        } else {
            Err(TopologyError { findings: self.findings })
        }
    }
}

fn finding(trouble: Trouble, kind: &'static str, name: &str) -> Finding {
    match trouble {
        Trouble::Away(text) | Trouble::Locked(text) => Finding::Away(text),
        Trouble::Forbidden(text) | Trouble::Misconfigured(text) | Trouble::Untrusted(text) => {
            Finding::Misconfigured(text)
        }
        Trouble::Missing(_) => Finding::Missing { kind, name: name.to_owned() },
        Trouble::Inequivalent(text) => match Mismatch::parse(&text) {
            Some(mismatch) => Finding::Different(mismatch),
            None => Finding::Misconfigured(text),
        },
    }
}

fn arguments(queue: &Queue) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in &queue.arguments {
        let value = match value {
            Argument::Text(value) => text(value),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Switch(switch) => AMQPValue::Boolean(*switch),
        };
        table.insert((*name).into(), value);
    }
    table
}
