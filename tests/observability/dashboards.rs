//! The dashboards as files: what Grafana reads, and which metrics they name.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::documented::{documented, project};

/// How many columns Grafana has.
const COLUMNS: u64 = 24;

/// What Grafana puts in the place of its variables.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$__range", "5m")];

/// A query and where it stands.
pub(crate) struct Query {
    pub(crate) from: String,
    pub(crate) text: String,
}

/// Every dashboard, with the name of its file.
fn dashboards() -> Vec<(String, Value)> {
    let folder = fs::read_dir(project().join("deploy/grafana/dashboards")).unwrap();
    let paths = folder.map(|file| file.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let value = serde_json::from_slice(&fs::read(&path).unwrap());
        (name.clone(), value.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    paths.map(read).collect()
}

/// The queries of all panels.
pub(crate) fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            let from = format!("{name}: {}", panel["title"].as_str().unwrap());
            let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
            assert_eq!(panel["type"] == "row", targets.is_empty(), "{from}: queries");
            for target in targets {
                let mut text = target["expr"].as_str().unwrap().to_owned();
                for (variable, value) in VARIABLES {
                    text = text.replace(variable, value);
                }
                assert!(!text.contains('$'), "{from}: an unknown variable: {text}");
                queries.push(Query { from: from.clone(), text });
            }
        }
    }
    queries
}

pub(crate) fn every_panel_has_its_place_and_its_words() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(uids.insert(dashboard["uid"].to_string()), "{name}: its uid is another's");
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: its id");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= COLUMNS, "{name}: {title} is wider than the page");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{name}: {title} lies over another panel");
            }
            if panel["type"] != "row" {
                let words = panel["description"].as_str().unwrap();
                assert!(words.ends_with('.'), "{name}: {title} says what it shows: {words}");
                let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
                assert!(unit.is_some() || panel["type"] == "table", "{name}: {title} has no unit");
            }
        }
    }
    assert_eq!(uids.len(), 2, "health and pipeline");
}

/// Whether a part of a query is a name of ours: of a metric, or of a figure that a rule records.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
    words.filter(|word| word.starts_with("relink_") || word.starts_with("relink:"))
}

pub(crate) fn queries_name_only_what_there_is() {
    let read = |name: &str| {
        fs::read_to_string(project().join("deploy/prometheus/rules").join(name)).unwrap()
    };
    let (figures, alerts) = (read("figures.yml"), read("alerts.yml"));
    let recorded = figures.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    let mut known: BTreeSet<String> = recorded.map(str::to_owned).collect();
    for (metric, kind) in documented() {
        if kind == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|part| format!("{metric}{part}")));
        } else {
            known.insert(metric);
        }
    }
    let rules = [("figures.yml", figures.clone()), ("alerts.yml", alerts)];
    let rules = rules.map(|(from, text)| Query { from: from.to_owned(), text });
    for Query { from, text } in queries().into_iter().chain(rules) {
        for name in names(&text) {
            assert!(known.contains(name), "{from}: there is no {name}");
        }
    }
}
