//! Why a call failed: a closed list that feeds log, metric and the retry ladder.

use std::fmt;

/// What Stripe said beside the refusal; neither holds anything of the request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The error's `code` (`resource_missing`, `lock_timeout`, …).
    pub code: Option<String>,
    /// The `Request-Id` header, by which Stripe's log and support find the request.
    pub request_id: Option<String>,
}

/// What is known of it, in brackets behind a sentence; nothing where nothing is known.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.request_id) {
            (Some(code), Some(request)) => write!(f, " ({code}, request {request})"),
            (Some(one), None) => write!(f, " ({one})"),
            (None, Some(request)) => write!(f, " (request {request})"),
            (None, None) => Ok(()),
        }
    }
}

/// What is wrong with an answer, or with what was to be asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Malformed {
    /// The id cannot be Stripe's, so nothing was sent.
    Id,
    /// Stripe takes no such request, so nothing was sent: the idempotency key cannot stand in a
    /// header, or more types are named than may be.
    Request,
    /// There is no readable `Date` header, so the answer cannot be placed in time.
    Date,
    /// The body is not JSON.
    Body,
    /// The body is longer than any answer of this kind.
    TooLarge,
    /// The object is not the one that was asked for.
    Object,
    /// The page is not a page of a list.
    Page,
}

impl Malformed {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Request => "request",
            Self::Date => "date",
            Self::Body => "body",
            Self::TooLarge => "too_large",
            Self::Object => "object",
            Self::Page => "page",
        }
    }
}

/// Why a call failed, after the retries that were worth making.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallError {
    /// Stripe knows no such object (404, code `resource_missing`).
    #[error("no such object{0}")]
    NotFound(Trace),
    /// The key is not accepted (401).
    #[error("the API key is not accepted{0}")]
    Unauthorized(Trace),
    /// The key may not do this (403), or the endpoint does not exist for this version or account
    /// (404 without `resource_missing`): the preview is missing.
    #[error("not permitted, or the preview is missing{0}")]
    Permission(Trace),
    /// The key is of the other mode than the object, so nothing was sent: Stripe would answer
    /// that there is no such object.
    #[error("the API key is of the other mode")]
    OtherMode,
    /// Stripe does not know the parameters of a relink (400, `parameter_unknown`), or has left
    /// them out of what it made.
    #[error(
        "the API key or version lacks the preview of relinking: use a *.preview version, and ask \
         Stripe to enable it for the account{0}"
    )]
    PreviewMissing(Trace),
    /// The account is inactive, so its data cannot be refreshed
    /// (`financial_connections_account_inactive`).
    #[error("the account is inactive{0}")]
    AccountInactive(Trace),
    /// Too many requests (429).
    #[error("rate limited{trace}")]
    RateLimited {
        /// `Stripe-Rate-Limited-Reason`; `None` with code `lock_timeout` is object contention.
        reason: Option<String>,
        /// What Stripe said.
        trace: Trace,
    },
    /// Stripe refused the request for another reason (other 3xx and 4xx).
    #[error("refused with status {status}{trace}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Stripe said.
        trace: Trace,
    },
    /// Stripe could not do it (409, 5xx), also on the last retry.
    #[error("failed with status {status}{trace}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// What Stripe said.
        trace: Trace,
    },
    /// No answer in time, also on the last retry.
    #[error("timed out")]
    Timeout,
    /// No connection, or it broke, also on the last retry.
    #[error("connection failed")]
    Connection,
    /// The answer, or the question, is not what it has to be.
    #[error("malformed {}{trace}", what.as_str())]
    Malformed {
        /// What is wrong with it.
        what: Malformed,
        /// What Stripe said.
        trace: Trace,
    },
}

impl CallError {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Server { .. } | Self::Timeout | Self::Connection => {
                true
            }
            Self::NotFound(_)
            | Self::Unauthorized(_)
            | Self::Permission(_)
            | Self::OtherMode
            | Self::PreviewMissing(_)
            | Self::AccountInactive(_)
            | Self::Refused { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether too much was asked for. An object that another request holds (code
    /// `lock_timeout`) is answered with 429 as well, whatever the rate.
    pub fn is_over_rate(&self) -> bool {
        matches!(self, Self::RateLimited { trace, .. }
            if trace.code.as_deref() != Some("lock_timeout"))
    }

    /// Whether the idempotency key was used before, for another request (Stripe docs: idempotent
    /// requests, type `idempotency_error`).
    pub fn is_reused_key(&self) -> bool {
        matches!(self, Self::Refused { trace, .. }
            if trace.code.as_deref() == Some("idempotency_error"))
    }

    /// The reason's name in metrics.
    ///
    /// All of them are in [`CallError::NAMES`].
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Unauthorized(_) => "unauthorized",
            Self::Permission(_) => "permission",
            Self::OtherMode => "other_mode",
            Self::PreviewMissing(_) => "preview_missing",
            Self::AccountInactive(_) => "account_inactive",
            Self::RateLimited { .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "server",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Every name that [`CallError::as_str`] gives.
    pub const NAMES: [&'static str; 12] = [
        "not_found",
        "unauthorized",
        "permission",
        "other_mode",
        "preview_missing",
        "account_inactive",
        "rate_limited",
        "refused",
        "server",
        "timeout",
        "connection",
        "malformed",
    ];

    /// What Stripe said, where it said anything.
    pub fn trace(&self) -> Option<&Trace> {
        match self {
            Self::NotFound(trace)
            | Self::Unauthorized(trace)
            | Self::Permission(trace)
            | Self::PreviewMissing(trace)
            | Self::AccountInactive(trace)
            | Self::RateLimited { trace, .. }
            | Self::Refused { trace, .. }
            | Self::Server { trace, .. }
            | Self::Malformed { trace, .. } => Some(trace),
            Self::OtherMode | Self::Timeout | Self::Connection => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_request_by_which_stripe_finds_it() {
        let said = |code: Option<&str>, request_id: Option<&str>| {
            let (code, request_id) = (code.map(str::to_owned), request_id.map(str::to_owned));
            CallError::Refused { status: 400, trace: Trace { code, request_id } }.to_string()
        };
        assert_eq!(said(None, None), "refused with status 400");
        assert_eq!(said(None, Some("req_1")), "refused with status 400 (request req_1)");
        assert_eq!(
            said(Some("parameter_missing"), None),
            "refused with status 400 (parameter_missing)"
        );
        let both = said(Some("parameter_missing"), Some("req_1"));
        assert_eq!(both, "refused with status 400 (parameter_missing, request req_1)");
    }
}
