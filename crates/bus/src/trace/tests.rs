use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::message::{Delivery, EventHead, Headers, Message, Receipt};
use crate::port::{
    ParkReason, Parking, PublishError, Publisher, Settlement, SubscribeError, Subscriber,
};
use crate::topology::WorkQueue;

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Time and numbers that count, and the spans that were told.
#[derive(Default)]
struct Told {
    count: AtomicU64,
    spans: Mutex<Vec<Span>>,
    given_up: AtomicU64,
}

impl Told {
    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

impl Traces for Told {
    fn now_unix_ns(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    fn random(&self) -> u64 {
        // Spread over all bits, so that a ratio has something to choose from.
        self.count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn record(&self, span: Span) {
        self.spans.lock().unwrap().push(span);
    }

    fn gave_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps what is published, hands out what it is given, and answers as told.
#[derive(Default)]
struct Bus {
    published: Mutex<Vec<Message>>,
    refuses: Option<PublishError>,
    hangs: bool,
    queued: Mutex<VecDeque<Delivery>>,
    settled: Mutex<Vec<(Receipt, Settlement)>>,
}

#[async_trait]
impl Publisher for Bus {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.published.lock().unwrap().push(message);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.refuses.map_or(Ok(()), Err)
    }

    fn is_ready(&self) -> bool {
        true
    }
}

#[async_trait]
impl Subscriber for Bus {
    async fn next_batch(&self, _: usize, _: Duration) -> Result<Vec<Delivery>, SubscribeError> {
        let batch: Vec<Delivery> = self.queued.lock().unwrap().drain(..).collect();
        if batch.is_empty() { Err(SubscribeError::Closed) } else { Ok(batch) }
    }

    async fn settle(&self, settlements: Vec<(Receipt, Settlement)>) {
        self.settled.lock().unwrap().extend(settlements);
    }

    async fn pause(&self) {}

    async fn close(&self) {}

    fn is_ready(&self) -> bool {
        true
    }
}

fn message(traceparent: Option<&str>) -> Message {
    let head = EventHead {
        id: "evt_1",
        kind: "v1.financial_connections.account.deactivated",
        routing_key: "financial_connections.account.deactivated",
        created_unix_s: 1_790_000_000,
        livemode: true,
        stripe_account: None,
        api_version: None,
    };
    let mut message = Message::of_event(&head, Bytes::from_static(b"{}"), 0);
    message.headers.traceparent = traceparent.map(Arc::from);
    message
}

fn delivery(tag: u64, headers: Headers) -> Delivery {
    Delivery {
        receipt: Receipt { generation: 1, tag },
        id: Some("evt_1".into()),
        kind: None,
        routing_key: "financial_connections.account.deactivated".into(),
        timestamp_unix_s: None,
        correlation: None,
        headers,
        redelivered: false,
        body: Bytes::new(),
    }
}

fn carrying(traceparent: Option<&str>) -> Headers {
    Headers { traceparent: traceparent.map(Arc::from), ..Headers::default() }
}

/// Publishes one message; what it carried then, and what was told.
async fn published(traceparent: Option<&str>, ratio: f64) -> (Option<Arc<str>>, Vec<Span>) {
    let (told, bus) = (Arc::new(Told::default()), Arc::new(Bus::default()));
    let publisher = TracedPublisher::new(bus.clone(), Tracer::new(told.clone(), ratio));
    publisher.publish(message(traceparent)).await.unwrap();
    let carried = bus.published.lock().unwrap()[0].headers.traceparent.clone();
    (carried, told.spans())
}

/// Takes one delivery with these headers and settles it; what it carried, and what was told.
async fn processed(headers: Headers, settlement: Settlement) -> (Option<Arc<str>>, Vec<Span>) {
    let (told, bus) = (Arc::new(Told::default()), Arc::new(Bus::default()));
    bus.queued.lock().unwrap().push_back(delivery(1, headers));
    let tracer = Tracer::new(told.clone(), 1.0);
    let subscriber = TracedSubscriber::new(bus.clone(), WorkQueue::Lifecycle, tracer);
    let batch = subscriber.next_batch(10, Duration::ZERO).await.unwrap();
    assert_eq!(told.spans(), [], "nothing is told before it is settled");
    let receipt = batch[0].receipt;
    subscriber.concluded(receipt, Verdict::Applied);
    subscriber.settle(vec![(receipt, settlement.clone())]).await;
    assert_eq!(*bus.settled.lock().unwrap(), [(receipt, settlement)]);
    assert!(subscriber.in_hand().is_empty());
    (batch[0].headers.traceparent.clone(), told.spans())
}

#[tokio::test]
async fn what_is_published_is_a_child_of_what_led_to_it() {
    let (carried, spans) = published(Some(GIVEN), 0.0).await;
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(carried.as_deref(), Some(&*span.context.to_string()));
    let given = TraceContext::parse(GIVEN).unwrap();
    assert_eq!((span.context.trace_id, span.parent), (given.trace_id, Some(given.span_id)));
    assert_ne!(span.context.span_id, given.span_id);
    assert_eq!((span.operation, span.destination), (Operation::Send, "relink.events"));
    assert_eq!(span.message_id.as_deref(), Some("evt_1"));
    assert_eq!(span.kind.as_deref(), Some("v1.financial_connections.account.deactivated"));
    assert!(span.started_unix_ns < span.ended_unix_ns);
    assert_eq!((span.link, span.error, span.verdict), (None, None, None));
}

#[tokio::test]
async fn what_follows_from_nothing_begins_a_trace() {
    for given in [None, Some("00-1-2-01")] {
        let (carried, spans) = published(given, 1.0).await;
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(carried.as_deref(), Some(&*span.context.to_string()));
        assert_eq!((span.parent, span.link), (None, None));
        assert!(span.context.is_sampled());
    }
}

#[tokio::test]
async fn who_does_not_sample_is_followed_and_nothing_is_told() {
    let (carried, spans) = published(Some(NOT_SAMPLED), 1.0).await;
    assert_eq!((carried.as_deref(), spans), (Some(NOT_SAMPLED), vec![]));
    for attempts in [0, 1] {
        let headers = Headers { attempts, ..carrying(Some(NOT_SAMPLED)) };
        let (carried, spans) = processed(headers, Settlement::Accept).await;
        assert_eq!((carried.as_deref(), spans), (Some(NOT_SAMPLED), vec![]));
    }
    // What is not sampled here says so, so that nobody draws again.
    let (carried, spans) = published(None, 0.0).await;
    let carried = TraceContext::parse(carried.as_deref().unwrap()).unwrap();
    assert!(!carried.is_sampled());
    assert_eq!(spans, []);
}

#[test]
fn the_ratio_is_the_part_of_traces_that_is_sampled() {
    const DRAWN: usize = 10_000;
    for (ratio, wanted) in [(0.0, 0), (0.01, 100), (0.25, 2500), (1.0, DRAWN)] {
        let tracer = Tracer::new(Arc::new(Told::default()), ratio);
        let sampled = (0..DRAWN).filter(|_| tracer.beginning().is_sampled()).count();
        assert!(sampled.abs_diff(wanted) <= wanted / 10, "{ratio}: {sampled}");
    }
}

#[tokio::test]
async fn a_delivery_is_told_with_its_verdict_once_it_is_settled() {
    let (carried, spans) = processed(carrying(Some(GIVEN)), Settlement::Accept).await;
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(carried.as_deref(), Some(&*span.context.to_string()));
    let given = TraceContext::parse(GIVEN).unwrap();
    assert_eq!((span.context.trace_id, span.parent), (given.trace_id, Some(given.span_id)));
    assert_eq!((span.operation, span.destination), (Operation::Process, "relink.lifecycle"));
    assert_eq!((span.verdict, span.error), (Some(Verdict::Applied), None));
}

#[tokio::test]
async fn a_replay_begins_a_trace_that_is_linked_to_the_old_one() {
    let requeued = Headers { requeues: 1, ..carrying(Some(GIVEN)) };
    let retried = Headers { attempts: 2, ..carrying(Some(GIVEN)) };
    for headers in [requeued, retried] {
        let earlier =
            Earlier { redelivered: false, attempts: headers.attempts, requeues: headers.requeues };
        let (carried, spans) = processed(headers, Settlement::Accept).await;
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(carried.as_deref(), Some(&*span.context.to_string()));
        let given = TraceContext::parse(GIVEN).unwrap();
        assert_eq!((span.parent, span.link), (None, Some(given)));
        assert_ne!(span.context.trace_id, given.trace_id);
        assert_eq!(span.earlier, earlier);
    }
}

#[tokio::test]
async fn what_is_read_for_a_command_follows_from_it() {
    for (given, ratio, told_of) in [(Some(GIVEN), 0.0, 3), (Some(NOT_SAMPLED), 1.0, 0)] {
        let (told, bus) = (Arc::new(Told::default()), Arc::new(Bus::default()));
        let tracer = Tracer::new(told.clone(), ratio);
        let publisher = TracedPublisher::new(bus.clone(), tracer.clone());
        let subscriber = TracedSubscriber::new(bus.clone(), WorkQueue::Followup, tracer);
        bus.queued.lock().unwrap().push_back(delivery(1, carrying(given)));
        let batch = subscriber.next_batch(1, Duration::ZERO).await.unwrap();
        for _ in 0..2 {
            let correlation = Some("evt_1".into());
            publisher.publish(Message { correlation, ..message(None) }).await.unwrap();
        }
        subscriber.settle(vec![(batch[0].receipt, Settlement::Accept)]).await;
        let spans = told.spans();
        assert_eq!(spans.len(), told_of);
        let context = batch[0].headers.traceparent.as_deref().unwrap();
        let context = TraceContext::parse(context).unwrap();
        for message in &*bus.published.lock().unwrap() {
            let carried = message.headers.traceparent.as_deref().unwrap();
            let carried = TraceContext::parse(carried).unwrap();
            assert_eq!(carried.trace_id, context.trace_id);
            let of_it = |span: &&Span| span.context.span_id == carried.span_id;
            let parent = spans.iter().find(of_it).map(|span| span.parent);
            assert_eq!(parent, (told_of > 0).then_some(Some(context.span_id)));
        }
    }
}

#[test]
fn only_the_newest_commands_are_remembered() {
    let tracer = Tracer::new(Arc::new(Told::default()), 1.0);
    for n in 0..CARRIED_OUT_MAX + 1 {
        tracer.carries_out(&n.to_string().into(), &GIVEN.into());
    }
    assert_eq!(tracer.carried_out().len(), CARRIED_OUT_MAX);
    assert_eq!(tracer.led_by("0"), None);
    assert_eq!(tracer.led_by("1").as_deref(), Some(GIVEN));
}

#[tokio::test]
async fn what_goes_wrong_is_named() {
    let parking = || Parking::new(ParkReason::Unparsable, "not JSON");
    for (settlement, error) in [
        (Settlement::HandBack, "handed_back"),
        (Settlement::Retry(parking()), "retried"),
        (Settlement::Park(parking()), "unparsable"),
    ] {
        let (_, spans) = processed(carrying(None), settlement).await;
        assert_eq!(spans[0].error, Some(error));
    }
    let bus = Arc::new(Bus { refuses: Some(PublishError::Blocked), ..Bus::default() });
    let told = Arc::new(Told::default());
    let publisher = TracedPublisher::new(bus.clone(), Tracer::new(told.clone(), 1.0));
    let results = publisher.publish_all(vec![message(None), message(Some(GIVEN))]).await;
    assert_eq!(results, [Err(PublishError::Blocked); 2]);
    let spans = told.spans();
    assert_eq!(spans.len(), 2);
    for (span, message) in spans.iter().zip(&*bus.published.lock().unwrap()) {
        assert_eq!(span.error, Some("blocked"));
        assert_eq!(message.headers.traceparent.as_deref(), Some(&*span.context.to_string()));
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_told_all_the_same() {
    let bus = Arc::new(Bus { hangs: true, ..Bus::default() });
    let told = Arc::new(Told::default());
    let publisher = TracedPublisher::new(bus.clone(), Tracer::new(told.clone(), 1.0));
    let publishing = tokio::spawn(async move { publisher.publish(message(Some(GIVEN))).await });
    while bus.published.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(told.spans(), []);
    publishing.abort();
    assert!(publishing.await.unwrap_err().is_cancelled());
    let spans = told.spans();
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(span.error, Some("given_up"));
    let message = bus.published.lock().unwrap()[0].clone();
    assert_eq!(message.headers.traceparent.as_deref(), Some(&*span.context.to_string()));
}

#[tokio::test]
async fn what_is_never_settled_does_not_add_up() {
    let (told, bus) = (Arc::new(Told::default()), Arc::new(Bus::default()));
    let tracer = Tracer::new(told.clone(), 1.0);
    let subscriber = TracedSubscriber::new(bus.clone(), WorkQueue::Lifecycle, tracer);
    let most = u64::try_from(subscriber::IN_HAND_MAX).unwrap();
    for tag in 0..most + 10 {
        bus.queued.lock().unwrap().push_back(delivery(tag, Headers::default()));
    }
    let batch = subscriber.next_batch(usize::MAX, Duration::ZERO).await.unwrap();
    assert_eq!(batch.len(), subscriber::IN_HAND_MAX + 10);
    assert_eq!(subscriber.in_hand().len(), subscriber::IN_HAND_MAX);
    assert_eq!(told.given_up.load(Ordering::Relaxed), 10, "what is not told is counted");
    let all = batch.iter().map(|one| (one.receipt, Settlement::Accept)).collect();
    subscriber.settle(all).await;
    assert_eq!(told.spans().len(), subscriber::IN_HAND_MAX);
    assert_eq!(bus.settled.lock().unwrap().len(), batch.len());
}
