//! `relink schema`: the JSON Schemas of everything that is published.

use relink_bus::schema;

use crate::cli::SchemaArgs;
use crate::failure::Failure;
use crate::output::print;

pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let all = schema::all();
    let text = match &args.kind {
        None => {
            let by_kind: serde_json::Map<String, serde_json::Value> =
                all.into_iter().map(|one| (one.kind, one.schema.to_value())).collect();
            serde_json::to_string_pretty(&by_kind)
        }
        Some(kind) => match all.iter().find(|one| one.kind == *kind) {
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
