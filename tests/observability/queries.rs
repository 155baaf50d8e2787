//! Every query of every panel and rule, asked of a real Prometheus that has scraped a real run.

use std::fs;
use std::path::PathBuf;

use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::Value;

use crate::dashboards::{self, Query};
use crate::documented::project;
use crate::prometheus::Prometheus;
use crate::promtool::is_there;
use crate::system::System;

/// The roles that the configuration scrapes.
const SCRAPED: [&str; 4] = ["ingress", "worker", "scheduler", "portal"];

pub(crate) async fn every_query_finds_data(stage: &Stage) {
    if !is_there() {
        return;
    }
    let system = System::start(stage).await;
    let configuration = configure(stage, &system);
    let prometheus = Prometheus::start(stage.folder(), &configuration).await;
    // Seen before and after, so that there is something between two looks.
    has(&prometheus, "sum(up) == 4 and sum(relink_ingress_events_total) == 0").await;
    system.live().await;
    has(&prometheus, "sum(relink_ingress_events_total) > 0").await;
    has(&prometheus, "sum(relink_authorizations) > 0").await;
    has(&prometheus, "count(relink_build_info) == 4").await;

    let mut queries = of_rules(&prometheus).await;
    let (rules, panels) = (queries.len(), dashboards::queries());
    assert!(rules > 20 && panels.len() > 20, "{rules} rules and {} panels", panels.len());
    queries.extend(panels);
    // Rules that build on others need a few looks.
    let mut waiting = queries;
    until(async || {
        let mut empty = Vec::new();
        let mut told = String::new();
        for query in std::mem::take(&mut waiting) {
            if let Err(problem) = finds_data(&prometheus, &query.text).await {
                told += &format!("\n{}: {problem}: {}", query.from, query.text);
                empty.push(query);
            }
        }
        waiting = empty;
        if waiting.is_empty() { Ok(()) } else { Err(told) }
    })
    .await;
    nothing_fires(&prometheus).await;
    system.stop().await;
}

async fn has(prometheus: &Prometheus, query: &str) {
    until(async || finds_data(prometheus, query).await).await;
}

async fn finds_data(prometheus: &Prometheus, query: &str) -> Result<(), String> {
    let values = prometheus.values(query).await?;
    match values.iter().any(|value| !value.is_nan()) {
        true => Ok(()),
        false => Err(format!("no number among {} series", values.len())),
    }
}

/// The real configuration, but for where the roles are and how often they are looked at.
fn configure(stage: &Stage, system: &System) -> PathBuf {
    let folder = project().join("deploy/prometheus");
    let text = fs::read_to_string(folder.join("prometheus.yml")).unwrap();
    let begin = text.find("    dns_sd_configs:").expect("the roles are found by their names");
    let end = text[begin..].find("    relabel_configs:").expect("and labelled with them") + begin;
    let targets: String = SCRAPED
        .iter()
        .map(|role| format!("      - targets: [\"{}\"]\n", system.role(role).admin))
        .collect();
    let found = format!("{}    static_configs:\n{targets}{}", &text[..begin], &text[end..]);
    let rules = format!("{}/rules/", folder.display());
    let text = found.replace("15s", "1s").replace("  - rules/", &format!("  - {rules}"));
    assert!(text.contains(&rules) && text.contains("scrape_interval: 1s"), "{text}");
    let path = stage.folder().join("prometheus.yml");
    fs::write(&path, text).unwrap();
    path
}

/// The expressions of rules. Of an alert, which is silent in a healthy system, the comparison is
/// made to answer 0 or 1: what it compares must be there.
async fn of_rules(prometheus: &Prometheus) -> Vec<Query> {
    let answer = prometheus.ask("rules").await;
    let mut queries = Vec::new();
    for group in answer["data"]["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let from = format!("rule {}", rule["name"].as_str().unwrap());
            let text = rule["query"].as_str().unwrap();
            let text = match rule["type"].as_str().unwrap() {
                "alerting" => told_as_number(text),
                _ => text.to_owned(),
            };
            queries.push(Query { from, text });
        }
    }
    queries
}

fn told_as_number(text: &str) -> String {
    let mut text = text.to_owned();
    for comparison in [" > ", " < ", " >= ", " <= ", " == "] {
        text = text.replace(comparison, &format!("{comparison}bool "));
    }
    text
}

/// The run was healthy.
async fn nothing_fires(prometheus: &Prometheus) {
    let answer = prometheus.ask("alerts").await;
    let alerts = answer["data"]["alerts"].as_array().unwrap();
    let firing: Vec<&Value> = alerts.iter().filter(|alert| alert["state"] == "firing").collect();
    assert!(firing.is_empty(), "{firing:?}");
}
