//! Sends webhooks: signed, several at once, again when no 2xx came.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect::Policy;
use tokio::task::JoinSet;

use crate::clock::wall_unix_ms;
use crate::error::SimError;
use crate::outbox::{Next, Outgoing};
use crate::signature::signature_header;
use crate::sim::Sim;

/// How long a receiver may take; Stripe publishes no number and asks to answer at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait between two retries, so that doubling does not outlive anyone's patience.
const LONGEST_RETRY_WAIT: Duration = Duration::from_secs(3600);

/// Delivers until it is dropped; what is under way then is abandoned.
pub(crate) async fn run(sim: Sim) -> Result<(), SimError> {
    let client = client()?;
    let mut sending = JoinSet::new();
    loop {
        while sending.try_join_next().is_some() {}
        let next = {
            let mut state = sim.lock();
            let concurrency = state.config.delivery.concurrency;
            state.outbox.next(Instant::now(), concurrency)
        };
        match next {
            Next::Send(outgoing) => {
                let under_way = UnderWay(sim.clone());
                let client = client.clone();
                sending.spawn(async move { send(&under_way.0, &client, outgoing).await });
            }
            Next::WaitFor(time) => {
                tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = sim.outbox_changed() => {}
                }
            }
            Next::WaitForChange => sim.outbox_changed().await,
        }
    }
}

fn client() -> Result<reqwest::Client, SimError> {
    // The client wants a crypto provider even for plain HTTP. A provider that is already
    // installed serves as well, hence the ignored error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        // At Stripe a redirect counts as a failure.
        .redirect(Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| SimError::Client(error.to_string()))
}

/// Gives the place of a delivery free even when its task is aborted.
struct UnderWay(Sim);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().outbox.ended();
        self.0.notify();
    }
}

async fn send(sim: &Sim, client: &reqwest::Client, outgoing: Outgoing) {
    let request = {
        let state = sim.lock();
        let Some(url) = &state.config.webhook_url else {
            return;
        };
        let secrets: Vec<&str> = [&state.config.webhook_secret]
            .into_iter()
            .chain(&state.config.previous_webhook_secret)
            .map(String::as_str)
            .collect();
        // The real time, not the simulated: receivers compare it with their own clock. Each
        // attempt is signed anew.
        let signed_at = wall_unix_ms().div_euclid(1000);
        client
            .post(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(USER_AGENT, "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("Stripe-Signature", signature_header(&secrets, signed_at, &outgoing.body))
            .body(outgoing.body.clone())
    };
    let answer = match request.send().await {
        Ok(answer) => Ok(answer.status()),
        Err(error) => Err(error.without_url().to_string()),
    };
    let mut state = sim.lock();
    let delivered = answer.as_ref().is_ok_and(|status| status.is_success());
    state.outbox.record(&outgoing, answer.map(|status| status.as_u16()));
    if delivered {
        state.mark_delivered(outgoing.sequence);
        return;
    }
    tracing::debug!(event.id = outgoing.id, attempt = outgoing.attempt, "webhook not accepted");
    if outgoing.retries_left > 0 {
        let first = state.config.delivery.retry_first;
        let doubled = 1_u32.checked_shl(outgoing.attempt - 1).unwrap_or(u32::MAX);
        let wait = first.saturating_mul(doubled).min(LONGEST_RETRY_WAIT);
        let retry = Outgoing {
            attempt: outgoing.attempt + 1,
            retries_left: outgoing.retries_left - 1,
            ..outgoing
        };
        state.outbox.push(retry, Instant::now() + wait);
    }
}
