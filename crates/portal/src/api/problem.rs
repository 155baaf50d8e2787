//! Every way in which the API refuses, as RFC 9457 tells them.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use relink_engine::store::StoreError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body::BodyRefusal;
use crate::relinks::RelinkError;

/// The media type of problems (RFC 9457).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// How soon to come back where nothing better is known, in seconds.
const RETRY_AFTER_SECONDS: u64 = 30;

/// A closed list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    Unauthorized,
    Forbidden,
    NotFound,
    Method,
    TooLarge,
    ContentType,
    Malformed(&'static str),
    TooOften(Duration),
    NotKnownYet,
    Refused(&'static str),
    Unavailable,
}

/// A problem's body.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProblemBody {
    /// Names the kind of problem: `urn:relink:problem:<name>`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// In a few words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What to do about it.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotKnownYet => StatusCode::CONFLICT,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Unauthorized => {
                ("unauthorized", "No valid token", "Send Authorization: Bearer with a token.")
            }
            Self::Forbidden => {
                ("forbidden", "Not permitted", "This token may only read; use one that may write.")
            }
            Self::NotFound => ("not_found", "Not found", "There is no such thing here."),
            Self::Method => ("method", "Wrong method", "See /v1/openapi.json for what there is."),
            Self::TooLarge => ("too_large", "Too large", "A body may have 64 KiB."),
            Self::ContentType => ("content_type", "Wrong media type", "Send application/json."),
            Self::Malformed(detail) => ("malformed", "Not understood", detail),
            Self::TooOften(_) => ("too_often", "Too many requests", "Wait as Retry-After says."),
            Self::NotKnownYet => (
                "not_known_yet",
                "Not known yet",
                "The authorization's customer or permissions are not known yet; a read is on its \
                 way, try again in a minute.",
            ),
            Self::Refused(detail) => ("refused", "Refused by Stripe", detail),
            Self::Unavailable => {
                ("unavailable", "Not available", "Try again as Retry-After says; nothing is lost.")
            }
        }
    }

    pub(crate) fn answer(&self) -> Response {
        let (name, title, detail) = self.words();
        let body = ProblemBody {
            kind: format!("urn:relink:problem:{name}"),
            title: title.to_owned(),
            status: self.status().as_u16(),
            detail: detail.to_owned(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        let wait = match self {
            Self::TooOften(wait) => Some(wait.as_secs().saturating_add(1)),
            Self::Unavailable | Self::NotKnownYet => Some(RETRY_AFTER_SECONDS),
            _ => None,
        };
        if let Some(seconds) = wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if *self == Self::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the API waits for the database");
        Self::Unavailable
    }
}

impl From<BodyRefusal> for Problem {
    fn from(refusal: BodyRefusal) -> Self {
        match refusal {
            BodyRefusal::TooLarge => Self::TooLarge,
            BodyRefusal::ContentType => Self::ContentType,
            BodyRefusal::Unreadable => Self::Malformed("The body did not come whole."),
        }
    }
}

impl From<RelinkError> for Problem {
    fn from(error: RelinkError) -> Self {
        tracing::warn!(%error, "the API cannot do what it is asked");
        match error {
            RelinkError::NotKnownYet => Self::NotKnownYet,
            RelinkError::Away(_) => Self::Unavailable,
            RelinkError::Foreign => Self::NotFound,
            RelinkError::NoKey => Self::Refused("No API key of Stripe's is configured."),
            RelinkError::Refused(relink_stripe::client::CallError::PreviewMissing(_)) => {
                Self::Refused("The key or its version lacks the preview of relinking.")
            }
            RelinkError::Refused(error) if error.is_reused_key() => Self::Refused(
                "This Idempotency-Key was used before, with another body. Repeat that body to \
                 get its session, or take a new key for another one.",
            ),
            RelinkError::Refused(_) => Self::Refused(
                "Stripe refuses this session; permissions, account and subcategories have to fit \
                 the authorization. The log has Stripe's reason.",
            ),
        }
    }
}
