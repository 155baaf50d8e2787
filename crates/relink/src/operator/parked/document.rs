//! Parked messages as JSON; all times are RFC 3339.

use relink_bus::envelope::rfc3339;
use relink_bus::parked::ParkedMessage;
use relink_core::time::{Second, Time};
use relink_engine::parked::{Listed, masked, shown};
use serde_json::{Value, json};

pub(super) fn listed(listed: &Listed) -> Value {
    let counts = listed.counts.iter().map(|((queue, reason), count)| {
        json!({ "queue": queue.short_name(), "reason": reason, "count": count })
    });
    json!({
        "parked": listed.total(),
        "counts": counts.collect::<Value>(),
        "messages": listed.messages.iter().map(brief).collect::<Value>(),
    })
}

pub(super) fn brief(message: &ParkedMessage) -> Value {
    let delivery = &message.delivery;
    json!({
        "id": message.id,
        "message": delivery.id,
        "queue": message.queue.short_name(),
        "type": delivery.kind.as_deref().map(masked),
        "reason": message.reason,
        "error": masked(&message.error),
        "times": message.times(),
        "attempts": delivery.headers.attempts,
        "created": delivery.timestamp_unix_s.map(|at| rfc3339(Second(at).as_time())),
        "first_failed_at": time(message.first_failed_at_unix_ms),
        "parked_at": time(message.parked_at_unix_ms),
    })
}

pub(super) fn complete(message: &ParkedMessage) -> Value {
    let headers = &message.delivery.headers;
    let mut all = brief(message);
    all["livemode"] = json!(headers.livemode);
    all["stripe_account"] = json!(headers.stripe_account);
    all["api_version"] = json!(headers.api_version);
    all["received_at"] = json!(time(headers.received_at_unix_ms));
    all["traceparent"] = json!(headers.traceparent);
    all["correlation"] = json!(message.delivery.correlation);
    all["bytes"] = json!(message.delivery.body.len());
    all["body"] = shown(&message.delivery.body);
    all
}

pub(super) fn time(unix_ms: Option<i64>) -> Option<String> {
    unix_ms.map(|at| rfc3339(Time(at)))
}
