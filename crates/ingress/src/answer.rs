//! The bytes of every answer, written once when the ingress is built.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use crate::refusal::{RETRY_AFTER_SECONDS, Refusal};

/// How often one reason is warned about at most, in milliseconds: an outage of the broker is one
/// line in ten seconds and not one for each webhook; the metric has every one.
const WARNING_INTERVAL_MS: i64 = 10_000;

/// An event that is Relink's from now on: it is on the bus, or, in a single process, committed.
const ACCEPTED: &[u8] = br#"{"received":true,"accepted":true}"#;
/// A genuine event that is nobody's business here.
const NOT_ACCEPTED: &[u8] = br#"{"received":true,"accepted":false}"#;

/// The answers to refused requests, and when each was warned about last.
pub(crate) struct Answers {
    refused: BTreeMap<Refusal, Refused>,
    retry_after: HeaderValue,
}

struct Refused {
    body: Bytes,
    warned_at_unix_ms: AtomicI64,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let refused = Refusal::all()
            .map(|refusal| {
                let error = serde_json::json!({
                    "error": { "reason": refusal.as_str(), "message": refusal.message() }
                });
                let refused = Refused {
                    body: Bytes::from(error.to_string()),
                    warned_at_unix_ms: AtomicI64::new(i64::MIN),
                };
                (refusal, refused)
            })
            .collect();
        Self { refused, retry_after: HeaderValue::from(RETRY_AFTER_SECONDS) }
    }

    /// The answer 200.
    pub(crate) fn received(accepted: bool) -> Response {
        let body = if accepted { ACCEPTED } else { NOT_ACCEPTED };
        json(StatusCode::OK, Bytes::from_static(body))
    }

    /// The answer to a refused request.
    pub(crate) fn refused(&self, refusal: Refusal) -> Response {
        let body = self.refused.get(&refusal).map(|refused| refused.body.clone());
        let status = refusal.status();
        let mut response = json(status, body.unwrap_or_default());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, self.retry_after.clone());
        }
        if refusal.ends_connection() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Whether the reason may be warned about now; true for one caller per interval.
    pub(crate) fn may_warn(&self, refusal: Refusal, now_unix_ms: i64) -> bool {
        let Some(Refused { warned_at_unix_ms, .. }) = self.refused.get(&refusal) else {
            return false;
        };
        let last = warned_at_unix_ms.load(Ordering::Relaxed);
        now_unix_ms.saturating_sub(last) >= WARNING_INTERVAL_MS
            && warned_at_unix_ms
                .compare_exchange(last, now_unix_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_warned_about_once_per_interval_and_apart_from_others() {
        let answers = Answers::new();
        assert!(answers.may_warn(Refusal::Busy, 0));
        assert!(!answers.may_warn(Refusal::Busy, WARNING_INTERVAL_MS - 1));
        assert!(answers.may_warn(Refusal::TooSlow, WARNING_INTERVAL_MS - 1));
        assert!(answers.may_warn(Refusal::Busy, WARNING_INTERVAL_MS));
    }
}
