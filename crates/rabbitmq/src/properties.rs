//! Messages as AMQP properties and back.

use std::sync::Arc;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString, ShortStringError};
use relink_bus::message::{APP_ID, Headers, Message, header};
use relink_bus::topology::Exchange;

/// AMQP's delivery mode 2: the message survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// RabbitMQ's second address, stripped before delivery.
const BCC: &str = "BCC";
/// RabbitMQ's further addresses, left in the message.
const CC: &str = "CC";

/// A message as it goes to the channel. The headers stay apart until the channel adds its nonce.
pub(crate) struct Parcel {
    /// `None` is AMQP's default exchange, which routes by queue name.
    pub(crate) exchange: Option<Exchange>,
    pub(crate) routing_key: ShortString,
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) headers: FieldTable,
    pub(crate) body: Bytes,
}

/// # Errors
/// If a text is longer than AMQP's 255 bytes for a short string.
pub(crate) fn parcel(message: Message) -> Result<Parcel, ShortStringError> {
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(&message.id)?)
        .with_type(short(&message.kind)?)
        .with_timestamp(u64::try_from(message.timestamp_unix_s).unwrap_or(0))
        .with_content_type(short(message.content_type)?)
        .with_app_id(short(APP_ID)?);
    if let Some(correlation) = &message.correlation {
        properties = properties.with_correlation_id(short(correlation)?);
    }
    Ok(Parcel {
        exchange: Some(message.exchange),
        routing_key: short(&message.routing_key)?,
        mandatory: message.mandatory,
        properties,
        headers: table(&message.headers, message.also_to),
        body: message.body,
    })
}

pub(crate) fn short(text: &str) -> Result<ShortString, ShortStringError> {
    ShortString::try_new(text)
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

fn table(headers: &Headers, also_to: Option<&str>) -> FieldTable {
    let mut table = FieldTable::default();
    let mut put = |name: &str, value: Option<AMQPValue>| {
        if let Some(value) = value {
            table.insert(name.into(), value);
        }
    };
    put(header::LIVEMODE, headers.livemode.map(AMQPValue::Boolean));
    put(header::STRIPE_ACCOUNT, headers.stripe_account.as_deref().map(text));
    put(header::API_VERSION, headers.api_version.as_deref().map(text));
    put(header::RECEIVED_AT, headers.received_at_unix_ms.map(AMQPValue::LongLongInt));
    put(header::TRACEPARENT, headers.traceparent.as_deref().map(text));
    let attempts = (headers.attempts > 0).then(|| AMQPValue::LongLongInt(headers.attempts.into()));
    put(header::ATTEMPTS, attempts);
    put(header::FIRST_FAILED_AT, headers.first_failed_at_unix_ms.map(AMQPValue::LongLongInt));
    let requeues = (headers.requeues > 0).then(|| AMQPValue::LongLongInt(headers.requeues.into()));
    put(header::REQUEUES, requeues);
    // Sender-selected distribution wants an array of long strings.
    put(BCC, also_to.map(|key| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]))));
    table
}

/// What Relink reads from a delivery's headers; values of unexpected types are ignored.
pub(crate) fn headers(properties: &BasicProperties) -> Headers {
    let Some(table) = properties.headers() else { return Headers::default() };
    let get = |name: &str| table.inner().get(name);
    let count = |name: &str| {
        get(name).and_then(number).and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
    };
    Headers {
        livemode: get(header::LIVEMODE).and_then(switch),
        stripe_account: get(header::STRIPE_ACCOUNT).and_then(string),
        api_version: get(header::API_VERSION).and_then(string),
        received_at_unix_ms: get(header::RECEIVED_AT).and_then(number),
        traceparent: get(header::TRACEPARENT).and_then(string),
        attempts: count(header::ATTEMPTS),
        first_failed_at_unix_ms: get(header::FIRST_FAILED_AT).and_then(number),
        requeues: count(header::REQUEUES),
    }
}

/// The headers to publish a delivery again with: all of them but those that would route it to
/// more queues than the one it is meant for.
pub(crate) fn kept_headers(properties: &BasicProperties) -> FieldTable {
    let mut kept = FieldTable::default();
    for (name, value) in properties.headers().iter().flatten() {
        if name.as_str() != BCC && name.as_str() != CC {
            kept.insert(name.clone(), value.clone());
        }
    }
    kept
}

pub(crate) fn shared(text: Option<&ShortString>) -> Option<Arc<str>> {
    text.map(|text| text.as_str().into())
}

/// Unix seconds.
pub(crate) fn timestamp(properties: &BasicProperties) -> Option<i64> {
    properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok())
}

pub(crate) fn number(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}

pub(crate) fn string(value: &AMQPValue) -> Option<Arc<str>> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(Into::into),
        AMQPValue::ShortString(text) => Some(text.as_str().into()),
        _ => None,
    }
}

/// A foreign client may only be able to write text.
fn switch(value: &AMQPValue) -> Option<bool> {
    match value {
        AMQPValue::Boolean(switch) => Some(*switch),
        other => string(other)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: AMQPValue) -> BasicProperties {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        BasicProperties::default().with_headers(table)
    }

    #[test]
    fn headers_survive_the_way_there_and_back() {
        let headers = Headers {
            livemode: Some(true),
            stripe_account: Some("acct_1".into()),
            api_version: Some("2025-09-30".into()),
            received_at_unix_ms: Some(1_700_000_000_123),
            traceparent: Some("00-1-2-01".into()),
            attempts: 3,
            first_failed_at_unix_ms: Some(5),
            requeues: 2,
        };
        let properties = BasicProperties::default().with_headers(table(&headers, Some("x")));
        assert_eq!(super::headers(&properties), headers);
    }

    #[test]
    fn values_of_unexpected_types_are_ignored() {
        assert_eq!(headers(&with(header::ATTEMPTS, text("many"))), Headers::default());
        assert_eq!(headers(&with(header::ATTEMPTS, AMQPValue::LongInt(-1))), Headers::default());
        assert_eq!(headers(&with(header::TRACEPARENT, AMQPValue::Void)), Headers::default());
        assert_eq!(headers(&with(header::LIVEMODE, text("true"))).livemode, Some(true));
    }

    #[test]
    fn further_addresses_are_not_published_again() {
        for name in [BCC, CC] {
            assert!(kept_headers(&with(name, text("x"))).inner().is_empty());
        }
        assert_eq!(kept_headers(&with("theirs", AMQPValue::Void)).inner().len(), 1);
    }
}
