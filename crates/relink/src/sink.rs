//! Where the commands of a standalone process go: standard output and a URL.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use relink_bus::in_process::Sink;
use relink_bus::message::Message;
use relink_bus::port::PublishError;

use crate::output::write_line;

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
        let client = crate::wiring::http_client(&url)
            .timeout(POST_TIMEOUT)
            .build()
            .map_err(|_| "RELINK_COMMANDS_URL is https://, and this machine has no certificates of authorities")?;
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
