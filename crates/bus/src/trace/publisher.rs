//! Tells of every publish.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Earlier, Operation, Span, Tracer};
use crate::message::Message;
use crate::port::{PublishError, Publisher};

/// A [`Publisher`] that tells of each message, from when it is handed over until it is confirmed.
pub struct TracedPublisher {
    inner: Arc<dyn Publisher>,
    tracer: Tracer,
}

impl TracedPublisher {
    /// Around another one.
    pub fn new(inner: Arc<dyn Publisher>, tracer: Tracer) -> Self {
        Self { inner, tracer }
    }

    /// Begins the span, and makes the message carry its context.
    fn begin(&self, message: &mut Message) -> Sending<'_> {
        let span = self.span(message);
        Sending { tracer: &self.tracer, span }
    }

    fn span(&self, message: &mut Message) -> Option<Span> {
        let traceparent = &mut message.headers.traceparent;
        if let (None, Some(command)) = (&traceparent, &message.correlation) {
            *traceparent = self.tracer.led_by(command);
        }
        let position = self.tracer.position(traceparent, false)?;
        Some(Span {
            operation: Operation::Send,
            destination: message.exchange.name(),
            context: position.context,
            parent: position.parent,
            link: position.link,
            started_unix_ns: self.tracer.traces.now_unix_ns(),
            ended_unix_ns: 0,
            message_id: Some(Arc::clone(&message.id)),
            kind: Some(Arc::clone(&message.kind)),
            routing_key: Arc::clone(&message.routing_key),
            correlation: message.correlation.clone(),
            body_bytes: message.body.len(),
            earlier: Earlier::default(),
            verdict: None,
            error: None,
        })
    }
}

/// A publish under way. One that nobody waits for any more is told as well: the message may have
/// gone out, and what follows from it names this span.
struct Sending<'a> {
    tracer: &'a Tracer,
    span: Option<Span>,
}

impl Sending<'_> {
    fn end(mut self, result: &Result<(), PublishError>) {
        if let Some(mut span) = self.span.take() {
            span.error = result.err().map(PublishError::as_str);
            self.tracer.end(span);
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.error = Some("given_up");
            self.tracer.end(span);
        }
    }
}

#[async_trait]
impl Publisher for TracedPublisher {
    async fn publish(&self, mut message: Message) -> Result<(), PublishError> {
        let sending = self.begin(&mut message);
        let result = self.inner.publish(message).await;
        sending.end(&result);
        result
    }

    async fn publish_all(&self, mut messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let sending: Vec<Sending<'_>> =
            messages.iter_mut().map(|message| self.begin(message)).collect();
        let results = self.inner.publish_all(messages).await;
        for (sending, result) in sending.into_iter().zip(&results) {
            sending.end(result);
        }
        results
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }
}
