//! The way to Stripe's API: the simulator's, in the same process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Method, Request, Response};
use relink_core::time::{Span, Time};
use relink_sim::FaultKind;
use relink_stripe::client::{Wire, WireError};
use tower::ServiceExt as _;

use crate::fault::Fault;
use crate::process::Process;

/// How far Stripe's reads may be behind its events, in milliseconds: within the doubt window.
const BEHIND_MS: i64 = 3_000;

/// The longest answer of the simulator, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 24;

/// Accounts as they were before they changed last, and when that was.
#[derive(Default)]
pub(crate) struct Replica(Mutex<BTreeMap<String, (Time, Bytes)>>);

impl Replica {
    /// Remembers how an account was until now.
    pub(crate) fn keep(&self, account: &str, now: Time, body: Bytes) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(account.to_owned(), (now, body));
    }

    fn old(&self, account: &str, now: Time) -> Option<Bytes> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (changed, body) = known.get(account)?;
        (changed.after(Span(BEHIND_MS)) > now).then(|| body.clone())
    }
}

/// Asks Stripe for a process.
pub(crate) struct GatedStripe {
    pub(crate) process: Process,
    pub(crate) replica: Arc<Replica>,
}

impl GatedStripe {
    async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WireError> {
        let stage = self.process.stage();
        stage.wind_stripes_clock();
        let account = account_read(&request);
        let router = stage.sim.router();
        let answer = router.oneshot(request.map(Body::from)).await;
        let Ok(answer) = answer;
        let (head, body) = answer.into_parts();
        let mut body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|_| WireError::Connection)?;
        let old = account.and_then(|id| self.replica.old(&id, stage.now()));
        if let Some(old) = old.filter(|_| head.status.is_success())
            && self.process.strikes(Fault::StaleRead)
        {
            self.process.note(format_args!("is told what is out of date"));
            body = old;
        }
        Ok(Response::from_parts(head, body))
    }
}

/// The account, where one is read.
fn account_read(request: &Request<Bytes>) -> Option<String> {
    let path = request.uri().path().strip_prefix("/v1/financial_connections/accounts/")?;
    let is_read = request.method() == Method::GET && !path.contains('/');
    is_read.then(|| path.to_owned())
}

#[async_trait]
impl Wire for GatedStripe {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, WireError> {
        self.process.point("ask Stripe").await;
        let what = format!("{} {}", request.method(), request.uri().path());
        let latency = Duration::from_millis(self.process.chance().between(20, 600));
        tokio::time::sleep(latency).await;
        self.process.point("reach Stripe").await;
        if self.process.strikes(Fault::StripeHangs) {
            self.process.note(format_args!("{what}: no answer"));
            tokio::time::sleep(Duration::from_secs(20)).await;
            return Err(WireError::Timeout);
        }
        let refusal = [
            (Fault::StripeLimits, FaultKind::RateLimit),
            (Fault::StripeLimits, FaultKind::LockTimeout),
            (Fault::StripeFails, FaultKind::ServerError),
        ];
        for (fault, kind) in refusal {
            if self.process.strikes(fault) {
                let fault = relink_sim::Fault { kind, after: Duration::ZERO };
                self.process.stage().sim.inject(fault, 1);
                break;
            }
        }
        let answer = self.answer(request).await?;
        self.process.note(format_args!("{what}: {}", answer.status().as_u16()));
        self.process.point("hear Stripe").await;
        if self.process.strikes(Fault::StripeAnswerLost) {
            self.process.note(format_args!("{what}: the answer is lost"));
            return Err(WireError::Connection);
        }
        Ok(answer)
    }

    fn chance(&self) -> f64 {
        self.process.chance().part()
    }
}
