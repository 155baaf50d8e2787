//! Traces on their way out: OTLP over HTTP, to a collector of the operator's.
//!
//! Spans are put into a bounded queue, from which a task of its own sends them. Whatever becomes of
//! the collector, the work neither waits nor fails: what finds no place is dropped and counted.
//! Without `RELINK_OTLP_URL` there are neither spans nor the decorators that make them.

mod body;
mod delivery;
mod probe;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use relink_bus::port::{Publisher, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_bus::trace::{Span, TracedPublisher, TracedSubscriber, Tracer, Traces};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::probe::{Probed, probe};

use self::body::Origin;
use self::delivery::Delivery;
use crate::failure::Failure;
use crate::settings::Collector;

/// How many spans wait to be sent: some seconds of a busy worker's, and a few mebibytes.
const WAITING_MAX: usize = 8192;

/// How long the last spans may take at shutdown, within what is left of its time: a collector that
/// does not answer must not hold up every deployment.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Why no client can be made, and what to do.
const NO_AUTHORITIES: &str = "no https to the collector of RELINK_OTLP_URL: this machine has no \
                              certificates of authorities";
const GET_AUTHORITIES: &str = "install ca-certificates, or write http:// to a collector beside it";

/// What the process tells of its traces, if it does; clones share it.
#[derive(Clone)]
pub(crate) struct Tracing(Option<Exporting>);

#[derive(Clone)]
struct Exporting {
    tracer: Tracer,
    closing: CancellationToken,
    sending: TaskTracker,
    /// Ends the sending where it stands.
    giving_up: CancellationToken,
    /// How many spans are neither exported nor dropped.
    unsettled: Arc<AtomicU64>,
    dropped: IntCounter,
}

impl Tracing {
    /// Tells nothing.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// Begins to send what the process will tell; where there is no collector, there are only the
    /// metrics.
    pub(crate) fn start(
        collector: Option<Collector>,
        role: &str,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let spans = register(registry).map_err(Failure::software)?;
        let on = collector.map(|collector| Self::exporting(collector, role, &spans)).transpose()?;
        Ok(Self(on))
    }

    fn exporting(
        collector: Collector,
        role: &str,
        spans: &IntCounterVec,
    ) -> Result<Exporting, Failure> {
        let Collector { url, ratio } = collector;
        tracing::info!(collector = url.as_str(), ratio, "traces are exported");
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let origin = Origin::new(role);
        let unsettled = Arc::<AtomicU64>::default();
        let delivery = Delivery::new(url, origin, spans, Arc::clone(&unsettled));
        let delivery = delivery
            .map_err(|_| Failure::unavailable(format!("{NO_AUTHORITIES}; {GET_AUTHORITIES}")))?;
        let (closing, sending) = (CancellationToken::new(), TaskTracker::new());
        let giving_up = CancellationToken::new();
        let run = delivery.run(waiting, closing.clone());
        sending.spawn(giving_up.clone().run_until_cancelled_owned(run));
        sending.close();
        let dropped = spans.with_label_values(&["dropped"]);
        let outlet = Outlet { sender, unsettled: Arc::clone(&unsettled), dropped: dropped.clone() };
        let tracer = Tracer::new(Arc::new(outlet), ratio);
        Ok(Exporting { tracer, closing, sending, giving_up, unsettled, dropped })
    }

    /// The publisher, and what it publishes is told.
    pub(crate) fn publisher(&self, publisher: Arc<dyn Publisher>) -> Arc<dyn Publisher> {
        match &self.0 {
            Some(on) => Arc::new(TracedPublisher::new(publisher, on.tracer.clone())),
            None => publisher,
        }
    }

    /// The subscriber of a queue, and what becomes of its deliveries is told.
    pub(crate) fn subscriber(
        &self,
        queue: WorkQueue,
        subscriber: Arc<dyn Subscriber>,
    ) -> Arc<dyn Subscriber> {
        match &self.0 {
            Some(on) => Arc::new(TracedSubscriber::new(subscriber, queue, on.tracer.clone())),
            None => subscriber,
        }
    }

    /// Sends what still waits, as far as the time suffices; the rest is dropped and counted.
    pub(crate) async fn close(self, within: Duration) {
        let Some(Exporting { closing, sending, giving_up, unsettled, dropped, .. }) = self.0 else {
            return;
        };
        closing.cancel();
        if tokio::time::timeout(within.min(CLOSING_MAX), sending.wait()).await.is_err() {
            giving_up.cancel();
            sending.wait().await;
            let spans = unsettled.swap(0, Ordering::Relaxed);
            dropped.inc_by(spans);
            tracing::warn!(spans, "the last spans were not sent in time and are dropped");
        }
    }
}

/// Counts spans; every result is there from the start.
fn register(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Spans of traces, by whether the collector has taken them";
    let spans = IntCounterVec::new(Opts::new("relink_trace_spans_total", help), &["result"])?;
    for result in ["exported", "dropped"] {
        spans.with_label_values(&[result]);
    }
    registry.register(Box::new(spans.clone()))?;
    Ok(spans)
}

/// The near end of the queue.
struct Outlet {
    sender: mpsc::Sender<Span>,
    unsettled: Arc<AtomicU64>,
    dropped: IntCounter,
}

impl Traces for Outlet {
    fn now_unix_ns(&self) -> u64 {
        u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
    }

    fn random(&self) -> u64 {
        rand::random()
    }

    fn record(&self, span: Span) {
        // Before it is there: whoever sends it counts it down.
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(span).is_err() {
            self.unsettled.fetch_sub(1, Ordering::Relaxed);
            self.dropped.inc();
        }
    }

    fn gave_up(&self) {
        self.dropped.inc();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use axum::Router;
    use axum::extract::Request;
    use axum::middleware::{self, Next};
    use axum::routing::{MethodRouter, post};
    use bytes::Bytes;
    use relink_bus::message::{EventHead, Message};
    use relink_bus::port::PublishError;
    use reqwest::StatusCode;
    use reqwest::header::RETRY_AFTER;
    use tokio::net::TcpListener;

    use super::*;

    /// Takes everything.
    #[derive(Default)]
    struct Anywhere(Mutex<u32>);

    #[async_trait]
    impl Publisher for Anywhere {
        async fn publish(&self, _: Message) -> Result<(), PublishError> {
            *self.0.lock().unwrap() += 1;
            Ok(())
        }

        fn is_ready(&self) -> bool {
            true
        }
    }

    fn message() -> Message {
        let head = EventHead {
            id: "evt_1",
            kind: "financial_connections.account.created",
            routing_key: "financial_connections.account.created",
            created_unix_s: 1_790_000_000,
            livemode: true,
            stripe_account: None,
            api_version: None,
        };
        Message::of_event(&head, Bytes::new(), 0)
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_counted_and_holds_up_nobody() {
        let spans = register(&Registry::new()).unwrap();
        let dropped = spans.with_label_values(&["dropped"]);
        let (sender, mut waiting) = mpsc::channel(2);
        let outlet = Outlet { sender, unsettled: Arc::default(), dropped: dropped.clone() };
        let tracer = Tracer::new(Arc::new(outlet), 1.0);
        let anywhere = Arc::new(Anywhere::default());
        let publisher = TracedPublisher::new(anywhere.clone(), tracer);
        for _ in 0..5 {
            publisher.publish(message()).await.unwrap();
        }
        assert_eq!((*anywhere.0.lock().unwrap(), dropped.get()), (5, 3));
        let kept = [waiting.try_recv().unwrap(), waiting.try_recv().unwrap()];
        assert_ne!(kept[0].context.trace_id, kept[1].context.trace_id);
        assert!(waiting.try_recv().is_err());
    }

    /// One span on its way to a collector that answers so; how many it takes and how many are
    /// dropped, when it is closed once the first request has come.
    async fn closed_after_one_request(answer: MethodRouter, within: Duration) -> (u64, u64) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (came, mut has_come) = mpsc::channel(8);
        let told = middleware::from_fn(move |request: Request, next: Next| {
            let came = came.clone();
            async move {
                came.send(()).await.unwrap();
                next.run(request).await
            }
        });
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", answer.layer(told));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let spans = register(&Registry::new()).unwrap();
        let collector = Collector { url: url.parse().unwrap(), ratio: 1.0 };
        let tracing = Tracing(Some(Tracing::exporting(collector, "ingress", &spans).unwrap()));
        tracing.publisher(Arc::new(Anywhere::default())).publish(message()).await.unwrap();
        has_come.recv().await.unwrap();
        tracing.close(within).await;
        let of = |result: &str| spans.with_label_values(&[result]).get();
        (of("exported"), of("dropped"))
    }

    #[tokio::test]
    async fn what_waits_for_its_turn_gets_a_last_attempt_when_it_is_time_to_close() {
        let count = Arc::new(AtomicU64::new(0));
        let busy_once = post(move || async move {
            match count.fetch_add(1, Ordering::Relaxed) {
                0 => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "{}"),
                _ => (StatusCode::OK, [(RETRY_AFTER, "0")], "{}"),
            }
        });
        let closed = closed_after_one_request(busy_once, CLOSING_MAX).await;
        assert_eq!(closed, (1, 0), "exported, dropped");
        let always = post(async || (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "30")], "{}"));
        assert_eq!(closed_after_one_request(always, CLOSING_MAX).await, (0, 1));
    }

    #[tokio::test]
    async fn what_could_not_be_sent_in_time_is_counted_as_dropped() {
        let never = || post(async || std::future::pending::<StatusCode>().await);
        assert_eq!(closed_after_one_request(never(), Duration::ZERO).await, (0, 1));
        // With time enough, its answer is not waited for as long as at other times.
        assert_eq!(closed_after_one_request(never(), CLOSING_MAX).await, (0, 1));
    }
}
