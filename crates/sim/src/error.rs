//! Why a verb was refused.

/// Every reason for which the simulator refuses what it is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// No account has this id.
    #[error("no such account: {0}")]
    NoAccount(String),
    /// No authorization has this id.
    #[error("no such authorization: {0}")]
    NoAuthorization(String),
    /// No institution has this id or name.
    #[error("no such institution: {0}")]
    NoInstitution(String),
    /// No session has this id.
    #[error("no such session: {0}")]
    NoSession(String),
    /// No event has this id, or it is too old to be kept.
    #[error("no such event: {0}")]
    NoEvent(String),
    /// Disconnected is final.
    #[error("{0} is disconnected")]
    Disconnected(String),
    /// The input makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The HTTP client for deliveries could not be built.
    #[error("cannot build the HTTP client: {0}")]
    Client(String),
}
