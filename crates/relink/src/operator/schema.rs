//! `relink schema`: the JSON Schemas of everything that is published, and the AsyncAPI document.

use relink_bus::asyncapi;
use relink_bus::schema::{self, MessageSchema};

use crate::cli::SchemaArgs;
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    if args.asyncapi {
        let document = serde_json::to_string_pretty(&asyncapi::document());
        return print(&document.map_err(Failure::software)?);
    }
    let all = schema::all();
    let text = match &args.kind {
        None => {
            let by_kind: serde_json::Map<String, serde_json::Value> =
                all.into_iter().map(|one| (one.kind, one.schema.to_value())).collect();
            serde_json::to_string_pretty(&by_kind)
        }
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
}
