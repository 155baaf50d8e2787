//! What a change of the contract means to whoever reads messages: what was promised of every
//! message may be kept, and more may be promised; nothing else.

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
    /// Whether it breaks who reads messages by the earlier schemas and ignores unknown fields.
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
        for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            if let (Some(old), Some(new)) = (having(&old, key), having(&new, key)) {
                self.walk(&format!("{place}{mark}"), &old[key], &new[key], depth + 1, tell);
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
            tell(false, &inner, "is new".to_owned());
        }
    }
}

/// Which values there may be: types, or single values.
fn compare_values(place: &str, old: &[&Value], new: &[&Value], tell: Tell<'_>) {
    let (old, new) = (values(old), values(new));
    for value in new.iter().filter(|value| !is_among(value, &old)) {
        tell(true, place, format!("may be {value}"));
    }
    for value in old.iter().filter(|value| !is_among(value, &new)) {
        tell(false, place, format!("is never {value} any more"));
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
    let kind = match value.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'-' | b'0'..=b'9') => "number",
        _ if matches!(value, "true" | "false") => "boolean",
        _ if value == "integer" => "number",
        _ => value,
    };
    ["anything", kind, value].iter().any(|one| all.contains(*one))
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(data: &Value) -> Map<String, Value> {
        let whole = json!({
            "type": "object", "required": ["data"],
            "properties": { "data": { "$ref": "#/$defs/Data" } },
            "$defs": { "Data": data },
        });
        Map::from_iter([("relink.example.v1".to_owned(), whole)])
    }

    /// What breaks, and what does not.
    fn told(old: &Value, new: &Value) -> (Vec<String>, Vec<String>) {
        let text = |change: &Change| format!("{} {}", change.place, change.what);
        let changes = compare(&schema(old), &schema(new));
        let (breaking, compatible): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.breaks);
        (breaking.into_iter().map(text).collect(), compatible.into_iter().map(text).collect())
    }

    fn object(fields: &Value, required: &[&str]) -> Value {
        json!({ "type": "object", "properties": fields, "required": required })
    }

    #[test]
    fn fields_may_come_and_not_go() {
        let one = object(&json!({ "a": { "type": "string" } }), &["a"]);
        let two = object(&json!({ "a": { "type": "string" }, "b": { "type": "null" } }), &["a"]);
        assert_eq!(told(&one, &two), (vec![], vec!["data.b is new".to_owned()]));
        assert_eq!(told(&two, &one), (vec!["data.b is gone".to_owned()], vec![]));
        let unsure = object(&json!({ "a": { "type": "string" } }), &[]);
        assert_eq!(told(&one, &unsure), (vec!["data.a may be missing".to_owned()], vec![]));
        assert_eq!(told(&unsure, &one), (vec![], vec!["data.a is always there".to_owned()]));
    }

    #[test]
    fn values_may_become_fewer_and_not_more() {
        let of = |kind: Value| object(&json!({ "a": kind }), &[]);
        let wide = of(json!({ "type": ["string", "null"] }));
        let narrow = of(json!({ "type": "string" }));
        assert_eq!(told(&narrow, &wide).0, ["data.a may be null"]);
        assert_eq!(told(&wide, &narrow).1, ["data.a is never null any more"]);
        let two = of(json!({ "oneOf": [{ "const": "x" }, { "const": "y", "description": "d" }] }));
        let one = of(json!({ "enum": ["x"] }));
        assert_eq!(told(&one, &two).0, ["data.a may be \"y\""]);
        assert_eq!(told(&two, &one), (vec![], vec!["data.a is never \"y\" any more".to_owned()]));
        assert_eq!(told(&narrow, &one).0, Vec::<String>::new(), "x is a string");
        assert_eq!(told(&one, &narrow).0, ["data.a may be string"]);
        let any = of(json!({ "description": "whatever" }));
        assert_eq!(told(&narrow, &any).0, ["data.a may be anything"]);
    }

    #[test]
    fn it_looks_into_lists_alternatives_and_references_without_end() {
        let deep = |kind: &str| {
            let leaf = json!({ "anyOf": [{ "type": "null" }, { "type": kind }] });
            let item = object(&json!({ "leaf": leaf, "self": { "$ref": "#/$defs/Data" } }), &[]);
            object(&json!({ "list": { "type": "array", "items": item } }), &[])
        };
        assert_eq!(told(&deep("string"), &deep("string")), (vec![], vec![]));
        let (breaking, compatible) = told(&deep("string"), &deep("integer"));
        assert_eq!(breaking[0], "data.list[].leaf may be integer");
        assert_eq!(compatible[0], "data.list[].leaf is never string any more");
    }

    #[test]
    fn bounds_may_become_narrower_and_not_wider() {
        let least = |least: i64| json!({ "type": "integer", "minimum": least });
        assert_eq!(told(&least(0), &least(-1)).0, ["data minimum was 0 and is -1"]);
        assert_eq!(told(&least(0), &least(1)).1, ["data minimum was 0 and is 1"]);
        let none = json!({ "type": "integer" });
        assert_eq!(told(&none, &least(0)).1, ["data minimum was none and is 0"]);
        assert_eq!(told(&least(0), &none).0, ["data minimum was 0 and is none"]);
    }

    #[test]
    fn a_description_is_no_promise_and_a_type_that_goes_is_missed() {
        let plain = json!({ "type": "string" });
        let told_better = json!({ "type": "string", "description": "told better", "title": "T" });
        assert_eq!(told(&plain, &told_better), (vec![], vec![]));
        let gone = compare(&schema(&plain), &Map::new());
        assert_eq!((gone[0].breaks, &*gone[0].what), (true, "is gone"));
        let new = compare(&Map::new(), &schema(&plain));
        assert_eq!((new[0].breaks, &*new[0].what), (false, "is new"));
    }
}
