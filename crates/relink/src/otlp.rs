//! Traces on their way out: OTLP over HTTP, to a collector of the operator's.
//!
//! Spans are put into a bounded queue, from which a task of its own sends them. Whatever becomes of
//! the collector, the work neither waits nor fails: what finds no place is dropped and counted.
//! Without `RELINK_OTLP_URL` there are neither spans nor the decorators that make them.

mod body;
mod delivery;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};
use relink_bus::port::{Publisher, Subscriber};
use relink_bus::topology::WorkQueue;
use relink_bus::trace::{Span, TracedPublisher, TracedSubscriber, Tracer, Traces};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::body::Origin;
use self::delivery::Delivery;
use crate::failure::Failure;
use crate::settings::Collector;

/// How many spans wait to be sent: some seconds of a busy worker's, and a few mebibytes.
const WAITING_MAX: usize = 8192;

/// How long the last spans may take at shutdown, within what is left of its time: a collector that
/// does not answer must not hold up every deployment.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// What the process tells of its traces, if it does; clones share it.
#[derive(Clone)]
pub(crate) struct Tracing(Option<Exporting>);

#[derive(Clone)]
struct Exporting {
    tracer: Tracer,
    closing: CancellationToken,
    sending: TaskTracker,
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
        let Some(Collector { url, ratio }) = collector else { return Ok(Self::off()) };
        tracing::info!(collector = url.as_str(), ratio, "traces are exported");
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let origin = Origin::new(role);
        let delivery = Delivery::new(url, origin, spans.clone()).map_err(|_| {
            Failure::unavailable(
                "no https to the collector of RELINK_OTLP_URL: this machine has no certificates of \
                 authorities; install ca-certificates, or write http:// to a collector beside it",
            )
        })?;
        let (closing, sending) = (CancellationToken::new(), TaskTracker::new());
        sending.spawn(delivery.run(waiting, closing.clone()));
        sending.close();
        let outlet = Outlet { sender, dropped: spans.with_label_values(&["dropped"]) };
        let tracer = Tracer::new(Arc::new(outlet), ratio);
        Ok(Self(Some(Exporting { tracer, closing, sending })))
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

    /// Sends what still waits, as far as the time suffices.
    pub(crate) async fn close(self, within: Duration) {
        let Some(Exporting { closing, sending, .. }) = self.0 else { return };
        closing.cancel();
        if tokio::time::timeout(within.min(CLOSING_MAX), sending.wait()).await.is_err() {
            tracing::warn!("the last spans were not sent in time");
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
    dropped: prometheus::IntCounter,
}

impl Traces for Outlet {
    fn now_unix_ns(&self) -> u64 {
        u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
    }

    fn random(&self) -> u64 {
        rand::random()
    }

    fn record(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use bytes::Bytes;
    use relink_bus::message::{EventHead, Message};
    use relink_bus::port::PublishError;

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

    #[tokio::test]
    async fn what_finds_the_queue_full_is_counted_and_holds_up_nobody() {
        let spans = register(&Registry::new()).unwrap();
        let dropped = spans.with_label_values(&["dropped"]);
        let (sender, mut waiting) = mpsc::channel(2);
        let tracer = Tracer::new(Arc::new(Outlet { sender, dropped: dropped.clone() }), 1.0);
        let anywhere = Arc::new(Anywhere::default());
        let publisher = TracedPublisher::new(anywhere.clone(), tracer);
        let head = EventHead {
            id: "evt_1",
            kind: "financial_connections.account.created",
            routing_key: "financial_connections.account.created",
            created_unix_s: 1_790_000_000,
            livemode: true,
            stripe_account: None,
            api_version: None,
        };
        for _ in 0..5 {
            publisher.publish(Message::of_event(&head, Bytes::new(), 0)).await.unwrap();
        }
        assert_eq!((*anywhere.0.lock().unwrap(), dropped.get()), (5, 3));
        let kept = [waiting.try_recv().unwrap(), waiting.try_recv().unwrap()];
        assert_ne!(kept[0].context.trace_id, kept[1].context.trace_id);
        assert!(waiting.try_recv().is_err());
    }
}
