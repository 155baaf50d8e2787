//! Where the commands of a standalone process go: standard output, a URL, and its own followup
//! worker.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use relink_bus::in_process::InProcessBus;
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher, publish_together};
use relink_bus::topology::Exchange;

use crate::output::write_line;

/// Takes commands; an error leaves the command in the outbox, and the relay tries again.
#[async_trait]
pub(crate) trait Sink: Send + Sync {
    async fn deliver(&self, command: &Message) -> Result<(), PublishError>;
}

/// Writes one JSON document a line.
pub(crate) struct Stdout;

#[async_trait]
impl Sink for Stdout {
    async fn deliver(&self, command: &Message) -> Result<(), PublishError> {
        write_line(&command.body).map_err(|error| {
            tracing::warn!(command.id = %command.id, %error, "standard output cannot be written");
            PublishError::Refused
        })
    }
}

/// How long a receiver may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// Posts to a URL, signed as Standard Webhooks (specification 1.0.0: `webhook-id`,
/// `webhook-timestamp`, `webhook-signature: v1,<base64>`).
pub(crate) struct Post {
    client: reqwest::Client,
    url: reqwest::Url,
    key: Option<Vec<u8>>,
}

impl Post {
    pub(crate) fn new(url: &str, key: Option<Vec<u8>>) -> Result<Self, String> {
        let url = reqwest::Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or("RELINK_COMMANDS_URL must be an http:// or https:// URL")?;
        let client = reqwest::Client::builder()
            .timeout(POST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| "no HTTP client for RELINK_COMMANDS_URL can be made")?;
        Ok(Self { client, url, key })
    }

    fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(self.key.as_deref()?).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

#[async_trait]
impl Sink for Post {
    async fn deliver(&self, command: &Message) -> Result<(), PublishError> {
        let timestamp = crate::wiring::now_unix_ms().div_euclid(1000);
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", command.content_type)
            .header("webhook-id", &*command.id)
            .header("webhook-timestamp", timestamp)
            .body(command.body.clone());
        if let Some(signature) = self.signature(&command.id, timestamp, &command.body) {
            request = request.header("webhook-signature", signature);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status().as_u16();
                tracing::warn!(command.id = %command.id, status, "RELINK_COMMANDS_URL refuses");
                Err(PublishError::Refused)
            }
            Err(error) if error.is_timeout() => Err(PublishError::TimedOut),
            Err(_) => Err(PublishError::Away),
        }
    }
}

/// How long the outbox waits for the followup worker; a command on its retry ladder takes longer
/// and is asked about again by the relay.
const FOLLOWUP_PATIENCE: Duration = Duration::from_secs(10);

/// The publisher of a standalone process: events go to its workers, commands to its sinks and to
/// its followup worker.
#[derive(Clone)]
pub(crate) struct EmbeddedPublisher {
    bus: InProcessBus,
    sinks: Arc<[Arc<dyn Sink>]>,
    /// Commands that the followup worker has not settled: the relay must not add another copy.
    under_way: Arc<Mutex<HashSet<Arc<str>>>>,
}

impl EmbeddedPublisher {
    pub(crate) fn new(bus: InProcessBus, sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self { bus, sinks: sinks.into(), under_way: Arc::default() }
    }

    async fn command(&self, message: Message) -> Result<(), PublishError> {
        let followed_up = self.bus.routes(&message);
        if followed_up && !self.mark(&message.id) {
            return Err(PublishError::Busy);
        }
        for sink in self.sinks.iter() {
            if let Err(error) = sink.deliver(&message).await {
                self.unmark(&message.id);
                return Err(error);
            }
        }
        if !followed_up {
            return Ok(());
        }
        let publisher = self.clone();
        let following_up = tokio::spawn(async move {
            let id = Arc::clone(&message.id);
            let result = publisher.bus.publish(message).await;
            publisher.unmark(&id);
            result
        });
        match tokio::time::timeout(FOLLOWUP_PATIENCE, following_up).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PublishError::Away),
            Err(_) => Err(PublishError::TimedOut),
        }
    }

    fn mark(&self, id: &Arc<str>) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(Arc::clone(id))
    }

    fn unmark(&self, id: &str) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

#[async_trait]
impl Publisher for EmbeddedPublisher {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        match message.exchange {
            Exchange::Events => self.bus.publish(message).await,
            Exchange::Commands => self.command(message).await,
        }
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        publish_together(self, messages).await
    }

    fn is_ready(&self) -> bool {
        self.bus.is_ready()
    }
}
