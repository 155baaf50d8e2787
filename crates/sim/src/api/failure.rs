//! Stripe's error answers.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// An answer that is an error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<&'static str>,
    /// The value of `Stripe-Rate-Limited-Reason`.
    pub(crate) limited_by: Option<&'static str>,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { status, kind, code: None, message, param: None, limited_by: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    pub(crate) fn parameter(param: &'static str, message: impl Into<String>) -> Failure {
        Failure { param: Some(param), ..Failure::invalid(message) }
    }

    pub(crate) fn coded(code: &'static str, message: impl Into<String>) -> Failure {
        Failure { code: Some(code), ..Failure::invalid(message) }
    }

    pub(crate) fn unauthorized() -> Failure {
        let message = "Invalid API Key provided.";
        Failure::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub(crate) fn missing(what: &str, id: &str) -> Failure {
        Failure {
            status: StatusCode::NOT_FOUND,
            code: Some("resource_missing"),
            ..Failure::parameter("id", format!("No such {what}: '{id}'"))
        }
    }

    pub(crate) fn unknown_url(method: &str, path: &str) -> Failure {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Failure { status: StatusCode::NOT_FOUND, ..Failure::invalid(message) }
    }

    pub(crate) fn rate_limited() -> Failure {
        Failure {
            status: StatusCode::TOO_MANY_REQUESTS,
            limited_by: Some("endpoint-rate"),
            ..Failure::coded("rate_limit", "Request rate limit exceeded.")
        }
    }

    pub(crate) fn lock_timeout() -> Failure {
        let message = "This object cannot be accessed right now, another request holds it.";
        Failure { status: StatusCode::TOO_MANY_REQUESTS, ..Failure::coded("lock_timeout", message) }
    }

    pub(crate) fn idempotency() -> Failure {
        let message = "Keys for idempotent requests can only be used with the same parameters.";
        Failure::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    pub(crate) fn server() -> Failure {
        let message = "An unknown error occurred.";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", message)
    }

    /// Stripe's error body; keys without a value are left out, as there.
    pub(crate) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = code.into();
        }
        if let Some(param) = self.param {
            error["param"] = param.into();
        }
        json!({ "error": error })
    }
}
