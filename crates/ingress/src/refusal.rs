//! Every answer that is not 200: a closed list that feeds metric, log, answer and test.

use axum::http::StatusCode;
use relink_bus::port::PublishError;
use relink_stripe::envelope::EnvelopeError;
use relink_stripe::signature::Rejection;

/// What a 503 says in `Retry-After`, in seconds: the broker's usual failover takes about as long.
///
/// Stripe keeps its own schedule; this is for proxies and for other senders.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// Why a request was not answered 200.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refusal {
    /// The signature does not hold.
    Signature(Rejection),
    /// The signature holds and the event cannot be published under the wire contract.
    Envelope(EnvelopeError),
    /// The bus is not known to have taken the message.
    Publish(PublishError),
    /// The body is larger than the limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body broke off, or its framing is wrong.
    BodyUnreadable,
    /// As many webhooks as allowed are being handled.
    Busy,
    /// There is nothing at this path.
    NotFound,
    /// There is something at this path, and it takes another method.
    MethodNotAllowed,
}

impl Refusal {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::TooLarge,
            Self::TooSlow,
            Self::BodyUnreadable,
            Self::Busy,
            Self::NotFound,
            Self::MethodNotAllowed,
        ];
        (Rejection::ALL.into_iter().map(Self::Signature))
            .chain(EnvelopeError::ALL.into_iter().map(Self::Envelope))
            .chain(PublishError::ALL.into_iter().map(Self::Publish))
            .chain(plain)
    }

    /// The name in metrics and answers.
    ///
    /// `busy` is said by two: by the ingress itself and by a publisher with too many open
    /// confirms. To whoever is refused it means the same, and the answer's message tells which.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature(rejection) => rejection.as_str(),
            Self::Envelope(error) => error.as_str(),
            Self::Publish(error) => error.as_str(),
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::BodyUnreadable => "body_unreadable",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
        }
    }

    /// The status it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Signature(_) | Self::Envelope(_) | Self::BodyUnreadable => {
                StatusCode::BAD_REQUEST
            }
            Self::Publish(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// What happened and what to do about it, for whoever reads it in Stripe's dashboard.
    pub fn message(self) -> String {
        match self {
            Self::Signature(rejection) => format!("{rejection}; {}", remedy(rejection)),
            Self::Envelope(error) => format!(
                "{error}; look at the event in Stripe's dashboard, nothing was published of it"
            ),
            Self::Publish(error) => format!("{error}; send the event again, as Stripe does"),
            Self::TooLarge => format!(
                "the body is larger than {} bytes, which no event of Stripe's is; send only \
                 Stripe's webhooks here",
                crate::BODY_BYTES_MAX
            ),
            Self::TooSlow => "the body did not arrive in time; look for a slow proxy in between \
                              and send it again"
                .to_owned(),
            Self::BodyUnreadable => {
                "the body broke off; look for a proxy in between and send it again".to_owned()
            }
            Self::Busy => "too many webhooks at once; send the event again, as Stripe does, or \
                           run another ingress"
                .to_owned(),
            Self::NotFound => {
                format!("there is nothing here; send webhooks to {}", crate::WEBHOOK_PATH)
            }
            Self::MethodNotAllowed => "webhooks are sent with POST; use that".to_owned(),
        }
    }

    /// Whether a person on this side has to know: it is our broker, our clock, our load, a
    /// genuine event that found no place, or maybe a wrong secret of ours. What else strangers
    /// send must not fill the log.
    pub(crate) fn concerns_operator(self) -> bool {
        match self {
            Self::Publish(_)
            | Self::Envelope(_)
            | Self::Busy
            | Self::Signature(Rejection::NoMatch | Rejection::TooOld | Rejection::TooFarInFuture) => {
                true
            }
            Self::Signature(_)
            | Self::TooLarge
            | Self::TooSlow
            | Self::BodyUnreadable
            | Self::NotFound
            | Self::MethodNotAllowed => false,
        }
    }

    /// Whether the body is left unread, so that the connection cannot carry another request.
    pub(crate) fn ends_connection(self) -> bool {
        matches!(self, Self::TooLarge | Self::TooSlow | Self::BodyUnreadable)
    }
}

fn remedy(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Missing | Rejection::Empty | Rejection::Malformed | Rejection::NoSignature => {
            "only Stripe's signed webhooks are taken, and a proxy in between has to pass the \
             header on as it is"
        }
        Rejection::NoMatch => {
            "compare RELINK_WEBHOOK_SECRETS with the endpoint's secret in Stripe, and see that no \
             proxy in between changes the body"
        }
        Rejection::TooOld | Rejection::TooFarInFuture => {
            "check this machine's clock, and that no proxy in between holds webhooks back"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_name_fit_for_a_label_and_says_what_to_do() {
        for refusal in Refusal::all() {
            let name = refusal.as_str();
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_1".contains(&byte)));
            assert!(refusal.message().contains("; "), "{name}");
            assert!(!refusal.status().is_success());
        }
    }
}
