//! Lenient parts: a value of a wrong type counts as not carried and never fails the body.
//!
//! Each part is read in the one pass over the bytes, by a visitor that accepts the shapes the
//! part knows and skips all others; nothing is buffered, and text without escapes is borrowed.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most elements kept of a list: the accounts Relink lets an authorization have, which a
/// session may return all at once; a page of Stripe's holds 100 (Stripe docs: `limit` 1–100).
pub(crate) const LIST_MAX: usize = 200;

/// What a body says under one key.
#[derive(Default)]
pub(crate) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// It is there and null.
    Null,
    /// It is there with a value of another shape.
    Unreadable,
    /// It is there.
    Value(T),
}

impl<T> Field<T> {
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null | Self::Unreadable => None,
        }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null | Self::Unreadable => None,
        }
    }
}

/// Something that can stand under a key; each kind overrides the shapes it can be read from.
pub(crate) trait Part<'de>: Sized {
    fn borrowed(text: &'de str) -> Option<Self> {
        Self::text(text)
    }

    fn text(_: &str) -> Option<Self> {
        None
    }

    fn integer(_: i64) -> Option<Self> {
        None
    }

    fn boolean(_: bool) -> Option<Self> {
        None
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Part<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<fn() -> T>);

fn field<T>(part: Option<T>) -> Field<T> {
    part.map_or(Field::Unreadable, Field::Value)
}

impl<'de, T: Part<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(field(T::borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(field(T::text(text)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(field(T::integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(field(i64::try_from(number).ok().and_then(T::integer)))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Unreadable)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(field(T::boolean(truth)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Field::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::map(map).map(field)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list).map(field)
    }
}

/// A string.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Part<'de> for Text<'a> {
    fn borrowed(text: &'de str) -> Option<Self> {
        Some(Self(Cow::Borrowed(text)))
    }

    fn text(text: &str) -> Option<Self> {
        Some(Self(Cow::Owned(text.to_owned())))
    }
}

impl Part<'_> for bool {
    fn boolean(truth: bool) -> Option<Self> {
        Some(truth)
    }
}

impl Part<'_> for i64 {
    fn integer(number: i64) -> Option<Self> {
        Some(number)
    }
}

/// An event's `created` in whole Unix seconds.
///
/// Stripe docs: an integer in a snapshot event, ISO 8601 with milliseconds in a thin one. The
/// part of a second is dropped, so that both forms of one change get the same stamp.
pub(crate) struct Moment(pub(crate) i64);

impl Part<'_> for Moment {
    fn integer(number: i64) -> Option<Self> {
        Some(Self(number))
    }

    fn text(text: &str) -> Option<Self> {
        let instant: Timestamp = text.parse().ok()?;
        Some(Self(instant.as_millisecond().div_euclid(1000)))
    }
}

/// An object whose keys are read into `T`.
pub(crate) struct Map<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Part<'de> for Map<T> {
    fn map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Some(Self(value)))
    }
}

/// The readable elements of a list, at most [`LIST_MAX`].
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<'de, T: Part<'de>> Part<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut kept = Vec::new();
        while let Some(element) = list.next_element::<Field<T>>()? {
            if let (Field::Value(value), true) = (element, kept.len() < LIST_MAX) {
                kept.push(value);
            }
        }
        Ok(Some(Self(kept)))
    }
}

/// Either text or an object: what `object` is depends on the level it stands at.
pub(crate) enum TextOr<'a, O> {
    Text(Text<'a>),
    Object(O),
}

impl<'de: 'a, 'a, O: Deserialize<'de>> Part<'de> for TextOr<'a, O> {
    fn borrowed(text: &'de str) -> Option<Self> {
        Text::borrowed(text).map(Self::Text)
    }

    fn text(text: &str) -> Option<Self> {
        Text::text(text).map(Self::Text)
    }

    fn map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(|object| Some(Self::Object(object)))
    }
}

/// The id of another object, which may stand expanded in its place (Stripe docs: `expand`).
pub(crate) struct Reference<'a>(pub(crate) Text<'a>);

#[derive(Deserialize)]
struct Expanded<'a> {
    #[serde(default, borrow)]
    id: Field<Text<'a>>,
}

impl<'de: 'a, 'a> Part<'de> for Reference<'a> {
    fn borrowed(text: &'de str) -> Option<Self> {
        Text::borrowed(text).map(Self)
    }

    fn text(text: &str) -> Option<Self> {
        Text::text(text).map(Self)
    }

    fn map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        let expanded = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        Ok(expanded.id.into_value().map(Self))
    }
}
