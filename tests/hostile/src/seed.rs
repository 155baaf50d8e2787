//! What Stripe sends and Relink sends, as a beginning for what nobody sends.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

/// Real documents of one kind.
pub(crate) struct Seeds {
    /// As they are.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// The same, read.
    pub(crate) documents: Vec<Value>,
    /// Every name of a field in them.
    pub(crate) names: Vec<String>,
}

/// The example bodies of Stripe's events.
pub(crate) static EVENTS: LazyLock<Seeds> = LazyLock::new(|| Seeds::of("stripe/fixtures/events"));

/// A command of each type.
pub(crate) static COMMANDS: LazyLock<Seeds> = LazyLock::new(|| Seeds::of("bus/fixtures/commands"));

/// The objects inside the events, as a read brings them.
pub(crate) static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let objects = EVENTS.documents.iter().filter_map(|event| {
        let event = event.get("detail").unwrap_or(event);
        event.pointer("/data/object").filter(|object| object.is_object()).cloned()
    });
    objects.collect()
});

impl Seeds {
    fn of(folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates").join(folder);
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let bodies: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        let documents: Vec<Value> =
            bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
        let mut names = BTreeSet::new();
        documents.iter().for_each(|document| collect(document, &mut names));
        Self { bodies, documents, names: names.into_iter().collect() }
    }
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(fields) => {
            for (name, field) in fields {
                names.insert(name.clone());
                collect(field, names);
            }
        }
        _ => {}
    }
}
