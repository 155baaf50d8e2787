//! `relink schema`: the JSON Schemas of everything that is published, the AsyncAPI and the OpenAPI
//! document, and what differs from the schemas of another version.

use std::path::Path;

use relink_bus::asyncapi;
use relink_bus::schema::{self, Change, MessageSchema};
use serde_json::{Map, Value, json};

use crate::cli::SchemaArgs;
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    if args.asyncapi || args.openapi {
        let document = if args.asyncapi { asyncapi::document() } else { relink_portal::openapi() };
        return print(&serde_json::to_string_pretty(&document).map_err(Failure::software)?);
    }
    if let Some(file) = &args.diff {
        return differ(file, args.json);
    }
    let all = schema::all();
    let text = match &args.kind {
        None => serde_json::to_string_pretty(&by_kind()),
        Some(kind) => match find(&all, kind) {
            Some(found) => serde_json::to_string_pretty(&found.schema),
            None => {
                let kinds: Vec<&str> = all.iter().map(|one| one.kind.as_str()).collect();
                return Err(Failure::no(format!(
                    "there is no type `{kind}`; there are {}",
                    kinds.join(", ")
                )));
            }
        },
    };
    print(&text.map_err(Failure::software)?)
}

fn by_kind() -> Map<String, Value> {
    schema::all().into_iter().map(|one| (one.kind, one.schema.to_value())).collect()
}

fn differ(file: &Path, as_json: bool) -> Result<(), Failure> {
    let problem = |what: String| Failure::usage(&[format!("{}: {what}", file.display())]);
    let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
    let earlier: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| problem(format!("no schemas as `relink schema` prints them: {error}")))?;
    // One schema alone, or the AsyncAPI document, has other keys.
    if let Some(name) = earlier.keys().find(|name| !name.starts_with("relink.")) {
        let wanted = "what `relink schema` prints without a type is wanted";
        return Err(problem(format!("`{name}` is no type of message; {wanted}")));
    }
    if earlier.is_empty() {
        return Err(problem("there is no schema in it; `relink schema > FILE` makes one".into()));
    }
    for (name, one) in &earlier {
        schema::look_through(one).map_err(|wrong| problem(format!("{name}: {wrong}")))?;
    }
    let changes = schema::compare(&earlier, &by_kind());
    let breaking = changes.iter().filter(|change| change.breaks).count();
    print(&told(&changes, as_json)?)?;
    match breaking {
        0 => Ok(()),
        count => Err(Failure::no(format!("{count} of {} changes break readers", changes.len()))),
    }
}

fn told(changes: &[Change], as_json: bool) -> Result<String, Failure> {
    if as_json {
        let all: Vec<Value> = changes
            .iter()
            .map(|one| {
                let Change { breaks, kind, place, what } = one;
                json!({ "breaks": breaks, "type": kind, "field": place, "change": what })
            })
            .collect();
        return serde_json::to_string_pretty(&all).map_err(Failure::software);
    }
    if changes.is_empty() {
        return Ok("nothing differs".to_owned());
    }
    let line = |one: &Change| {
        let weight = if one.breaks { "breaks    " } else { "compatible" };
        let field = if one.place.is_empty() { "" } else { &*format!(" {}", one.place) };
        format!("{weight}  {}{field} {}", one.kind, one.what)
    };
    Ok(changes.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// By the whole name of the type, or by what stands in its middle: `prompt_relink`.
fn find<'a>(all: &'a [MessageSchema], name: &str) -> Option<&'a MessageSchema> {
    let short = format!("relink.{name}.v1");
    all.iter().find(|one| one.kind == *name || one.kind == short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_enough() {
        let all = schema::all();
        let kind = |name: &str| find(&all, name).map(|one| one.kind.clone());
        assert_eq!(kind("prompt_relink").as_deref(), Some("relink.prompt_relink.v1"));
        assert_eq!(kind("relink.prompt_relink.v1"), kind("prompt_relink"));
        assert_eq!(kind("prompt"), None);
    }
    #[test]
    fn a_version_does_not_differ_from_itself_and_breaks_what_promised_more() {
        let changes = schema::compare(&by_kind(), &by_kind());
        assert_eq!(told(&changes, false).ok().as_deref(), Some("nothing differs"));
        let mut earlier = by_kind();
        let prompt = earlier.get_mut("relink.prompt_relink.v1").unwrap();
        prompt["properties"]["data_old"] = json!({ "type": "string" });
        let changes = schema::compare(&earlier, &by_kind());
        let text = told(&changes, false).ok();
        assert_eq!(text.as_deref(), Some("breaks      relink.prompt_relink.v1 data_old is gone"));
        assert!(told(&changes, true).is_ok_and(|json| json.contains(r#""breaks": true"#)));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schemas.json");
        for (text, wrong) in [
            (r#"{ "relink.prompt_relink.v1": null }"#, "a schema is wanted, and it is null"),
            (r#"{ "relink.prompt_relink.v1": 7 }"#, "a schema is wanted, and it is a number"),
            (r#"{ "relink.x.v1": { "properties": [] } }"#, "wanted at /properties"),
            ("null", "no schemas"),
            ("[]", "no schemas"),
            ("{}", "there is no schema in it"),
        ] {
            std::fs::write(&file, text).unwrap();
            let refused = format!("{:?}", differ(&file, false).unwrap_err());
            assert!(refused.contains("code: 64") && refused.contains(wrong), "{text}: {refused}");
        }
    }
}
