//! Alerts, their tests and their runbook agree with each other.

use std::fs;

use crate::documented::project;

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands behind a key, line by line.
fn values(text: &str, key: &str) -> Vec<String> {
    let of = |line: &str| line.trim_start_matches([' ', '-']).strip_prefix(key).map(str::to_owned);
    text.lines().filter_map(of).map(|value| value.trim().to_owned()).collect()
}

pub(crate) fn every_alert_is_tested_and_explained() {
    let alerts = read("deploy/prometheus/rules/alerts.yml");
    let names = values(&alerts, "alert:");
    assert!(names.len() > 10, "{names:?}");
    let links = values(&alerts, "runbook_url:");
    let wanted: Vec<String> =
        names.iter().map(|name| format!("deploy/README.md#{}", name.to_lowercase())).collect();
    assert_eq!(links, wanted, "each alert links to the heading of its own name");

    let runbook = read("deploy/README.md");
    let runbook = runbook.split("\n## Alerts\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let headings: Vec<&str> =
        runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, names, "headings under `## Alerts` of deploy/README.md, and alerts");
    for chapter in runbook.split("\n### ").skip(1) {
        let name = chapter.lines().next().unwrap();
        assert!(chapter.contains("\n    "), "{name} has neither query nor command");
    }

    let tests = read("tests/prometheus/alerts.yml");
    let (healthy, broken) =
        tests.split_once("\n\n  - name: ").expect("the healthy system is first");
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let names = sorted(names);
    assert_eq!(sorted(values(healthy, "alertname:")), names, "each is silent when all is well");
    assert_eq!(sorted(values(broken, "alertname:")), names, "each fires once");
    assert!(!broken.contains("exp_alerts: []"), "what is broken is expected to fire");
    assert_eq!(healthy.matches("exp_alerts: []").count(), names.len());
}
