//! Deliveries that are put on the retry ladder or into the parked queue.

use std::time::{Duration, UNIX_EPOCH};

use lapin::types::{AMQPValue, FieldTable, ShortString};
use relink_bus::message::header;
use relink_bus::port::{ParkReason, Parking};
use relink_bus::topology::{RETRY_LADDER, WorkQueue, retry_queue};

use crate::backoff::between;
use crate::properties::{Parcel, headers, kept_headers, text};
use crate::shelf::Held;

/// Where a delivery goes instead of back to its queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Aside {
    /// Up the ladder.
    Retry(Parking),
    /// To a person.
    Park(Parking),
}

/// The delivery as it is published again: same properties and body, addressed by queue name.
pub(crate) fn aside(queue: WorkQueue, held: Held, aside: Aside, now_unix_ms: i64) -> Parcel {
    let known = headers(&held.properties);
    let rung = usize::try_from(known.attempts).ok().and_then(|rung| RETRY_LADDER.get(rung));
    let first = known.first_failed_at_unix_ms.unwrap_or(now_unix_ms);
    let mut parcel = again(held);
    put(&mut parcel, header::FIRST_FAILED_AT, AMQPValue::LongLongInt(first));
    match (aside, rung) {
        (Aside::Retry(_), Some((name, time_to_live))) => {
            let attempts = i64::from(known.attempts) + 1;
            put(&mut parcel, header::ATTEMPTS, AMQPValue::LongLongInt(attempts));
            parcel.routing_key = name_of(&retry_queue(queue, name));
            parcel.properties = parcel.properties.with_expiration(expiration(*time_to_live));
        }
        (Aside::Retry(parking), None) => {
            let parking = Parking { reason: ParkReason::RetriesExhausted, ..parking };
            park(&mut parcel, queue, &parking, now_unix_ms);
        }
        (Aside::Park(parking), _) => park(&mut parcel, queue, &parking, now_unix_ms),
    }
    parcel
}

/// Headers that the broker writes about a message's past, as far as they begin so: a message that
/// is put back begins anew.
const PAST: [&str; 6] = [
    "x-death",
    "x-first-death",
    "x-last-death",
    "x-delivery-count",
    "x-acquired-count",
    "x-original-expiration",
];

/// A parked message as it is published to its work queue again.
pub(crate) fn put_back(queue: WorkQueue, held: Held, requeues: u32) -> Parcel {
    let mut parcel = again(held);
    let ours = [header::PARK_REASON, header::PARK_ERROR, header::LAST_FAILED_AT, header::ATTEMPTS];
    let mut headers = FieldTable::default();
    for (name, value) in parcel.headers.inner() {
        let is_past = PAST.iter().any(|past| name.as_str().starts_with(past));
        if !is_past && !ours.contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    parcel.headers = headers;
    put(&mut parcel, header::REQUEUES, AMQPValue::LongLongInt(requeues.into()));
    parcel.routing_key = name_of(queue.name());
    parcel
}

fn again(held: Held) -> Parcel {
    let headers = kept_headers(&held.properties);
    Parcel {
        exchange: None,
        routing_key: ShortString::default(),
        // Mandatory: a missing rung or parked queue must not swallow the message.
        mandatory: true,
        // Delivery mode 2: survives a restart of the broker, whoever published it first.
        properties: held.properties.with_delivery_mode(2),
        headers,
        body: held.body,
    }
}

fn park(parcel: &mut Parcel, queue: WorkQueue, parking: &Parking, now_unix_ms: i64) {
    put(parcel, header::PARK_REASON, text(parking.reason.as_str()));
    put(parcel, header::PARK_ERROR, text(&parking.error));
    put(parcel, header::LAST_FAILED_AT, AMQPValue::LongLongInt(now_unix_ms));
    parcel.routing_key = name_of(queue.parked());
}

fn put(parcel: &mut Parcel, name: &str, value: AMQPValue) {
    parcel.headers.insert(name.into(), value);
}

fn name_of(queue: &str) -> ShortString {
    queue.into()
}

/// Half to all of the rung's time, so that what failed together does not come back together.
///
/// A queue only expires its head, so a message waits for those before it as well: its delay is
/// between its own time and the rung's.
fn expiration(time_to_live: Duration) -> ShortString {
    between(time_to_live / 2, time_to_live).as_millis().to_string().into()
}

/// The wall clock, for headers that only people read.
#[expect(
    clippy::disallowed_types,
    reason = "adapters have no engine and so no Clock; no rule depends on these times"
)]
pub(crate) fn now_unix_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::*;

    fn held(attempts: i64) -> Held {
        let mut table = FieldTable::default();
        table.insert(header::ATTEMPTS.into(), AMQPValue::LongLongInt(attempts));
        table.insert("BCC".into(), AMQPValue::FieldArray(vec![text("x")].into()));
        table.insert("theirs".into(), AMQPValue::Void);
        let properties = BasicProperties::default().with_headers(table);
        Held { properties, body: "body".into() }
    }

    fn retried(attempts: i64) -> Parcel {
        let parking = Parking::new(ParkReason::Refused, "429");
        aside(WorkQueue::Followup, held(attempts), Aside::Retry(parking), 77)
    }

    fn header_of(parcel: &Parcel, name: &str) -> Option<AMQPValue> {
        parcel.headers.inner().get(name).cloned()
    }

    #[test]
    fn the_rung_is_the_number_of_attempts_so_far() {
        for (attempts, (name, time_to_live)) in (0..).zip(RETRY_LADDER) {
            let parcel = retried(attempts);
            assert_eq!(parcel.routing_key.as_str(), format!("relink.followup.retry.{name}"));
            let counted = header_of(&parcel, header::ATTEMPTS);
            assert_eq!(counted, Some(AMQPValue::LongLongInt(attempts + 1)));
            let expiration = parcel.properties.expiration().as_ref().unwrap().as_str();
            let expiration = Duration::from_millis(expiration.parse().unwrap());
            assert!((time_to_live / 2..=time_to_live).contains(&expiration));
        }
    }

    #[test]
    fn beyond_the_last_rung_it_is_parked() {
        let parcel = retried(4);
        assert_eq!(parcel.routing_key.as_str(), "relink.followup.parked");
        assert_eq!(header_of(&parcel, header::PARK_REASON), Some(text("retries_exhausted")));
        assert_eq!(header_of(&parcel, header::PARK_ERROR), Some(text("429")));
        assert_eq!(header_of(&parcel, header::LAST_FAILED_AT), Some(AMQPValue::LongLongInt(77)));
        assert!(parcel.properties.expiration().is_none());
    }

    #[test]
    fn foreign_headers_stay_and_further_addresses_go() {
        let parcel = retried(0);
        assert_eq!(header_of(&parcel, "theirs"), Some(AMQPValue::Void));
        assert_eq!(header_of(&parcel, "BCC"), None);
        assert_eq!(parcel.body, "body");
    }
    #[test]
    fn what_is_put_back_begins_anew_and_carries_how_often() {
        let mut table = FieldTable::default();
        for name in [header::PARK_REASON, header::ATTEMPTS, "x-death", "x-first-death-reason"] {
            table.insert(name.into(), text("past"));
        }
        table.insert(header::FIRST_FAILED_AT.into(), AMQPValue::LongLongInt(5));
        table.insert("theirs".into(), AMQPValue::Void);
        let properties = BasicProperties::default().with_headers(table);
        let parcel = put_back(WorkQueue::Upcoming, Held { properties, body: "body".into() }, 2);
        assert_eq!(parcel.routing_key.as_str(), "relink.upcoming");
        assert!(parcel.mandatory && parcel.exchange.is_none());
        let names: Vec<_> = parcel.headers.inner().keys().map(|name| name.as_str()).collect();
        assert_eq!(names, [header::FIRST_FAILED_AT, header::REQUEUES, "theirs"]);
        assert_eq!(header_of(&parcel, header::REQUEUES), Some(AMQPValue::LongLongInt(2)));
    }
}
