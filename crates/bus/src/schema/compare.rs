//! What a change of the contract means to whoever reads messages: what was promised of every
//! message may be kept, and more may be promised; nothing else.
//!
//! So it is with fields that a schema does not name: to promise that there are none, or what they
//! hold, breaks nobody; to take that back breaks who relies on it, and so does a new field of an
//! object that was to have no other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How deep it is looked; a type that contains itself has no end.
const DEPTH_MAX: usize = 32;

/// Bounds of which a lower one admits more.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];

/// Bounds of which a higher one admits more.
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/// Other promises, of which another is another.
const FORMS: [&str; 3] = ["format", "pattern", "multipleOf"];

/// Something that differs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Change {
    /// Whether it breaks who reads messages by the earlier schemas, and ignores unknown fields
    /// where those do not rule them out.
    pub breaks: bool,
    /// The type of message.
    pub kind: String,
    /// The field, such as `data.accounts[].id`; empty: the message as a whole.
    pub place: String,
    /// What.
    pub what: String,
}

/// Everything that differs between two sets of schemas by type, what breaks first.
pub fn compare(earlier: &Map<String, Value>, now: &Map<String, Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (kind, old) in earlier {
        let mut tell = |breaks, place: &str, what: String| {
            changes.push(Change { breaks, kind: kind.clone(), place: place.to_owned(), what });
        };
        match now.get(kind) {
            None => tell(true, "", "is gone".to_owned()),
            Some(new) => Sides { old, new }.walk("", old, new, 0, &mut tell),
        }
    }
    let is_new = |kind: &&String| !earlier.contains_key(*kind);
    changes.extend(now.keys().filter(is_new).map(|kind| Change {
        breaks: false,
        kind: kind.clone(),
        place: String::new(),
        what: "is new".to_owned(),
    }));
    changes.sort_by(|one, other| (!one.breaks, &one.kind).cmp(&(!other.breaks, &other.kind)));
    changes
}

/// Two schemas, for their definitions.
struct Sides<'a> {
    old: &'a Value,
    new: &'a Value,
}

type Tell<'t> = &'t mut dyn FnMut(bool, &str, String);

impl<'a> Sides<'a> {
    fn walk(&self, place: &str, old: &'a Value, new: &'a Value, depth: usize, tell: Tell<'_>) {
        if depth > DEPTH_MAX {
            return;
        }
        let (old, new) = (variants(self.old, old), variants(self.new, new));
        compare_values(place, &old, &new, tell);
        compare_promises(place, &old, &new, tell);
        let having =
            |all: &[&'a Value], key: &str| all.iter().copied().find(|one| one[key].is_object());
        if let (Some(old), Some(new)) = (having(&old, "properties"), having(&new, "properties")) {
            self.walk_fields(place, old, new, depth, tell);
        }
        if let (Some(old), Some(new)) = (having(&old, "items"), having(&new, "items")) {
            self.walk(&format!("{place}[]"), &old["items"], &new["items"], depth + 1, tell);
        }
        let object = |all: &[&'a Value]| all.iter().copied().find(|one| is_of_objects(one));
        if let (Some(old), Some(new)) = (object(&old), object(&new)) {
            self.walk_others(place, old, new, depth, tell);
        }
    }

    /// Fields that are not named.
    fn walk_others(
        &self,
        place: &str,
        old: &'a Value,
        new: &'a Value,
        depth: usize,
        tell: Tell<'_>,
    ) {
        match (Others::of(old), Others::of(new)) {
            (Others::None, Others::None) => {}
            (Others::None, _) => tell(true, place, "may have fields that are not named".to_owned()),
            (_, Others::None) => {
                tell(false, place, "has no fields any more that are not named".to_owned());
            }
            (Others::Any, Others::Any) => {}
            (Others::Of(old), Others::Of(new)) => {
                self.walk(&format!("{place}{{}}"), old, new, depth + 1, tell);
            }
            (old, new) => {
                let any = &Value::Bool(true);
                let schema = |others| if let Others::Of(schema) = others { schema } else { any };
                let (old, new) = (variants(self.old, schema(old)), variants(self.new, schema(new)));
                compare_values(&format!("{place}{{}}"), &old, &new, tell);
            }
        }
    }

    fn walk_fields(
        &self,
        place: &str,
        old: &'a Value,
        new: &'a Value,
        depth: usize,
        tell: Tell<'_>,
    ) {
        let none = Map::new();
        let fields = |side: &'a Value| side["properties"].as_object();
        let (before, after) = (fields(old), fields(new));
        let after = after.unwrap_or(&none);
        for (name, field) in before.into_iter().flatten() {
            let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            let Some(changed) = new["properties"].get(name) else {
                tell(true, &inner, "is gone".to_owned());
                continue;
            };
            match (is_required(old, name), is_required(new, name)) {
                (true, false) => tell(true, &inner, "may be missing".to_owned()),
                (false, true) => tell(false, &inner, "is always there".to_owned()),
                _ => {}
            }
            self.walk(&inner, field, changed, depth + 1, tell);
        }
        for name in after.keys().filter(|name| old["properties"].get(*name).is_none()) {
            let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            // Who was told that there is no other field may refuse it.
            tell(matches!(Others::of(old), Others::None), &inner, "is new".to_owned());
        }
    }
}

/// What an object may hold in fields that are not named.
#[derive(Clone, Copy)]
enum Others<'a> {
    /// There are none.
    None,
    /// Anything.
    Any,
    /// What this schema says.
    Of(&'a Value),
}

impl<'a> Others<'a> {
    fn of(object: &'a Value) -> Self {
        match object.get("additionalProperties") {
            Some(Value::Bool(false)) => Self::None,
            Some(schema @ Value::Object(rules)) if !rules.is_empty() => Self::Of(schema),
            _ => Self::Any,
        }
    }
}

fn is_of_objects(schema: &Value) -> bool {
    let kind = &schema["type"];
    let is_listed = kind.as_array().is_some_and(|all| all.iter().any(|one| one == "object"));
    let says = |key: &str| schema.get(key).is_some();
    kind == "object" || is_listed || says("properties") || says("additionalProperties")
}

/// Which values there may be: types, or single values.
fn compare_values(place: &str, old: &[&Value], new: &[&Value], tell: Tell<'_>) {
    let (old, new) = (values(old), values(new));
    for value in new.iter().filter(|value| !is_among(value, &old)) {
        tell(true, place, format!("may be {value}"));
    }
    for value in old.iter().filter(|value| !is_among(value, &new)) {
        let left: Vec<&str> =
            new.iter().map(String::as_str).filter(|one| covers(value, one)).collect();
        let listed = left.join(" or ");
        let what = match left.len() {
            0 => format!("is never {value} any more"),
            all if all == new.len() => format!("is always {listed} now"),
            _ => format!("is {listed} now where it was any {value}"),
        };
        tell(false, place, what);
    }
}

/// Bounds and forms.
fn compare_promises(place: &str, old: &[&Value], new: &[&Value], tell: Tell<'_>) {
    let of = |all: &[&Value], key: &str| all.iter().find_map(|one| one.get(key)).cloned();
    let text = |value: &Option<Value>| {
        value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    for key in LOWER.into_iter().chain(UPPER).chain(FORMS) {
        let (before, after) = (of(old, key), of(new, key));
        if before == after {
            continue;
        }
        let number = |value: &Option<Value>| value.as_ref().and_then(Value::as_f64);
        let admits_less = match (number(&before), number(&after)) {
            (Some(before), Some(after)) if LOWER.contains(&key) => after > before,
            (Some(before), Some(after)) if UPPER.contains(&key) => after < before,
            _ => before.is_none(),
        };
        tell(!admits_less, place, format!("{key} was {} and is {}", text(&before), text(&after)));
    }
}

/// A schema's alternatives, with references followed.
fn variants<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut waiting = vec![(schema, 0)];
    while let Some((schema, depth)) = waiting.pop() {
        let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
        if depth > DEPTH_MAX {
            continue;
        }
        if let Some(target) = target.and_then(|target| root.pointer(target)) {
            waiting.push((target, depth + 1));
            continue;
        }
        let alternatives = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        match alternatives {
            Some(all) => waiting.extend(all.iter().map(|one| (one, depth + 1))),
            None => found.push(schema),
        }
    }
    found
}

fn values(variants: &[&Value]) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for one in variants {
        if let Some(constant) = one.get("const") {
            values.insert(constant.to_string());
        } else if let Some(listed) = one["enum"].as_array() {
            values.extend(listed.iter().map(ToString::to_string));
        } else {
            match &one["type"] {
                Value::String(kind) => _ = values.insert(kind.clone()),
                Value::Array(kinds) => {
                    values.extend(kinds.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => _ = values.insert("anything".to_owned()),
            }
        }
    }
    values
}

/// Whether a value was to be expected: by itself, or by its type.
fn is_among(value: &str, all: &BTreeSet<String>) -> bool {
    all.iter().any(|one| one == value || covers(one, value))
}

/// Whether a value, or a type, is one of the other type's.
fn covers(kind: &str, value: &str) -> bool {
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    kind != value
        && match kind {
            "anything" => true,
            "string" => value.starts_with('"'),
            "array" => value.starts_with('['),
            "object" => value.starts_with('{'),
            "boolean" => matches!(value, "true" | "false"),
            "integer" => is_number && !value.contains(['.', 'e', 'E']),
            "number" => is_number || value == "integer",
            _ => false,
        }
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
}

#[cfg(test)]
mod tests;
