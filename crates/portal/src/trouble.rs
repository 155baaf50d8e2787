//! Every way in which the page cannot do what it is asked: one closed list for the answer, the
//! words, the metric and the tests.

use axum::http::StatusCode;
use relink_engine::link::LinkRefusal;

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Trouble {
    /// The link was genuine once.
    Expired,
    /// The link is mangled, forged, or of another installation: which of these is not told.
    Broken,
    /// The database, the bus or Stripe is away.
    Unavailable,
    /// Too many attempts on one link.
    TooOften,
    /// Stripe refuses the session for good: the operator has to do something.
    NotOffered,
    /// Stripe.js could not be loaded; told by the page itself.
    Script,
    /// What the page holds is no longer good, or was never ours.
    Stale,
    /// The body is not one that this page sends.
    Malformed,
    /// The body is larger than anything this page sends.
    TooLarge,
    /// The body is not what this page sends.
    ContentType,
    /// No such page.
    NotFound,
    /// Another method than the page's own.
    Method,
}

impl Trouble {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::Expired,
        Self::Broken,
        Self::Unavailable,
        Self::TooOften,
        Self::NotOffered,
        Self::Script,
        Self::Stale,
        Self::Malformed,
        Self::TooLarge,
        Self::ContentType,
        Self::NotFound,
        Self::Method,
    ];

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Expired => StatusCode::GONE,
            Self::Broken | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unavailable | Self::NotOffered => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::Script => StatusCode::OK,
            Self::Stale => StatusCode::CONFLICT,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// The name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Broken => "broken",
            Self::Unavailable => "unavailable",
            Self::TooOften => "too_often",
            Self::NotOffered => "not_offered",
            Self::Script => "script",
            Self::Stale => "stale",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::ContentType => "content_type",
            Self::NotFound => "not_found",
            Self::Method => "method",
        }
    }
}

impl From<LinkRefusal> for Trouble {
    fn from(refusal: LinkRefusal) -> Self {
        match refusal {
            LinkRefusal::Expired => Self::Expired,
            LinkRefusal::Malformed | LinkRefusal::Forged => Self::Broken,
        }
    }
}
