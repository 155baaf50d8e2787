//! Whether something is a JSON Schema at all, as far as [`compare`](super::compare) looks into it.

use serde_json::Value;

/// How deep it is looked; what is nested more deeply is refused.
const DEPTH_MAX: usize = 64;

/// Keywords that hold a schema.
const ONE: [&str; 2] = ["items", "additionalProperties"];

/// Keywords that hold schemas by name.
const NAMED: [&str; 2] = ["properties", "$defs"];

/// Keywords that hold a list of schemas.
const LISTED: [&str; 2] = ["anyOf", "oneOf"];

/// Where it is none, as a JSON Pointer, and what stands there instead.
///
/// # Errors
/// The first place where a schema, or a collection of them, has to be and is not.
pub fn look_through(schema: &Value) -> Result<(), String> {
    look(schema, "", 0)
}

fn look(schema: &Value, place: &str, depth: usize) -> Result<(), String> {
    let within = match schema {
        Value::Bool(_) if depth > 0 => return Ok(()),
        Value::Object(within) if depth <= DEPTH_MAX => within,
        other => return Err(wrong(place, other, "a schema")),
    };
    for (key, value) in within {
        let inner = format!("{place}/{key}");
        let key = key.as_str();
        if ONE.contains(&key) {
            look(value, &inner, depth + 1)?;
        } else if NAMED.contains(&key) {
            let named =
                value.as_object().ok_or_else(|| wrong(&inner, value, "an object of schemas"))?;
            for (name, one) in named {
                look(one, &format!("{inner}/{name}"), depth + 1)?;
            }
        } else if LISTED.contains(&key) {
            let listed =
                value.as_array().ok_or_else(|| wrong(&inner, value, "a list of schemas"))?;
            for (number, one) in listed.iter().enumerate() {
                look(one, &format!("{inner}/{number}"), depth + 1)?;
            }
        }
    }
    Ok(())
}

fn wrong(place: &str, found: &Value, wanted: &str) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "nested too deeply",
    };
    match place {
        "" => format!("{wanted} is wanted, and it is {found}"),
        place => format!("{wanted} is wanted at {place}, and it is {found}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_schema_is_named_with_its_place() {
        let check = |value: Value, wrong: &str| assert_eq!(look_through(&value), Err(wrong.into()));
        check(Value::Null, "a schema is wanted, and it is null");
        check(json!(5), "a schema is wanted, and it is a number");
        check(json!([]), "a schema is wanted, and it is a list");
        check(json!(true), "a schema is wanted, and it is true or false");
        check(
            json!({ "properties": { "a": { "items": "x" } } }),
            "a schema is wanted at /properties/a/items, and it is a text",
        );
        check(
            json!({ "$defs": 7 }),
            "an object of schemas is wanted at /$defs, and it is a number",
        );
        check(json!({ "oneOf": [{}, null] }), "a schema is wanted at /oneOf/1, and it is null");
        let deep = (0..100).fold(json!({}), |inner, _| json!({ "items": inner }));
        assert!(look_through(&deep).is_err_and(|wrong| wrong.ends_with("nested too deeply")));
    }

    #[test]
    fn every_schema_of_ours_is_one() {
        for one in super::super::all() {
            assert_eq!(look_through(&one.schema.to_value()), Ok(()), "{}", one.kind);
        }
        assert_eq!(look_through(&json!({ "additionalProperties": false })), Ok(()));
    }
}
