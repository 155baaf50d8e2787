//! From an event's envelope to the message that travels.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use relink_bus::message::{EventHead, Message, header};
use relink_stripe::envelope::Envelope;

/// The length of a `traceparent` of version 00 (W3C Trace Context, 3.2.2).
const TRACEPARENT_BYTES: usize = 55;

/// The message for an event; the body is shared, not copied.
pub(crate) fn message(
    envelope: &Envelope<'_>,
    body: Bytes,
    request: &HeaderMap,
    received_at_unix_ms: i64,
) -> Message {
    let mut message = Message::of_event(&EventHead::from(envelope), body, received_at_unix_ms);
    let context = request.get(header::TRACEPARENT).and_then(traceparent);
    message.headers.traceparent = context.map(Arc::from);
    message
}

/// The trace context, where it is well-formed: `<version>-<trace id>-<parent id>-<flags>` in
/// lower-case hexadecimal digits, neither id all zeros, version not `ff`.
fn traceparent(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok().filter(|text| text.len() == TRACEPARENT_BYTES)?;
    let mut parts = text.split('-');
    let mut next = |digits: usize| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        parts.next().filter(|part| part.len() == digits && part.bytes().all(is_hex))
    };
    let (version, trace, parent, _flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
    let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    (version != "ff" && !is_zero(trace) && !is_zero(parent)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_context_is_passed_on() {
        let check = |text: &str, passes: bool| {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(traceparent(&value), passes.then_some(text), "{text}");
        };
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-ab", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e47-6-00f067aa0ba902b7-01", false);
        check("", false);
    }
}
