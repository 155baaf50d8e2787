//! The table of metrics in `deploy/README.md` against what the roles show: nothing that is not in
//! it, and nothing of it missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use relink_tests::stage::Stage;

use crate::promtool::check_metrics;
use crate::shown::{Metric, read};
use crate::system::System;

/// Shown only where a certificate is configured, as the table says: here by the single process.
const WITH_A_CERTIFICATE: (&str, &str) = ("relink_tls_", "standalone");

/// The only roles there are.
const ROLES: [&str; 5] = ["ingress", "worker", "scheduler", "portal", "standalone"];

/// The longest list of values that a label may have.
const VALUES_MAX: usize = 64;

/// A row: what is shown, and by whom.
struct Row {
    metric: Metric,
    roles: BTreeSet<String>,
}

pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The rows of the table, by name: metric, type, labels, roles, unit, what it tells.
fn table() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(project().join("deploy/README.md")).unwrap();
    let section = text.split("\n## Metrics\n").nth(1).expect("deploy/README.md has `## Metrics`");
    let section = section.split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| `relink_")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, roles, unit, tells] = cells[..] else {
            panic!("not six cells: {line}");
        };
        assert!(!unit.is_empty() && !tells.is_empty(), "{line}");
        let words = |cell: &str| -> BTreeSet<String> {
            let words = cell.split(',').map(|word| word.trim().trim_matches('`').to_owned());
            words.filter(|word| !word.is_empty() && word != "–").collect()
        };
        let roles = match roles {
            "all" => ROLES.map(str::to_owned).into(),
            some => words(some),
        };
        let unknown: Vec<&String> =
            roles.iter().filter(|role| !ROLES.contains(&role.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?} are no roles: {line}");
        let metric = Metric { kind: kind.to_owned(), labels: words(labels) };
        let name = name.trim_matches('`').to_owned();
        assert!(rows.insert(name, Row { metric, roles }).is_none(), "twice: {line}");
    }
    rows
}

/// The name and type of every metric in the table.
pub(crate) fn documented() -> impl Iterator<Item = (String, String)> {
    table().into_iter().map(|(name, row)| (name, row.metric.kind))
}

pub(crate) async fn what_is_shown_is_what_is_documented(stage: &Stage) {
    let table = table();
    let system = System::start(stage).await;
    system.live().await;
    let mut problems = Vec::new();
    for (name, role) in &system.roles {
        let page = System::metrics(role).await;
        problems.extend(check_metrics(&page).await.map(|said| format!("{name}: {said}")));
        problems.extend(unbounded(&page).map(|label| format!("{name}: {label}")));
        compare(name, &table, &read(&page), &mut problems);
    }
    assert!(
        problems.is_empty(),
        "the table under `## Metrics` in deploy/README.md is not what the roles show:\n{}",
        problems.join("\n")
    );
    system.stop().await;
}

fn compare(
    role: &str,
    table: &BTreeMap<String, Row>,
    shown: &BTreeMap<String, Metric>,
    problems: &mut Vec<String>,
) {
    for (name, metric) in shown {
        match table.get(name) {
            None => problems.push(format!("{role} shows {name}, which is not in the table")),
            Some(row) if !row.roles.contains(role) => {
                problems.push(format!("{role} shows {name}; the table says only {:?}", row.roles));
            }
            Some(row) if row.metric != *metric => {
                let documented = &row.metric;
                problems
                    .push(format!("{role}: {name} is {metric:?}, documented as {documented:?}"));
            }
            Some(_) => {}
        }
    }
    let (prefix, only) = WITH_A_CERTIFICATE;
    for (name, _) in table.iter().filter(|(_, row)| row.roles.contains(role)) {
        let is_optional = name.starts_with(prefix) && role != only;
        if !is_optional && !shown.contains_key(name) {
            problems.push(format!("{role} does not show {name}, which is in the table"));
        }
    }
}

/// Labels with more values than a closed list has.
fn unbounded(page: &str) -> impl Iterator<Item = String> {
    let mut values: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let parts: Vec<&str> = rest.split('"').collect();
        for pair in parts.chunks(2).filter(|pair| pair.len() == 2) {
            let label = pair[0].trim_matches([',', '=']);
            values.entry(format!("{name}{{{label}}}")).or_default().insert(pair[1]);
        }
    }
    let too_many = values.into_iter().filter(|(_, values)| values.len() > VALUES_MAX);
    too_many.map(|(label, values)| format!("{label} has {} values", values.len()))
}
