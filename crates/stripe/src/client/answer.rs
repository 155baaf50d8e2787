//! What an HTTP answer says: the object and its time, or why there is none.

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{CallError, Malformed, Trace};
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
    pub(super) date_unix_seconds: i64,
    request_id: Option<String>,
}

impl Answer {
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Self, CallError> {
        let date_unix_seconds = date(headers).ok_or_else(|| malformed(headers, Malformed::Date))?;
        let body = serde_json::from_slice(body).map_err(|_| malformed(headers, Malformed::Body))?;
        Ok(Self { body, date_unix_seconds, request_id: text(headers, REQUEST_ID) })
    }

    /// The answer, or one object of it, as a read.
    pub(super) fn part<T>(&self, body: Box<RawValue>) -> Read<T> {
        Read::new(self.date_unix_seconds, self.request_id.clone(), body)
    }

    pub(super) fn malformed(&self, what: Malformed) -> CallError {
        CallError::Malformed { what, trace: self.trace() }
    }

    /// By what Stripe finds the request.
    pub(super) fn trace(&self) -> Trace {
        Trace { code: None, request_id: self.request_id.clone() }
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
    #[serde(default, borrow, rename = "type")]
    kind: Field<Text<'a>>,
    #[serde(default, borrow)]
    message: Field<Text<'a>>,
    #[serde(default, borrow)]
    param: Field<Text<'a>>,
}

/// The names that only versions with the preview of relinking know (Stripe docs: sessions).
const PREVIEW_PARAMETERS: [&str; 3] = ["relink_options", "hosted", "ui_mode"];

const PARAMETER_UNKNOWN: &str = "parameter_unknown";
const ACCOUNT_INACTIVE: &str = "financial_connections_account_inactive";

pub(super) fn malformed(headers: &HeaderMap, what: Malformed) -> CallError {
    let trace = Trace { code: None, request_id: text(headers, REQUEST_ID) };
    CallError::Malformed { what, trace }
}

pub(super) fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> CallError {
    let error = error(body);
    let trace = Trace {
        code: error.as_ref().and_then(RefusalError::name),
        request_id: text(headers, REQUEST_ID),
    };
    match status {
        StatusCode::UNAUTHORIZED => CallError::Unauthorized(trace),
        StatusCode::FORBIDDEN => CallError::Permission(trace),
        // Only this code speaks of the object. A version or account without the preview gets a
        // 404 for the path itself, which must never be taken for a missing authorization.
        StatusCode::NOT_FOUND if trace.code.as_deref() == Some("resource_missing") => {
            CallError::NotFound(trace)
        }
        StatusCode::NOT_FOUND => CallError::Permission(trace),
        StatusCode::TOO_MANY_REQUESTS => {
            CallError::RateLimited { reason: text(headers, RATE_LIMITED_REASON), trace }
        }
        _ if status == StatusCode::CONFLICT || status.is_server_error() => {
            CallError::Server { status: status.as_u16(), trace }
        }
        _ if trace.code.as_deref() == Some(ACCOUNT_INACTIVE) => CallError::AccountInactive(trace),
        _ if error.is_some_and(|error| error.is_of_preview()) => CallError::PreviewMissing(trace),
        _ => CallError::Refused { status: status.as_u16(), trace },
    }
}

fn error(body: &[u8]) -> Option<RefusalError<'_>> {
    let body = std::str::from_utf8(body).ok()?;
    wire::object::<Refusal<'_>>(body).ok()?.error.into_value().map(|Map(error)| error)
}

impl RefusalError<'_> {
    /// The code. A key that was used for another request is told by its type alone.
    fn name(&self) -> Option<String> {
        let code = self
            .code
            .value()
            .or_else(|| self.kind.value().filter(|Text(kind)| kind == "idempotency_error"));
        code.and_then(|Text(code)| kept(code))
    }

    /// Whether a parameter of the preview is what Stripe does not know.
    fn is_of_preview(&self) -> bool {
        let text = |field: &Field<Text<'_>>, test: &dyn Fn(&str) -> bool| {
            field.value().is_some_and(|Text(text)| test(text))
        };
        let names_one = |text: &str| PREVIEW_PARAMETERS.iter().any(|name| text.contains(name));
        let is_unknown = text(&self.code, &|code| code == PARAMETER_UNKNOWN)
            || text(&self.message, &|words| words.starts_with("Received unknown parameter"));
        is_unknown && (text(&self.param, &names_one) || text(&self.message, &names_one))
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    kept(headers.get(name)?.to_str().ok()?)
}

/// What is short and printable enough to stand in a log line.
fn kept(text: &str) -> Option<String> {
    let fits = text.len() <= TRACE_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    (fits && !text.is_empty()).then(|| text.to_owned())
}
