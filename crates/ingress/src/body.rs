//! Reads a body within its limits.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};

use crate::refusal::Refusal;

/// How much is set aside at most on the word of a `Content-Length`, in bytes: enough for any
/// usual event, and a sender has to send what it wants more memory for.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// How much of a body that is too large is read and thrown away, in bytes, so that its sender
/// gets to read the answer.
const DISCARDED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the whole body.
///
/// A body that came in one piece is handed on as it is; only several pieces are copied together.
pub(crate) async fn read(
    body: Body,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, Refusal> {
    let mut body = body;
    // `Content-Length`, where there is one: a body that says it is too large is not kept at all.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let read = if declared > bytes_max {
        Err(Refusal::TooLarge)
    } else {
        match tokio::time::timeout(timeout, collect(&mut body, declared, bytes_max)).await {
            Ok(read) => read,
            Err(_) => Err(Refusal::TooSlow),
        }
    };
    if read == Err(Refusal::TooLarge) && declared <= DISCARDED_BYTES_MAX {
        // A sender that is cut off while it writes sees a broken connection, not the answer.
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(&mut body)).await;
    }
    read
}

async fn discard(body: &mut Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED_BYTES_MAX {
            return;
        }
    }
}

async fn collect(body: &mut Body, declared: usize, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        // What is not data are trailers, and those say nothing.
        let Ok(piece) = frame.map_err(|_| Refusal::BodyUnreadable)?.into_data() else {
            continue;
        };
        if first.len() + whole.len() + piece.len() > bytes_max {
            return Err(Refusal::TooLarge);
        }
        if first.is_empty() && whole.is_empty() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(declared.min(RESERVED_BYTES_MAX).max(first.len() + piece.len()));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![7; 1000]);
        let read = read(Body::from(sent.clone()), 1000, PATIENCE).await.unwrap();
        assert_eq!(read.as_ptr(), sent.as_ptr());
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
        assert!(read(Body::from(vec![0; 10]), 10, PATIENCE).await.is_ok());
        let refused = read(Body::from(vec![0; 11]), 10, PATIENCE).await;
        assert_eq!(refused, Err(Refusal::TooLarge));
        assert_eq!(read(Body::empty(), 10, PATIENCE).await, Ok(Bytes::new()));
    }
}
