//! Traces: who sent a message, who processed it, and what followed from it.
//!
//! Two decorators of the ports do all of it: [`TracedPublisher`] tells of every publish and
//! [`TracedSubscriber`] of every delivery, from when it is handed out until it is settled. Each
//! writes the context of its own span into the `traceparent` of the message, so that whatever
//! follows is told as its child: webhook, event, command, observation. Without them a
//! `traceparent` travels as it came.
//!
//! Where spans go, the time and the chances are a port, [`Traces`]: nothing here exports, looks at
//! a clock or draws a number.

mod context;
mod publisher;
mod subscriber;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relink_core::input::Verdict;

pub use context::TraceContext;
pub use publisher::TracedPublisher;
pub use subscriber::TracedSubscriber;

/// What tracing needs of its process.
pub trait Traces: Send + Sync {
    /// Unix time in nanoseconds.
    fn now_unix_ns(&self) -> u64;

    /// Any number, each as likely as the others.
    fn random(&self) -> u64;

    /// Takes a span that has ended; at once, whatever becomes of it.
    fn record(&self, span: Span);

    /// Hears of a span that will never be told, because there are too many in hand.
    fn gave_up(&self);
}

/// What was done with a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// It was published.
    Send,
    /// It was taken from a queue and worked on.
    Process,
}

impl Operation {
    /// The name, as OpenTelemetry's conventions for messaging have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Process => "process",
        }
    }
}

/// What a delivery carried when it came, beside its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Earlier {
    /// The broker has handed it out before.
    pub redelivered: bool,
    /// How many times the retry ladder has been climbed.
    pub attempts: u32,
    /// How many times a person has put it back.
    pub requeues: u32,
}

/// What happened to one message in one place. There is no room for a body, and none for a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// What was done.
    pub operation: Operation,
    /// The exchange it was sent to, or the queue it was taken from.
    pub destination: &'static str,
    /// The trace it belongs to, and its own id there.
    pub context: TraceContext,
    /// The span within the same trace that led to it.
    pub parent: Option<u64>,
    /// What it repeats: the message had been on its way before, in a trace of its own.
    pub link: Option<TraceContext>,
    /// Unix time in nanoseconds.
    pub started_unix_ns: u64,
    /// Unix time in nanoseconds; 0 until it has ended.
    pub ended_unix_ns: u64,
    /// `message_id`
    pub message_id: Option<Arc<str>>,
    /// `type`
    pub kind: Option<Arc<str>>,
    /// The message's address.
    pub routing_key: Arc<str>,
    /// `correlation_id`
    pub correlation: Option<Arc<str>>,
    /// How long the body is.
    pub body_bytes: usize,
    /// How it came to a worker.
    pub earlier: Earlier,
    /// What was concluded from it.
    pub verdict: Option<Verdict>,
    /// What went wrong: the name of a refusal, from a closed list.
    pub error: Option<&'static str>,
}

/// Begins spans; clones share where they go.
#[derive(Clone)]
pub struct Tracer {
    traces: Arc<dyn Traces>,
    /// Traces whose number is at least this are sampled.
    sampled_from: u64,
    carried_out: Arc<Mutex<VecDeque<CarriedOut>>>,
}

/// A command that Relink carries out itself, and the `traceparent` of what becomes of it.
struct CarriedOut {
    id: Arc<str>,
    traceparent: Arc<str>,
}

/// How many commands are remembered: several times those that a followup worker has in hand.
const CARRIED_OUT_MAX: usize = 64;

/// How many bits of a trace's id are its number: the rightmost seven bytes, so that whoever
/// samples a trace by the same rule comes to the same end (W3C Trace Context 2, random flag).
const NUMBER_BITS: u32 = 56;

/// Where a span belongs.
struct Position {
    context: TraceContext,
    parent: Option<u64>,
    link: Option<TraceContext>,
}

impl Tracer {
    /// `ratio`: which part of the traces that begin here are sampled, 0 to 1.
    pub fn new(traces: Arc<dyn Traces>, ratio: f64) -> Self {
        let all = (1_u64 << NUMBER_BITS) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and two to the power of 56"
        )]
        let sampled_from = ((1.0 - ratio.clamp(0.0, 1.0)) * all) as u64;
        Self { traces, sampled_from, carried_out: Arc::default() }
    }

    /// Takes a message's `traceparent`, puts its own in place, and returns where the span belongs
    /// that has to be told. A trace that is not sampled goes on as it came.
    fn position(&self, traceparent: &mut Option<Arc<str>>, is_replay: bool) -> Option<Position> {
        let given = traceparent.as_deref().and_then(TraceContext::parse);
        let position = match given {
            Some(given) if !given.is_sampled() => return None,
            // The first attempt may be long past: its trace is over.
            Some(given) if is_replay => {
                let context = self.beginning().sampled(true);
                Position { context, parent: None, link: Some(given) }
            }
            Some(given) => Position {
                context: given.with_span(self.id()),
                parent: Some(given.span_id),
                link: None,
            },
            None => Position { context: self.beginning(), parent: None, link: None },
        };
        // Not sampled is told as well: whoever comes next must not draw once more.
        *traceparent = Some(position.context.to_string().into());
        position.context.is_sampled().then_some(position)
    }

    /// A new trace.
    fn beginning(&self) -> TraceContext {
        let trace_id = u128::from(self.traces.random()) << 64 | u128::from(self.id());
        let number = trace_id & ((1 << NUMBER_BITS) - 1);
        let context = TraceContext { trace_id, span_id: self.id(), flags: 0 };
        context.sampled(number >= u128::from(self.sampled_from))
    }

    /// Anything but 0, which stands for no id (W3C Trace Context, 3.2.2.4).
    fn id(&self) -> u64 {
        self.traces.random().max(1)
    }

    /// Remembers a command: what is read because of it is published under its id.
    fn carries_out(&self, id: &Arc<str>, traceparent: &Arc<str>) {
        let mut carried_out = self.carried_out();
        if carried_out.len() >= CARRIED_OUT_MAX {
            carried_out.pop_front();
        }
        let (id, traceparent) = (Arc::clone(id), Arc::clone(traceparent));
        carried_out.push_back(CarriedOut { id, traceparent });
    }

    /// The `traceparent` of what is published because of a command.
    fn led_by(&self, command: &str) -> Option<Arc<str>> {
        let carried_out = self.carried_out();
        let newest = carried_out.iter().rev().find(|one| &*one.id == command);
        newest.map(|one| Arc::clone(&one.traceparent))
    }

    fn carried_out(&self) -> MutexGuard<'_, VecDeque<CarriedOut>> {
        self.carried_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, mut span: Span) {
        span.ended_unix_ns = self.traces.now_unix_ns().max(span.started_unix_ns);
        self.traces.record(span);
    }
}

#[cfg(test)]
mod tests;
