//! The far end of the queue: spans in batches to the collector, a few attempts each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus::{IntCounter, IntCounterVec};
use relink_bus::trace::Span;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::body::{Origin, refused_spans};
use crate::wiring;

/// Most spans in a request, as OpenTelemetry's own exporters have it: half a mebibyte.
const BATCH_MAX: usize = 512;

/// How long a batch may fill after its first span: a trace is looked at by people.
const LINGER: Duration = Duration::from_secs(1);

/// How long the collector may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the collector may take once it is time to close: what else waits wants its turn, too.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Pauses between attempts for one batch; a collector that is restarted is back by then. Longer
/// ones would only fill the queue behind it.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// The longest pause that a collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often trouble is told at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The largest answer that is read: it says how many spans were refused.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends spans to one collector.
pub(super) struct Delivery {
    client: Client,
    url: Url,
    origin: Origin,
    exported: IntCounter,
    dropped: IntCounter,
    /// How many are in the queue or in hand: neither exported nor dropped.
    unsettled: Arc<AtomicU64>,
    trouble: Trouble,
}

/// What the collector said to a request that it has taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) status: StatusCode,
    /// How many of the spans it refuses.
    refused: u64,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    /// For people; nothing of an address and nothing that the collector said.
    pub(super) why: String,
    /// After what pause it may be tried again; `None`: not at all.
    again: Option<Option<Duration>>,
}

impl Delivery {
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(
        url: Url,
        origin: Origin,
        spans: &IntCounterVec,
        unsettled: Arc<AtomicU64>,
    ) -> Result<Self, reqwest::Error> {
        let client = wiring::http_client(&url).timeout(ANSWER_TIMEOUT).build()?;
        let counter = |result: &str| spans.with_label_values(&[result]);
        let (exported, dropped) = (counter("exported"), counter("dropped"));
        let trouble = Trouble::default();
        Ok(Self { client, url, origin, exported, dropped, unsettled, trouble })
    }

    /// Sends until told to close, and then what is left.
    pub(super) async fn run(mut self, mut waiting: Receiver<Span>, closing: CancellationToken) {
        let mut spans = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                count = waiting.recv_many(&mut spans, BATCH_MAX) => if count == 0 { return },
            }
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                _ = timeout(LINGER, fill(&mut waiting, &mut spans)) => {}
            }
            self.deliver(&spans, &closing).await;
            spans.clear();
        }
        waiting.close();
        while waiting.recv_many(&mut spans, BATCH_MAX).await > 0 {
            self.deliver(&spans, &closing).await;
            spans.clear();
        }
    }

    /// A few attempts; the last one when it is time to close.
    async fn deliver(&mut self, spans: &[Span], closing: &CancellationToken) {
        let (body, count) = (Bytes::from(self.origin.body(spans)), spans.len() as u64);
        let mut pauses = PAUSES.into_iter();
        let mut is_last = closing.is_cancelled();
        let refusal = loop {
            let refusal = match self.attempt_in_time(body.clone(), closing).await {
                Ok(Taken { refused, .. }) => {
                    let refused = refused.min(count);
                    self.settled(count - refused, refused);
                    let some = (refused > 0).then_some("it refuses some of them");
                    return self.tell(some);
                }
                Err(refusal) => refusal,
            };
            let (Some(wanted), Some(pause), false) = (refusal.again, pauses.next(), is_last) else {
                break refusal;
            };
            let pause = wanted.unwrap_or(pause).min(PAUSE_MAX);
            tokio::select! {
                biased;
                () = closing.cancelled() => is_last = true,
                () = tokio::time::sleep(pause) => {}
            }
        };
        self.settled(0, count);
        self.tell(Some(&refusal.why));
    }

    fn settled(&self, exported: u64, dropped: u64) {
        self.exported.inc_by(exported);
        self.dropped.inc_by(dropped);
        self.unsettled.fetch_sub(exported + dropped, Ordering::Relaxed);
    }

    /// An attempt; one that it is time to close for has little of it left.
    async fn attempt_in_time(
        &self,
        body: Bytes,
        closing: &CancellationToken,
    ) -> Result<Taken, Refusal> {
        let late = async {
            closing.cancelled().await;
            tokio::time::sleep(LAST_ANSWER_TIMEOUT).await;
        };
        tokio::select! {
            biased;
            answer = attempt(&self.client, &self.url, body) => answer,
            () = late => Err(Refusal { why: "it does not answer in time".to_owned(), again: None }),
        }
    }

    /// After each batch: why it was not taken, if it was not.
    fn tell(&mut self, why: Option<&str>) {
        match self.trouble.after(why.is_some(), self.dropped.get()) {
            Some(Told::Lost(spans)) => {
                let why = why.unwrap_or("it takes fewer than there are; lower RELINK_TRACE_RATIO");
                tracing::warn!(
                    spans,
                    "spans for the collector of RELINK_OTLP_URL are dropped: {why}"
                );
            }
            Some(Told::Back(spans)) => {
                tracing::info!(spans, "the collector of RELINK_OTLP_URL takes all spans again");
            }
            None => {}
        }
    }
}

/// One request, and what the collector says.
pub(super) async fn attempt(client: &Client, url: &Url, body: Bytes) -> Result<Taken, Refusal> {
    let request = client.post(url.clone()).header(CONTENT_TYPE, "application/json");
    let answer = request.body(body).send().await.map_err(|error| {
        let why = match &error {
            error if error.is_timeout() => "it does not answer in time",
            error if error.is_connect() => "it cannot be reached",
            _ => "the connection to it broke",
        };
        Refusal { why: why.to_owned(), again: Some(None) }
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(Taken { status, refused: refused_spans(&read(answer).await) });
    }
    // These and no others may be sent again (OTLP 1.9, "Retryable Response Codes").
    let may_pass = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let wanted = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wanted = wanted.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let hint = match status {
        StatusCode::NOT_FOUND => ": is there an OTLP receiver for HTTP at this address?",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ": it has to take OTLP in JSON",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": send traces to a collector of your own, which has the credentials"
        }
        _ => "",
    };
    let why = format!("it answers {}{hint}", status.as_u16());
    Err(Refusal { why, again: may_pass.then_some(wanted) })
}

/// Takes more spans until the batch is full.
async fn fill(waiting: &mut Receiver<Span>, spans: &mut Vec<Span>) {
    while spans.len() < BATCH_MAX {
        let room = BATCH_MAX - spans.len();
        if waiting.recv_many(spans, room).await == 0 {
            return;
        }
    }
}

/// The answer's body, as far as it is of a sensible size.
async fn read(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = answer.chunk().await {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Vec::new();
        }
        body.extend_from_slice(&part);
    }
    body
}

/// What was told of trouble, so that it is told once and then now and again.
#[derive(Default)]
struct Trouble {
    told: Option<Instant>,
    /// Whether what was told has not been taken back.
    lasts: bool,
    /// How many spans had been dropped when that was told, and after the latest batch.
    told_of: u64,
    dropped: u64,
}

/// What there is to tell, with the number of spans that were dropped since the last time.
#[derive(PartialEq, Eq, Debug)]
enum Told {
    Lost(u64),
    Back(u64),
}

impl Trouble {
    /// After each batch: whether it was refused, and how many spans have been dropped in all. More
    /// may have been dropped than were refused: those that found the queue full.
    fn after(&mut self, refused: bool, dropped: u64) -> Option<Told> {
        let lost = refused || dropped > self.dropped;
        self.dropped = dropped;
        let spans = dropped.saturating_sub(self.told_of);
        if lost && self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            (self.told, self.lasts, self.told_of) = (Some(Instant::now()), true, dropped);
            return Some(Told::Lost(spans));
        }
        if !lost && self.lasts {
            (self.lasts, self.told_of) = (false, dropped);
            return Some(Told::Back(spans));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_told_once_a_minute_and_so_is_its_end() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.after(false, 0), None);
        assert_eq!(trouble.after(true, 5), Some(Told::Lost(5)));
        assert_eq!(trouble.after(true, 9), None);
        assert_eq!(trouble.after(false, 9), Some(Told::Back(4)));
        assert_eq!(trouble.after(false, 9), None);
        // A collector that comes and goes does not fill the log.
        assert_eq!(trouble.after(true, 10), None);
        assert_eq!(trouble.after(false, 10), None);
        tokio::time::advance(TELL_EVERY).await;
        // What found the queue full is lost as well, although the batch was taken.
        assert_eq!(trouble.after(false, 12), Some(Told::Lost(3)));
        tokio::time::advance(TELL_EVERY).await;
        assert_eq!(trouble.after(true, 20), Some(Told::Lost(8)));
        assert_eq!(trouble.after(false, 20), Some(Told::Back(0)));
    }
}
