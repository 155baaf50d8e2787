//! From an event's envelope to the message that travels.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use relink_bus::message::{EventHead, Message, header};
use relink_bus::trace::TraceContext;
use relink_stripe::envelope::Envelope;

/// The message for an event; the body is shared, not copied.
pub(crate) fn message(
    envelope: &Envelope<'_>,
    body: Bytes,
    request: &HeaderMap,
    received_at_unix_ms: i64,
) -> Message {
    let mut message = Message::of_event(&EventHead::from(envelope), body, received_at_unix_ms);
    // Of several nobody knows which is meant.
    let mut given = request.get_all(header::TRACEPARENT).iter();
    message.headers.traceparent =
        given.next().filter(|_| given.next().is_none()).and_then(traceparent);
    message
}

/// The trace context, where it is well-formed. It is passed on as it came; of a later version that
/// has more to say, what is known of it.
fn traceparent(value: &HeaderValue) -> Option<Arc<str>> {
    let text = value.to_str().ok()?;
    let context = TraceContext::parse(text)?;
    let is_known = text.len() == TraceContext::BYTES;
    Some(if is_known { text.into() } else { context.to_string().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_context_is_passed_on() {
        let check = |text: &str, passes: bool| {
            let value = HeaderValue::from_str(text).unwrap();
            assert_eq!(traceparent(&value).as_deref(), passes.then_some(text), "{text}");
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
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        let value = HeaderValue::from_static(later);
        let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(&value).as_deref(), Some(known));
    }
}
