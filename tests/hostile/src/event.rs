//! An event from its bytes to the input of a decision, by way of its message.

use bytes::Bytes;
use relink_bus::message::{Delivery, EventHead, Message, Receipt};
use relink_core::input::{Happened, Input};
use relink_stripe::envelope::{Envelope, EnvelopeError};
use relink_stripe::mapping::{self, MappingError};

use crate::seed::EVENTS;
use crate::source::Source;

/// The longest short string of AMQP 0-9-1.
const SHORT_STRING_BYTES_MAX: usize = 255;

/// What ingress reads and what a worker reads are the same event.
pub(crate) fn run(source: &mut Source<'_>) {
    let body = body(source);
    let read = mapping::input(&body);
    let envelope = match (Envelope::read(&body), &read) {
        (Ok(envelope), _) => envelope,
        (Err(error), Err(MappingError::Envelope(other))) => {
            // The object is skipped by one and read by the other, which may mind it first.
            let minds = [EnvelopeError::Unparsable, EnvelopeError::RepeatedKey];
            assert!(error == *other || minds.contains(other), "{error:?} is not {other:?}");
            return;
        }
        (Err(error), other) => panic!("no envelope ({error:?}), and yet {other:?}"),
    };
    let message =
        Message::of_event(&EventHead::from(&envelope), body.clone().into(), 1_790_000_000_000);
    assert!(message.routing_key.len() <= SHORT_STRING_BYTES_MAX);
    assert!(message.id.len() <= SHORT_STRING_BYTES_MAX && !message.id.is_empty());
    assert_eq!(message.body, body, "the bytes that Stripe sent");
    let decoded = decode(&delivery(&message));
    match read {
        Ok(input) => {
            // The queue of forecasts takes no facts, and says so; the other takes everything.
            assert_eq!(decoded, Some(input.clone()));
            is_the_same(&envelope, &input);
        }
        Err(_) => assert_eq!(decoded, None),
    }
}

fn is_the_same(envelope: &Envelope<'_>, input: &Input) {
    assert_eq!(input.id.as_str(), envelope.id);
    assert!(input.id.is_acceptable());
    assert_eq!(*input.kind, *envelope.kind);
    assert_eq!(input.at.0, envelope.created);
    assert_eq!(input.scope.livemode, envelope.livemode);
    assert_eq!(input.scope.stripe_account.as_deref(), envelope.stripe_account.as_deref());
    if let Happened::AccountObserved(seen) = &input.happened {
        assert!(seen.account.is_acceptable());
    }
}

fn decode(delivery: &Delivery) -> Option<Input> {
    let forecast = relink_worker_upcoming::decode(delivery);
    let fact = relink_worker_lifecycle::event(delivery);
    if let (Ok(forecast), Ok(fact)) = (forecast, &fact) {
        assert_eq!(forecast, *fact);
    }
    fact.ok()
}

/// A body that is, or was, an event.
pub(crate) fn body(source: &mut Source<'_>) -> Vec<u8> {
    let mut body = match source.below(4) {
        0 => source.pick(&EVENTS.bodies).clone(),
        1 => source.json(&EVENTS.names).to_string().into_bytes(),
        _ => {
            let mut document = source.pick(&EVENTS.documents).clone();
            let places = source.below(5);
            source.alter(&mut document, &EVENTS.names, places);
            document.to_string().into_bytes()
        }
    };
    if source.one_in(3) {
        source.damage(&mut body);
    }
    body
}

/// A message as a subscriber hands it out.
pub(crate) fn delivery(message: &Message) -> Delivery {
    Delivery {
        receipt: Receipt { generation: 1, tag: 1 },
        id: Some(message.id.clone()),
        kind: Some(message.kind.clone()),
        routing_key: message.routing_key.clone(),
        timestamp_unix_s: Some(message.timestamp_unix_s),
        correlation: message.correlation.clone(),
        headers: message.headers.clone(),
        redelivered: false,
        body: Bytes::clone(&message.body),
    }
}
