//! The commands as a consumer of the platform takes them.

use async_trait::async_trait;
use bytes::Bytes;
use relink_bus::envelope::CloudEvent;
use relink_bus::in_process::Sink;
use relink_bus::message::Message;
use relink_bus::port::PublishError;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

/// The command that makes Relink read from Stripe.
pub(super) const VERIFY: &str = "verify_accounts";

/// A command that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// `prompt_relink`, …
    pub(super) name: String,
    pub(super) id: String,
    /// The authorization.
    pub(super) subject: String,
    pub(super) data: Value,
    /// The CloudEvent as it came.
    pub(super) body: Bytes,
}

impl Told {
    fn read(message: &Message) -> Option<Self> {
        let event: CloudEvent<Value> = serde_json::from_slice(&message.body).ok()?;
        // `relink.<name>.v1`
        let name = event.kind.split('.').nth(1)?.to_owned();
        let (id, subject, data) = (event.id, event.subject, event.data);
        Some(Self { name, id, subject, data, body: message.body.clone() })
    }

    /// A field of the data that holds text.
    pub(super) fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }

    /// The accounts that it names, by id.
    pub(super) fn accounts(&self) -> Vec<&str> {
        match &self.data["accounts"] {
            Value::Array(all) => {
                all.iter().filter_map(|one| one.as_str().or(one["id"].as_str())).collect()
            }
            _ => self.data["account"].as_str().into_iter().collect(),
        }
    }
}

/// Hands commands to the story.
pub(super) struct ToStory {
    pub(super) commands: mpsc::Sender<Told>,
    /// While false, a verify waits before the followup worker gets it, so that the story can
    /// show what is known without it.
    pub(super) reads_open: watch::Receiver<bool>,
}

#[async_trait]
impl Sink for ToStory {
    async fn deliver(&self, command: &Message) -> Result<(), PublishError> {
        let told = Told::read(command).ok_or(PublishError::Refused)?;
        let reads = told.name == VERIFY;
        self.commands.send(told).await.map_err(|_| PublishError::Away)?;
        if reads {
            // Whoever closed it may be gone: then it is open.
            let _ = self.reads_open.clone().wait_for(|open| *open).await;
        }
        Ok(())
    }
}
