//! What breaks readers, and what does not.

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
    let (breaking, compatible): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.breaks);
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

#[test]
fn what_is_always_so_now_is_told_as_that() {
    let always = |old: &Value, new: &Value| {
        let (breaking, compatible) = told(old, new);
        assert_eq!(breaking, Vec::<String>::new());
        compatible
    };
    let text = json!({ "type": "string" });
    assert_eq!(always(&text, &json!({ "const": "x" })), ["data is always \"x\" now"]);
    let two = json!({ "enum": ["x", "y"] });
    assert_eq!(always(&text, &two), ["data is always \"x\" or \"y\" now"]);
    let number = json!({ "type": "integer" });
    assert_eq!(always(&number, &json!({ "const": 5 })), ["data is always 5 now"]);
    assert_eq!(always(&json!({}), &text), ["data is always string now"]);
    let or_null = json!({ "type": ["string", "null"] });
    let x_or_null = json!({ "enum": ["x", null] });
    assert_eq!(always(&or_null, &x_or_null), ["data is \"x\" now where it was any string"]);
}

#[test]
fn fields_without_a_name_may_be_ruled_out_and_not_let_in() {
    let with = |others: Value| {
        let fields = json!({ "a": { "type": "string" } });
        json!({ "type": "object", "properties": fields, "additionalProperties": others })
    };
    let open = object(&json!({ "a": { "type": "string" } }), &[]);
    let (closed, text) = (with(json!(false)), with(json!({ "type": "string" })));
    for as_open in [with(json!(true)), with(json!({}))] {
        assert_eq!(told(&open, &as_open), (vec![], vec![]));
        assert_eq!(told(&as_open, &open), (vec![], vec![]));
    }
    let ruled_out = "data has no fields any more that are not named";
    assert_eq!(told(&open, &closed), (vec![], vec![ruled_out.to_owned()]));
    assert_eq!(told(&text, &closed), (vec![], vec![ruled_out.to_owned()]));
    assert_eq!(told(&closed, &open).0, ["data may have fields that are not named"]);
    assert_eq!(told(&closed, &text).0, ["data may have fields that are not named"]);
    assert_eq!(told(&open, &text), (vec![], vec!["data{} is always string now".to_owned()]));
    assert_eq!(told(&text, &open).0, ["data{} may be anything"]);
    assert_eq!(told(&text, &with(json!({ "type": "null" }))).0, ["data{} may be null"]);
    // Who was told that there is nothing else may refuse what is new.
    let mut more = closed.clone();
    more["properties"]["b"] = json!({ "type": "null" });
    assert_eq!(told(&closed, &more).0, ["data.b is new"]);
}
