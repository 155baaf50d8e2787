//! Stripe's JSON as it travels: only the keys Relink reads, every one of them optional.

mod field;

use serde::Deserialize;

pub(crate) use field::{Field, List, Map, Moment, Reference, Text, TextOr};

/// Why text is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// It is not one JSON object.
    NotAnObject,
    /// A key that is read stands in one object twice: which of the two holds is anyone's guess
    /// (RFC 8259, 4), so neither does.
    RepeatedKey,
}

/// Reads text that is one JSON object.
///
/// Not `serde_json::from_str` into `T` itself: that would also take a list for the object's
/// fields in their order of declaration.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Unreadable> {
    match serde_json::from_str::<Field<Map<T>>>(json) {
        Ok(Field::Value(Map(object))) => Ok(object),
        // Every part is optional and takes any shape: nothing else about JSON can displease.
        Err(error) if error.is_data() => Err(Unreadable::RepeatedKey),
        _ => Err(Unreadable::NotAnObject),
    }
}

/// An event, or the wrapper around one; `O` is what becomes of `data.object`, `W` what `data`
/// and `detail` are read as.
///
/// Levels differ only in what they hold, so one type serves all: a webhook's event stands at the
/// top, Amazon EventBridge puts it in `detail`, Azure Event Grid (CloudEvents) in `data`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>, W: Deserialize<'de>, 'de: 'a"))]
pub(crate) struct Body<'a, O, W> {
    #[serde(default)]
    id: Field<Text<'a>>,
    #[serde(default)]
    object: Field<TextOr<'a, O>>,
    #[serde(default, rename = "type")]
    kind: Field<Text<'a>>,
    #[serde(default)]
    created: Field<Moment>,
    #[serde(default)]
    livemode: Field<bool>,
    #[serde(default)]
    account: Field<Text<'a>>,
    #[serde(default)]
    context: Field<Text<'a>>,
    #[serde(default)]
    api_version: Field<Text<'a>>,
    #[serde(default)]
    related_object: Field<Map<RelatedObject<'a>>>,
    #[serde(default)]
    specversion: Field<Text<'a>>,
    #[serde(default)]
    data: Field<Map<W>>,
    #[serde(default)]
    detail: Field<Map<W>>,
}

/// Any body that can arrive; reads three levels and no more.
pub(crate) type Top<'a, O> = Body<'a, O, Body<'a, O, Payload<O>>>;

/// The `data` of a wrapped event.
#[derive(Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>"))]
pub(crate) struct Payload<O> {
    #[serde(default)]
    object: Field<Map<O>>,
}

/// What an event says of itself.
pub(crate) struct Head<'a> {
    pub(crate) id: Field<Text<'a>>,
    pub(crate) object: Field<Text<'a>>,
    pub(crate) kind: Field<Text<'a>>,
    pub(crate) created: Field<Moment>,
    pub(crate) livemode: Field<bool>,
    pub(crate) account: Field<Text<'a>>,
    pub(crate) context: Field<Text<'a>>,
    pub(crate) api_version: Field<Text<'a>>,
    pub(crate) related_object: Field<Map<RelatedObject<'a>>>,
}

/// A thin event's `related_object`.
#[derive(Deserialize)]
pub(crate) struct RelatedObject<'a> {
    #[serde(default, borrow)]
    pub(crate) id: Field<Text<'a>>,
    #[serde(default, borrow, rename = "type")]
    pub(crate) kind: Field<Text<'a>>,
}

impl<'a, O> Top<'a, O> {
    /// Finds the event in what may be a wrapper, and its `data.object`.
    ///
    /// The wrappers' own `id`, `type` and `account` (EventBridge: the AWS account) are not
    /// Stripe's and are left behind.
    pub(crate) fn into_event(self) -> (Head<'a>, Option<O>) {
        let is_event = matches!(&self.object,
            Field::Value(TextOr::Text(Text(object))) if object.ends_with("event"));
        let is_cloud_event = matches!(self.specversion, Field::Value(_));
        let (head, data, detail) = self.split();
        match (data, detail) {
            (_, Some(event)) if !is_event => event.into_wrapped(),
            (Some(event), _) if !is_event && is_cloud_event => event.into_wrapped(),
            (Some(data), _) => match data.object {
                Field::Value(TextOr::Object(object)) => (head, Some(object)),
                _ => (head, None),
            },
            (None, _) => (head, None),
        }
    }
}

impl<'a, O> Body<'a, O, Payload<O>> {
    fn into_wrapped(self) -> (Head<'a>, Option<O>) {
        let (head, data, _) = self.split();
        let object = data.and_then(|data| data.object.into_value());
        (head, object.map(|Map(object)| object))
    }
}

impl<'a, O, W> Body<'a, O, W> {
    fn split(self) -> (Head<'a>, Option<W>, Option<W>) {
        let head = Head {
            id: self.id,
            object: match self.object {
                Field::Value(TextOr::Text(text)) => Field::Value(text),
                _ => Field::Absent,
            },
            kind: self.kind,
            created: self.created,
            livemode: self.livemode,
            account: self.account,
            context: self.context,
            api_version: self.api_version,
            related_object: self.related_object,
        };
        let within = |field: Field<Map<W>>| field.into_value().map(|Map(within)| within);
        (head, within(self.data), within(self.detail))
    }
}

/// An account, an authorization or a session: the union of their keys.
///
/// In Stripe's bodies `data` stands before `type`, so which of the three it is is not known when
/// its bytes pass by; one union spares a second pass.
#[derive(Deserialize)]
pub(crate) struct Object<'a> {
    #[serde(default, borrow)]
    pub(crate) id: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) object: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) account_holder: Field<Map<AccountHolder<'a>>>,
    #[serde(default, borrow)]
    pub(crate) account_numbers: Field<List<Map<AccountNumber<'a>>>>,
    #[serde(default, borrow)]
    pub(crate) authorization: Field<Reference<'a>>,
    #[serde(default)]
    pub(crate) created: Field<i64>,
    #[serde(default, borrow)]
    pub(crate) display_name: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) institution: Field<Reference<'a>>,
    #[serde(default, borrow)]
    pub(crate) institution_name: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) last4: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) permissions: Field<List<Text<'a>>>,
    #[serde(default, borrow)]
    pub(crate) status: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) status_details: Field<Map<StatusDetails<'a>>>,
    #[serde(default, borrow)]
    pub(crate) subcategory: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) relink_options: Field<Map<Relink<'a>>>,
    #[serde(default, borrow)]
    pub(crate) relink_result: Field<Map<Relink<'a>>>,
    #[serde(default, borrow)]
    pub(crate) accounts: Field<Map<Accounts<'a>>>,
}

/// `account_holder`: a word for the kind, and the id under a key of that kind.
#[derive(Deserialize)]
pub(crate) struct AccountHolder<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(crate) kind: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) customer: Field<Reference<'a>>,
    #[serde(default, borrow)]
    pub(crate) customer_account: Field<Reference<'a>>,
    #[serde(default, borrow)]
    pub(crate) account: Field<Reference<'a>>,
}

/// One entry of `account_numbers`.
#[derive(Deserialize)]
pub(crate) struct AccountNumber<'a> {
    #[serde(default, borrow)]
    pub(crate) identifier_type: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) status: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) expected_expiry_date: Field<i64>,
}

/// `status_details`: at most one of the two (Stripe docs: inactive accounts).
#[derive(Deserialize)]
pub(crate) struct StatusDetails<'a> {
    #[serde(default, borrow)]
    pub(crate) active: Field<Map<StatusDetail<'a>>>,
    #[serde(default, borrow)]
    pub(crate) inactive: Field<Map<StatusDetail<'a>>>,
}

/// What either of `status_details` holds; the date only while active.
#[derive(Deserialize)]
pub(crate) struct StatusDetail<'a> {
    #[serde(default, borrow)]
    pub(crate) cause: Field<Text<'a>>,
    #[serde(default, borrow)]
    pub(crate) action: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) expected_deactivation_date: Field<i64>,
}

/// A session's `relink_options` and `relink_result`.
#[derive(Deserialize)]
pub(crate) struct Relink<'a> {
    #[serde(default, borrow)]
    pub(crate) authorization: Field<Reference<'a>>,
    #[serde(default, borrow)]
    pub(crate) failure_reason: Field<Text<'a>>,
}

/// A session's `accounts`: the first page of a list.
#[derive(Deserialize)]
pub(crate) struct Accounts<'a> {
    #[serde(default, borrow)]
    pub(crate) data: Field<List<Map<Object<'a>>>>,
    #[serde(default)]
    pub(crate) has_more: Field<bool>,
}
