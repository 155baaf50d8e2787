//! Nothing that arrives makes the parsers panic, and what they accept stays within bounds.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use relink_core::input::Happened;
use relink_stripe::envelope::{Envelope, EnvelopeError};
use relink_stripe::mapping::{self, MappingError};
use relink_stripe::signature::Verifier;
use secrecy::SecretString;
use serde_json::{Map, Value};

fn fixtures() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a fixture")).collect()
}

/// Reads a body both ways; the two have to agree on whether there is an envelope.
fn read(body: &[u8]) -> Result<(), TestCaseError> {
    let envelope = Envelope::read(body);
    match mapping::input(body) {
        Ok(input) => {
            prop_assert!(envelope.is_ok());
            prop_assert!(input.id.is_acceptable());
            prop_assert!(input.at.0 >= 0);
            if let Happened::AccountObserved(observation) = &input.happened {
                prop_assert!(observation.account.is_acceptable());
            }
        }
        // The object's bytes are looked at more closely than where they are skipped: a number
        // beyond `f64`, half a surrogate pair or a key twice is noticed there only.
        Err(MappingError::Envelope(EnvelopeError::Unparsable | EnvelopeError::RepeatedKey)) => {}
        Err(MappingError::Envelope(error)) => prop_assert_eq!(envelope, Err(error)),
        Err(_) => prop_assert!(envelope.is_ok()),
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("active")),
        Just(Value::from("fcauth_1")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec(("(id|object|data|type|status|x)", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Counts the places of a document, depth first.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(elements) => elements.iter().map(places).sum(),
        Value::Object(entries) => entries.values().map(places).sum(),
        _ => 0,
    }
}

/// Replaces the place of that number.
fn replace(value: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *value = with.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|each| replace(each, place, with)),
        Value::Object(entries) => entries.values_mut().for_each(|each| replace(each, place, with)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_header_and_body_are_judged(
        header in prop_oneof![
            ".{0,80}",
            "(t=[0-9+-]{0,22}|v1=[0-9a-fA-Fx]{0,66}|v0=.{0,5}|,|=){0,12}",
        ],
        body in vec(any::<u8>(), 0..200),
        now in any::<i64>(),
        tolerance in any::<u32>(),
    ) {
        let verifier = Verifier::new(vec![SecretString::from("whsec_1")], tolerance);
        prop_assert!(verifier.verify(Some(&header), &body, now).is_err());
    }

    #[test]
    fn any_bytes_are_judged(body in vec(any::<u8>(), 0..300)) {
        read(&body)?;
    }

    #[test]
    fn a_body_with_altered_bytes_is_judged(
        fixture in prop::sample::select(fixtures()),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut body = fixture;
        for (position, byte) in edits {
            let position = position.index(body.len());
            body[position] = byte;
        }
        if truncate {
            body.truncate(cut.index(body.len()));
        }
        read(&body)?;
    }

    #[test]
    fn a_body_with_any_part_replaced_is_judged(
        fixture in prop::sample::select(fixtures()),
        place in any::<prop::sample::Index>(),
        with in any_json(),
    ) {
        let mut document: Value = serde_json::from_slice(&fixture).expect("json");
        let mut place = place.index(places(&document));
        replace(&mut document, &mut place, &with);
        read(document.to_string().as_bytes())?;
    }
}

#[test]
fn deep_nesting_is_refused_or_skipped_without_exhausting_the_stack() {
    for depth in [20, 40, 100, 5_000] {
        for (open, close) in [
            ("{\"data\":", "}"),
            ("{\"detail\":", "}"),
            ("[", "]"),
            ("{\"data\":{\"object\":{\"accounts\":{\"data\":[", "]}}}}"),
            ("{\"accounts\":{\"data\":[", "]}}"),
        ] {
            let nested = format!("{}{{}}{}", open.repeat(depth), close.repeat(depth));
            assert!(mapping::input(nested.as_bytes()).is_err());
            let body = format!(
                "{{\"id\":\"evt_1\",\"created\":1,\"livemode\":true,\
                 \"type\":\"financial_connections.session.updated\",\
                 \"data\":{{\"object\":{nested}}}}}"
            );
            assert!(mapping::input(body.as_bytes()).is_err());
        }
    }
}
