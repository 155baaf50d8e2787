//! The README is held against what the running simulator takes, so that it cannot go stale.

use std::collections::BTreeSet;

use relink_sim::{Link, TestBank};
use serde_json::{Value, json};

use crate::harness::{Running, read, still};

const README: &str = include_str!("../../README.md");

/// The sources that limits stand in.
const SOURCES: [&str; 4] = [
    include_str!("../../src/state.rs"),
    include_str!("../../src/outbox.rs"),
    include_str!("../../src/api/control.rs"),
    include_str!("../../src/api/write.rs"),
];

/// The line of a table that begins with a call.
fn row(call: &str) -> &'static str {
    let begins = format!("| `{call}` |");
    let found = README.lines().find(|line| line.starts_with(&begins));
    found.unwrap_or_else(|| panic!("README.md has no line for {call}"))
}

/// The names in backticks behind `expected`, as serde lists what it would have taken.
fn expected(error: &Value) -> Vec<String> {
    let text = error["error"].as_str().unwrap();
    let (_, list) = text.split_once("expected").unwrap_or_else(|| panic!("{text}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields that a call takes, out of its refusal of one that it does not.
async fn fields(running: &Running, name: &str) -> Vec<String> {
    let refused = running.control(name, json!({ "no such field": 1 })).await;
    assert_eq!(refused.status, 400, "{name}");
    expected(&refused.body)
}

#[tokio::test]
async fn every_call_and_every_field_of_it_is_documented() {
    let running = Running::start(still()).await;
    let verbs = expected(&running.control("no_such_verb", json!({})).await.body);
    assert!(verbs.len() >= 16, "{verbs:?}");
    let routes = include_str!("../../src/api/mod.rs").split(".route(\"/control/").skip(1);
    let routes = routes.map(|route| route.split('"').next().unwrap());
    let routes: Vec<&str> = routes.filter(|name| !name.starts_with('{')).collect();
    assert!(routes.len() >= 8, "{routes:?}");
    let mut documented: BTreeSet<String> = BTreeSet::new();
    for name in verbs.iter().map(String::as_str).chain(routes) {
        let answers_get = read(running.request("GET", &format!("/control/{name}"))).await.status;
        let method = if answers_get == 200 { "GET" } else { "POST" };
        let line = row(&format!("{method} /control/{name}"));
        documented.insert(name.to_owned());
        if method == "POST" {
            for field in fields(&running, name).await {
                assert!(
                    line.contains(&format!("`{field}`")) || line.contains(&format!("\"{field}\"")),
                    "{name} takes `{field}`: {line}"
                );
            }
        }
    }
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" /control/"));
    for (_, rest) in rows {
        let name = rest.split('`').next().unwrap();
        assert!(documented.contains(name), "README.md has {name}, which is no call");
    }
}

#[tokio::test]
async fn every_value_of_a_closed_list_is_documented() {
    let running = Running::start(still()).await;
    let linked = running.sim.link(Link::of("cus_1", "Harbor", 1)).unwrap();
    let account = &linked.accounts[0];
    for (name, body) in [
        ("relink", json!({ "outcome": "?" })),
        ("refresh", json!({ "account": account, "feature": "?" })),
        ("refresh", json!({ "account": account, "feature": "balance", "status": "?" })),
        ("numbers", json!({ "account": account, "status": "?" })),
        ("faults", json!({ "kind": "?" })),
        ("link", json!({ "accounts": [{ "?": 1 }] })),
    ] {
        let line = row(&format!("POST /control/{name}"));
        for value in expected(&running.control(name, body).await.body) {
            assert!(line.contains(&format!("`{value}`")), "{name} takes {value}: {line}");
        }
    }
    let refused = running.dialog("finish", json!({ "client_secret": "", "outcome": "?" })).await;
    let (_, dialog) = README.split_once("\n## The dialog\n").unwrap();
    for choice in expected(&refused.body) {
        let is_in_a_row =
            |line: &str| line.starts_with('|') && line.contains(&format!("`{choice}`"));
        assert!(dialog.lines().any(is_in_a_row), "the dialog offers {choice}");
    }
    for bank in TestBank::ALL {
        row_of_bank(bank.name());
    }
}

fn row_of_bank(name: &str) {
    assert!(README.contains(&format!("\n| {name} | ")), "README.md has no bank {name}");
}

#[test]
fn the_limits_are_those_of_the_code() {
    let mut seen = 0;
    for line in SOURCES.iter().flat_map(|source| source.lines()).map(str::trim) {
        let Some((name, rest)) = line.strip_prefix("const ").and_then(|rest| rest.split_once(':'))
        else {
            continue;
        };
        let Some(value) = rest.split_once("= ").and_then(|(_, value)| value.strip_suffix(';'))
        else {
            continue;
        };
        if name.starts_with("MAX_") || name.ends_with("_LIMIT_MS") {
            let value = value.replace('_', ",");
            let line = README.lines().find(|line| line.contains(&format!("(`{name}`)")));
            let line = line.unwrap_or_else(|| panic!("README.md does not tell {name}"));
            assert!(line.contains(&format!("| {value}")), "{name} is {value}: {line}");
            seen += 1;
        }
    }
    let listed = README.lines().filter(|line| line.contains("(`MAX_") || line.contains("_MS`)"));
    assert_eq!(seen, listed.count(), "README.md tells a limit that is no more");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let running = Running::start(still()).await;
    let most = 2 * 1024 * 1024;
    let of = |bytes: usize| running.request("POST", "/control/flush").body(" ".repeat(bytes));
    assert_eq!(read(of(most + 1)).await.status, 413);
    assert_eq!(read(of(most)).await.status, 400, "it is read, and no JSON");
}

#[tokio::test]
async fn the_examples_work() {
    let running = Running::start(still()).await;
    let (mut authorization, mut account) = (Value::Null, Value::Null);
    let mut played = 0;
    for line in README.lines().filter_map(|line| line.strip_prefix("curl -d '")) {
        let (body, name) = line.rsplit_once("' $SIM/control/").unwrap();
        let text = |id: &Value| id.as_str().unwrap_or_default().to_owned();
        let body = body.replace("'$AUTHORIZATION'", &text(&authorization));
        let body = body.replace("'$ACCOUNT'", &text(&account));
        let answer = running.control(name, serde_json::from_str(&body).unwrap()).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.body);
        if authorization.is_null() {
            authorization = answer.body["authorization"]["id"].clone();
            account = answer.body["accounts"][0]["id"].clone();
        }
        played += 1;
    }
    assert!(played >= 10, "{played}");
}
