//! What a broker shows to whoever only looks: depths, consumers, permissions.
//!
//! Nothing here creates, changes, takes or delivers anything. A permission is found out by a call
//! that the broker has to refuse for another reason once it has passed the permission, and by the
//! reason it gives.

use std::fmt;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeUnbindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use relink_bus::topology::{Exchange, PARKED_DESK, WorkQueue, queues};

use crate::config::RabbitConfig;
use crate::connection::{self, Trouble, bounded};
use crate::desk;
use crate::properties::text;
use crate::shelf::queue_name;

/// How long it is waited for the broker to say that it blocks: so many times so long.
const LOOKS: u32 = 20;
const LOOK: Duration = Duration::from_millis(10);

/// A name that nobody gives to anything of his.
const NOBODY: &str = "relink.doctor.nobody";

/// How a queue is at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Messages that are ready; those in a worker's hands are not among them.
    pub ready: u32,
    /// Who consumes it.
    pub consumers: u32,
}

/// Something a user of the broker may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Publish to an exchange.
    Publish(Exchange),
    /// Consume a queue.
    Consume(WorkQueue),
    /// Look into the parked messages of a queue.
    Look(WorkQueue),
    /// Have the desk for looking to itself meanwhile.
    Desk,
    /// Publish past the exchanges into a queue: retries and parked messages.
    SetAside,
    /// Publish to the exchange of events with keys of this kind.
    Use(Keys),
}

impl Permission {
    /// Whether it takes a publish to find out, which an alarm keeps from being answered.
    pub fn is_published(self) -> bool {
        matches!(self, Self::SetAside | Self::Use(_))
    }
}

/// Routing keys that a topic permission may hold apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// Those of Stripe's events.
    Events,
    /// Those of observations.
    Observations,
}

impl Keys {
    /// What they begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Events => "financial_connections.",
            Self::Observations => "relink.observed.",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(exchange) => write!(f, "write on {}", exchange.name()),
            Self::Consume(queue) => write!(f, "read on {}", queue.name()),
            Self::Look(queue) => write!(f, "read on {}", queue.parked()),
            Self::Desk => write!(f, "configure on {PARKED_DESK}"),
            Self::SetAside => f.write_str("write on amq.default"),
            Self::Use(keys) => {
                let on = Exchange::Events.name();
                write!(f, "topic permission to write on {on} with keys `{}…`", keys.prefix())
            }
        }
    }
}

/// A connection to look around with; it is closed when it is dropped.
pub struct Examination {
    config: RabbitConfig,
    connection: Connection,
}

impl Examination {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection, with the setting to correct where it takes that.
    pub async fn begin(config: &RabbitConfig) -> Result<Self, String> {
        let connection = connection::connect(config, "doctor").await;
        let connection = connection.map_err(|trouble| trouble.to_string())?;
        Ok(Self { config: config.clone(), connection })
    }

    /// Every queue of the topology that is there.
    ///
    /// # Errors
    /// What the broker said instead.
    pub async fn queues(&self) -> Result<Vec<QueueState>, String> {
        let mut states = Vec::new();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        for queue in queues() {
            let asked = self
                .ask(&queue.name, async |channel| {
                    let name = queue_name(&queue.name);
                    channel.queue_declare(name, passive, FieldTable::default()).await
                })
                .await;
            match asked {
                Ok(found) => states.push(QueueState {
                    name: queue.name,
                    ready: found.message_count(),
                    consumers: found.consumer_count(),
                }),
                Err(Trouble::Missing(_)) => {}
                Err(trouble) => return Err(trouble.to_string()),
            }
        }
        Ok(states)
    }

    /// Whether somebody looks at parked messages, and may hold some of them.
    ///
    /// # Errors
    /// What the broker said instead.
    pub async fn is_desk_taken(&self) -> Result<bool, String> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self
            .ask(PARKED_DESK, async |channel| {
                channel.queue_declare(PARKED_DESK.into(), passive, FieldTable::default()).await
            })
            .await;
        match asked {
            Ok(_) | Err(Trouble::Locked(_)) => Ok(true),
            Err(Trouble::Missing(_)) => Ok(false),
            Err(trouble) => Err(trouble.to_string()),
        }
    }

    /// Whether the user has a permission.
    ///
    /// # Errors
    /// What kept it from being found out.
    pub async fn may(&self, permission: Permission) -> Result<bool, String> {
        let asked = match permission {
            Permission::Publish(exchange) => self.write(exchange).await,
            Permission::Consume(queue) => self.read(queue.name()).await,
            Permission::Look(queue) => self.read(queue.parked()).await,
            Permission::Desk => self.configure_desk().await,
            Permission::SetAside => self.publish_to_nobody().await,
            Permission::Use(keys) => self.publish_with_key(keys).await,
        };
        let said = match asked {
            Ok(()) => return Ok(true),
            Err(trouble) => trouble.to_string(),
        };
        // Refused for what does not exist means that what exists was passed.
        let refused = said.contains("ACCESS_REFUSED") || said.contains("refuses access");
        let is_of_topic = matches!(permission, Permission::Use(_));
        if refused && (is_of_topic || !said.contains(NOBODY)) {
            return Ok(false);
        }
        let passed = refused
            || said.contains("PRECONDITION_FAILED")
            || said.contains("NOT_FOUND")
            || said.contains("RESOURCE_LOCKED")
            || said.contains("invalid arg");
        if passed { Ok(true) } else { Err(said) }
    }

    /// Whether the broker blocks whoever publishes, as it does while an alarm is in effect. It
    /// says so to a connection that has published ([`Permission::is_published`]), and beside the
    /// confirm, so this waits a moment for it; `false` proves nothing.
    pub async fn is_blocked(&self) -> bool {
        for _ in 0..LOOKS {
            if self.connection.status().blocked() {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.connection.status().blocked()
    }

    /// Says goodbye.
    pub async fn end(self) {
        connection::close(&self.connection, self.config.confirm_timeout).await;
    }

    /// Takes a binding away whose source does not exist: write on the destination is looked at
    /// first, then read on the source, then whether there is such a binding (RabbitMQ docs,
    /// "Access control").
    async fn write(&self, exchange: Exchange) -> Result<(), Trouble> {
        self.ask("exchange.unbind", async |channel| {
            let options = ExchangeUnbindOptions::default();
            let (to, from) = (exchange.name().into(), NOBODY.into());
            channel.exchange_unbind(to, from, NOBODY.into(), options, FieldTable::default()).await
        })
        .await
    }

    /// Consumes with a priority that is no number: refused behind the look at the permission, so
    /// that no consumer comes about. A broker that did not mind would hand out one message, and
    /// get it back with the end of the channel.
    async fn read(&self, queue: &str) -> Result<(), Trouble> {
        self.ask("basic.consume", async |channel| {
            channel.basic_qos(1, BasicQosOptions::default()).await?;
            let mut arguments = FieldTable::default();
            arguments.insert("x-priority".into(), text("none"));
            let options = BasicConsumeOptions::default();
            channel.basic_consume(queue_name(queue), NOBODY.into(), options, arguments).await
        })
        .await
        .map(drop)
    }

    /// Declares it with a time to live that is no number: refused behind the looks at the
    /// permission and at who has it, so that it is not made. A broker that did not mind would take
    /// it away with this connection.
    async fn configure_desk(&self) -> Result<(), Trouble> {
        self.ask("queue.declare", async |channel| {
            let (options, mut arguments) = desk::declaration();
            arguments.insert("x-message-ttl".into(), text("none"));
            channel.queue_declare(PARKED_DESK.into(), options, arguments).await
        })
        .await
        .map(drop)
    }

    /// Publishes to a queue that does not exist, without asking for its return: the broker drops
    /// it, and confirms that.
    async fn publish_to_nobody(&self) -> Result<(), Trouble> {
        self.ask("basic.publish", async |channel| {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default();
            let to = NOBODY.into();
            channel.basic_publish("".into(), to, options, b"", properties).await?.await
        })
        .await
        .map(drop)
    }

    /// Publishes in the name of another user: refused behind the looks at the permission and the
    /// topic permission. A broker that did not mind (the tag `impersonator`) finds no queue bound
    /// to the key, drops it and confirms that.
    async fn publish_with_key(&self, keys: Keys) -> Result<(), Trouble> {
        self.ask("basic.publish", async |channel| {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default().with_user_id(NOBODY.into());
            let (on, key) = (Exchange::Events.name(), format!("{}{NOBODY}", keys.prefix()));
            channel.basic_publish(on.into(), key.into(), options, b"", properties).await?.await
        })
        .await
        .map(drop)
    }

    /// Asks on a channel of its own, since a refusal closes it.
    async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnOnce(Channel) -> lapin::Result<T>,
    ) -> Result<T, Trouble> {
        let limit = self.config.confirm_timeout;
        let channel = bounded(limit, "channel.open", self.connection.create_channel()).await?;
        let answer = bounded(limit, what, question(channel.clone())).await;
        if channel.status().connected() {
            let _ = bounded(limit, "channel.close", channel.close(200, "OK".into())).await;
        }
        answer
    }
}
