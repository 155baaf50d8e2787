//! Bodies that are read: small, whole, in time, and of the right kind.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;

/// The largest body that is read, in bytes: what the page and the API take is far below.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a whole body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BodyRefusal {
    TooLarge,
    ContentType,
    /// It broke off, or did not come in time.
    Unreadable,
}

/// Reads a body of this media type.
pub(crate) async fn read(request: Request, media_type: &str) -> Result<Bytes, BodyRefusal> {
    let (head, body) = request.into_parts();
    let declared = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = declared.and_then(|text| text.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(media_type)) {
        return Err(BodyRefusal::ContentType);
    }
    whole(body).await
}

async fn whole(body: Body) -> Result<Bytes, BodyRefusal> {
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // The limit is the only error of this reader that is not the connection's.
        Ok(Err(error)) if is_limit(&error) => Err(BodyRefusal::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyRefusal::Unreadable),
    }
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("limit"))
}
