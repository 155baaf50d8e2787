//! The text format of Prometheus, as far as names, types and labels go.

use std::collections::{BTreeMap, BTreeSet};

/// One metric as a role shows it, or as the table has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Metric {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    /// The names of its labels.
    pub(crate) labels: BTreeSet<String>,
}

/// Every metric of a page, by name.
pub(crate) fn read(page: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let metric = Metric { kind: kind.to_owned(), labels: BTreeSet::new() };
            assert!(metrics.insert(name.to_owned(), metric).is_none(), "{name} is shown twice");
        } else if !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap();
            let (name, rest) = line.split_at(end);
            let parts = ["_bucket", "_sum", "_count"];
            let whole = parts.iter().find_map(|part| {
                let whole = name.strip_suffix(part)?;
                metrics.contains_key(whole).then_some(whole)
            });
            let metric = metrics.get_mut(whole.unwrap_or(name)).unwrap();
            metric.labels.extend(labels(rest).filter(|label| label != "le"));
        }
    }
    metrics
}

/// The names of the labels in `{a="b",c="d"} 1`; no value of ours has a quote in it.
fn labels(rest: &str) -> impl Iterator<Item = String> {
    let inside = rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}'));
    let inside = inside.map_or("", |(inside, _)| inside);
    let pairs = inside.split('"').step_by(2);
    let name = |text: &str| text.trim_matches([',', '=', ' ']).to_owned();
    pairs.map(name).filter(|name| !name.is_empty()).collect::<Vec<_>>().into_iter()
}

#[test]
fn names_types_and_labels_are_read() {
    let page = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c,d\",e=\"f\"} 1\n\
                # HELP g x\n# TYPE g gauge\ng 5\n\
                # HELP h_seconds x\n# TYPE h_seconds histogram\n\
                h_seconds_bucket{q=\"1\",le=\"+Inf\"} 1\nh_seconds_sum{q=\"1\"} 1\n";
    let metrics = read(page);
    let told: Vec<String> = metrics
        .iter()
        .map(|(name, metric)| format!("{name} {} {:?}", metric.kind, metric.labels))
        .collect();
    assert_eq!(
        told,
        ["a_total counter {\"b\", \"e\"}", "g gauge {}", "h_seconds histogram {\"q\"}"]
    );
}
