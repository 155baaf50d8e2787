//! From the outbox to the bus: at once by whoever committed, later by the relay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use relink_bus::envelope::CloudEvent;
use relink_bus::message::{CONTENT_TYPE_CLOUD_EVENT, Headers, Message};
use relink_bus::port::Publisher;
use relink_bus::topology::{Exchange, FOLLOWUP_KEYS};
use relink_core::bug::{Bug, is_planted};
use relink_core::command::{PromptRelink, RemindRelink};
use relink_core::time::Span;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::link::Links;
use crate::metrics::Metrics;
use crate::store::{OutboxRow, Store, StoreError};

/// How many commands are claimed at a time: a confirm window that keeps a broker busy.
const CLAIM: usize = 256;
/// How long a claim lasts: longer than a publish with its confirm timeout.
const CLAIM_SPAN: Span = Span::seconds(30);
/// How many batches a sweep has under way: while one is with the bus and another one's rows are
/// deleted, the next is claimed.
const SENDING_MAX: usize = 4;
/// How often the relay usually looks for what was left behind.
pub const SWEEP: Duration = Duration::from_millis(1000);

/// Publishes committed commands.
#[derive(Clone)]
pub struct Outbox {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where they go.
    pub publisher: Arc<dyn Publisher>,
    /// The machine's clock, not the one of the rules: claims are between processes.
    pub wall: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Makes the links that prompts carry; `None` without a relink page.
    pub links: Option<Links>,
}

impl Outbox {
    /// Publishes the rows and deletes those that the bus has taken; the others stay for the
    /// relay, here or in another process.
    pub async fn send(&self, rows: Vec<OutboxRow>) {
        if rows.is_empty() {
            return;
        }
        let started = Instant::now();
        let committed: Vec<_> = rows.iter().map(OutboxRow::committed).collect();
        if is_planted(Bug::OutboxDeletedBeforeConfirm) {
            let _ = self.store.delete_outbox(&committed).await;
        }
        let messages = rows.into_iter().map(|row| self.message(row)).collect();
        let results = self.publisher.publish_all(messages).await;
        self.metrics.publish_seconds.observe(started.elapsed().as_secs_f64());
        let mut taken = Vec::with_capacity(committed.len());
        if let Some(error) = results.iter().find_map(|result| result.err()) {
            let failed = results.iter().filter(|result| result.is_err()).count();
            tracing::warn!(%error, failed, "commands stay in the outbox until the relay's next try");
        }
        for (one, result) in committed.into_iter().zip(results) {
            match result {
                Ok(()) => taken.push(one),
                Err(_) if is_planted(Bug::PublishErrorIgnored) => taken.push(one),
                Err(error) => {
                    self.metrics.not_published(error);
                }
            }
        }
        self.metrics.published.inc_by(taken.len() as u64);
        if taken.is_empty() {
            return;
        }
        if let Err(error) = self.store.delete_outbox(&taken).await {
            // They go out once more, under the same ids.
            tracing::warn!(%error, count = taken.len(), "published commands stay in the outbox");
        }
    }

    /// Sends what was left behind, until there is no more.
    ///
    /// # Errors
    /// When the store is away; the next sweep tries again.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        self.sweep_until(&CancellationToken::new()).await
    }

    /// Sweeps, but claims nothing more once told to stop: what is left of a backlog is for another
    /// relay, or for the next start.
    async fn sweep_until(&self, stop: &CancellationToken) -> Result<usize, StoreError> {
        let (mut sent, mut sending) = (0, JoinSet::new());
        let ended = loop {
            let idle = stop.is_cancelled() || is_planted(Bug::RelayAsleep);
            if idle || !self.publisher.is_ready() {
                break Ok(());
            }
            let now = self.wall.now();
            let rows = match self.store.claim_outbox(now, now.after(CLAIM_SPAN), CLAIM).await {
                Ok(rows) => rows,
                Err(error) => break Err(error),
            };
            if rows.is_empty() {
                break Ok(());
            }
            sent += rows.len();
            let outbox = self.clone();
            sending.spawn(async move { outbox.send(rows).await });
            if sending.len() >= SENDING_MAX {
                sending.join_next().await;
            }
        };
        sending.join_all().await;
        ended.map(|()| sent)
    }

    /// The message of a row. A prompt gets its link only here, on the way out: links are secrets,
    /// and no secret is kept in the database. Made of what the row holds, it is the same link
    /// whenever and by whomever the row is sent, until the newest key is another.
    fn message(&self, row: OutboxRow) -> Message {
        let linked = self.links.as_ref().and_then(|links| Self::linked(links, &row));
        let mut message = message(row);
        if let Some(body) = linked {
            message.body = body;
        }
        message
    }

    fn linked(links: &Links, row: &OutboxRow) -> Option<Bytes> {
        let link = |prompt: &mut PromptRelink, subject: &str| {
            let url = links.url(&prompt.case, subject, &row.scope, row.decided_at);
            prompt.relink_url = Some(url.into());
        };
        let linked = match row.kind.strip_prefix("relink.")?.strip_suffix(".v1")? {
            "prompt_relink" => edited(&row.body, |event: &mut CloudEvent<PromptRelink>| {
                link(&mut event.data, &event.subject);
            }),
            "remind_relink" => edited(&row.body, |event: &mut CloudEvent<RemindRelink>| {
                link(&mut event.data.prompt, &event.subject);
            }),
            _ => return None,
        };
        linked.inspect_err(|error| tracing::error!(%error, "a prompt goes out without link")).ok()
    }

    /// The relay: sweeps in each `period` until told to stop.
    pub async fn relay(self, period: Duration, stop: CancellationToken) {
        let mut away = false;
        while !stop.is_cancelled() {
            match self.sweep_until(&stop).await {
                Ok(_) => away = false,
                Err(error) if !away => {
                    tracing::warn!(%error, "the relay waits for the database");
                    away = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

/// Reads a command, changes its data and writes it again.
fn edited<Data: DeserializeOwned + Serialize>(
    body: &[u8],
    edit: impl FnOnce(&mut CloudEvent<Data>),
) -> serde_json::Result<Bytes> {
    let mut event = serde_json::from_slice(body)?;
    edit(&mut event);
    serde_json::to_vec(&event).map(Bytes::from)
}

fn message(row: OutboxRow) -> Message {
    Message {
        exchange: Exchange::Commands,
        routing_key: Arc::clone(&row.kind),
        also_to: None,
        // A platform binds the commands it acts on; the others are not an error. Those that Relink
        // acts on itself have a queue: while it is gone they stay in the outbox.
        mandatory: FOLLOWUP_KEYS.contains(&&*row.kind),
        id: row.id.as_str().into(),
        kind: row.kind,
        timestamp_unix_s: row.decided_at.0.div_euclid(1000),
        correlation: Some(row.correlation),
        content_type: CONTENT_TYPE_CLOUD_EVENT,
        headers: Headers {
            livemode: Some(row.scope.livemode),
            stripe_account: row.scope.stripe_account.clone(),
            traceparent: row.traceparent,
            ..Headers::default()
        },
        body: row.body,
    }
}
