//! What an HTTP answer says: the object and its time, or why there is none.

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Malformed, ReadError, Trace};
use super::read::Read;
use crate::wire::{self, Field, Map, Text};

/// The longest code, reason or request id that is kept, in bytes.
const TRACE_BYTES_MAX: usize = 200;

const SHOULD_RETRY: &str = "stripe-should-retry";
const RATE_LIMITED_REASON: &str = "stripe-rate-limited-reason";
const REQUEST_ID: &str = "request-id";

/// An answer of status 2xx.
pub(super) struct Answer {
    pub(super) body: Box<RawValue>,
    date_unix_seconds: i64,
    request_id: Option<String>,
}

impl Answer {
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, ReadError> {
        let date_unix_seconds = date(headers).ok_or_else(|| malformed(headers, Malformed::Date))?;
        let body = serde_json::from_slice(body).map_err(|_| malformed(headers, Malformed::Body))?;
        Ok(Self { body, date_unix_seconds, request_id: text(headers, REQUEST_ID) })
    }

    /// The answer, or one object of it, as a read.
    pub(super) fn part<T>(&self, body: Box<RawValue>) -> Read<T> {
        Read::new(self.date_unix_seconds, self.request_id.clone(), body)
    }

    pub(super) fn malformed(&self, what: Malformed) -> ReadError {
        let trace = Trace { code: None, request_id: self.request_id.clone() };
        ReadError::Malformed { what, trace }
    }
}

/// The retry rule of the official SDKs: obey the header, else 409 and 5xx; a bare 429 is left to
/// the caller, who owns the rate.
pub(super) fn should_retry(status: StatusCode, headers: &HeaderMap) -> bool {
    match headers.get(SHOULD_RETRY).map(HeaderValue::as_bytes) {
        Some(b"true") => true,
        Some(b"false") => false,
        _ => status == StatusCode::CONFLICT || status.is_server_error(),
    }
}

/// RFC 9110: `Date` is an IMF-fixdate, which is a date of RFC 2822.
fn date(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(date).ok().map(|instant| instant.as_second())
}

/// The body of a refusal (Stripe docs: errors).
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(default, borrow)]
    error: Field<Map<RefusalError<'a>>>,
}

#[derive(Deserialize)]
struct RefusalError<'a> {
    #[serde(default, borrow)]
    code: Field<Text<'a>>,
}

pub(super) fn malformed(headers: &HeaderMap, what: Malformed) -> ReadError {
    let trace = Trace { code: None, request_id: text(headers, REQUEST_ID) };
    ReadError::Malformed { what, trace }
}

pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ReadError {
    let trace = Trace { code: code(body), request_id: text(headers, REQUEST_ID) };
    match status {
        StatusCode::UNAUTHORIZED => ReadError::Unauthorized(trace),
        StatusCode::FORBIDDEN => ReadError::Permission(trace),
        // Only this code speaks of the object. A version or account without the preview gets a
        // 404 for the path itself, which must never be taken for a missing authorization.
        StatusCode::NOT_FOUND if trace.code.as_deref() == Some("resource_missing") => {
            ReadError::NotFound(trace)
        }
        StatusCode::NOT_FOUND => ReadError::Permission(trace),
        StatusCode::TOO_MANY_REQUESTS => {
            ReadError::RateLimited { reason: text(headers, RATE_LIMITED_REASON), trace }
        }
        _ if status == StatusCode::CONFLICT || status.is_server_error() => {
            ReadError::Server { status: status.as_u16(), trace }
        }
        _ => ReadError::Refused { status: status.as_u16(), trace },
    }
}

fn code(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let Map(error) = wire::object::<Refusal<'_>>(body).ok()?.error.into_value()?;
    let Text(code) = error.code.into_value()?;
    kept(&code)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    kept(headers.get(name)?.to_str().ok()?)
}

/// What is short and printable enough to stand in a log line.
fn kept(text: &str) -> Option<String> {
    let fits = text.len() <= TRACE_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    (fits && !text.is_empty()).then(|| text.to_owned())
}
