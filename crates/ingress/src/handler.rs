//! One request from top to bottom.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use prometheus::Registry;
use relink_bus::bug::{Bug, is_planted};
use relink_bus::port::Publisher;
use relink_stripe::envelope::Envelope;
use relink_stripe::signature::Rejection;
use tokio::sync::Semaphore;

use crate::answer::Answers;
use crate::body;
use crate::config::IngressConfig;
use crate::message::message;
use crate::metrics::{Metrics, Outcome};
use crate::refusal::Refusal;

/// Where Stripe sends its webhooks.
pub const WEBHOOK_PATH: &str = "/webhooks/stripe";

/// Stripe docs, webhooks: the header that carries time and signatures.
const SIGNATURE_HEADER: &str = "stripe-signature";

/// The endpoint for Stripe's webhooks; cloning shares it.
#[derive(Clone)]
pub struct Ingress(Arc<Endpoint>);

struct Endpoint {
    config: IngressConfig,
    publisher: Arc<dyn Publisher>,
    metrics: Metrics,
    answers: Answers,
    slots: Semaphore,
}

impl Ingress {
    /// Prepares the endpoint; nothing is listened on yet.
    ///
    /// # Errors
    /// If the registry already has metrics of an ingress.
    pub fn new(
        config: IngressConfig,
        publisher: Arc<dyn Publisher>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let in_flight_max = config.in_flight_max.min(Semaphore::MAX_PERMITS);
        Ok(Self(Arc::new(Endpoint {
            config,
            publisher,
            metrics: Metrics::new(registry)?,
            answers: Answers::new(),
            slots: Semaphore::new(in_flight_max),
        })))
    }

    /// `POST` [`WEBHOOK_PATH`]; everything else is refused in the same form.
    pub fn router(&self) -> Router {
        Router::new()
            .route(WEBHOOK_PATH, post(receive).fallback(method_not_allowed))
            .fallback(not_found)
            .with_state(self.clone())
    }
}

async fn receive(State(Ingress(endpoint)): State<Ingress>, request: Request) -> Response {
    // Not queued: whoever waits here holds memory, and Stripe sends it again anyway.
    let Ok(_slot) = endpoint.slots.try_acquire() else {
        return endpoint.refuse(Refusal::Busy);
    };
    let _in_flight = endpoint.metrics.in_flight();
    match endpoint.take(request).await {
        Ok(outcome) => {
            endpoint.metrics.accepted(outcome);
            Answers::received(outcome == Outcome::Published)
        }
        Err(refusal) => endpoint.refuse(refusal),
    }
}

async fn not_found(State(Ingress(endpoint)): State<Ingress>) -> Response {
    endpoint.refuse(Refusal::NotFound)
}

async fn method_not_allowed(State(Ingress(endpoint)): State<Ingress>) -> Response {
    endpoint.refuse(Refusal::MethodNotAllowed)
}

impl Endpoint {
    /// Dropping this at any point is safe: nothing is answered 2xx then, and what is not answered
    /// 2xx Stripe sends again. A copy that was taken meanwhile is told by its id later on.
    async fn take(&self, request: Request) -> Result<Outcome, Refusal> {
        let (head, body) = request.into_parts();
        let body = body::read(body, self.config.body_bytes_max, self.config.body_timeout).await?;
        let received_at_unix_ms = (self.config.now)();
        let signature = match head.headers.get(SIGNATURE_HEADER) {
            Some(value) => {
                Some(value.to_str().map_err(|_| Refusal::Signature(Rejection::Malformed))?)
            }
            None => None,
        };
        let verified = self
            .config
            .verifier
            .verify(signature, &body, received_at_unix_ms.div_euclid(1000))
            .map_err(Refusal::Signature)?;
        self.metrics.verified(verified, received_at_unix_ms);
        let envelope = Envelope::read(&body).map_err(Refusal::Envelope)?;
        let outcome = self.judge(&envelope);
        let mut published = Ok(());
        if outcome == Outcome::Published {
            let message = message(&envelope, body.clone(), &head.headers, received_at_unix_ms);
            let timer = self.metrics.publish_seconds.start_timer();
            published = if is_planted(Bug::AnswerBeforeConfirm) {
                let publisher = Arc::clone(&self.publisher);
                tokio::spawn(async move { publisher.publish(message).await });
                Ok(())
            } else {
                self.publisher.publish(message).await
            };
            timer.observe_duration();
        }
        tracing::debug!(
            event.id = &*envelope.id,
            event.kind = &*envelope.kind,
            event.livemode = envelope.livemode,
            stripe_account = envelope.stripe_account.as_deref(),
            outcome = published.map_or_else(|error| error.as_str(), |()| outcome.as_str()),
            "took a webhook",
        );
        published.map_err(Refusal::Publish)?;
        Ok(outcome)
    }

    /// What becomes of a genuine event, provided that the bus takes it.
    fn judge(&self, envelope: &Envelope<'_>) -> Outcome {
        if !envelope.is_financial_connections() {
            Outcome::IgnoredType
        } else if self.config.livemode.is_some_and(|livemode| livemode != envelope.livemode) {
            Outcome::OtherMode
        } else {
            Outcome::Published
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        self.metrics.refused(refusal);
        let reason = refusal.as_str();
        if refusal.concerns_operator() && self.answers.may_warn(refusal, (self.config.now)()) {
            tracing::warn!(reason, "a webhook was refused: {}", refusal.message());
        } else {
            tracing::debug!(reason, "a request was refused");
        }
        self.answers.refused(refusal)
    }
}
