//! Holds what the maps say: the arrows between crates, the sizes, and the documents themselves.
//!
//! The arrows come from `cargo metadata`, the settings from `relink <command> --help`, the rest
//! from the files. A failure names what is wrong and what to do about it; where a rule has to
//! give way, its table here is the place, and the reason stands beside it.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "architecture/documents.rs"]
mod documents;
#[path = "architecture/tree.rs"]
mod tree;

use std::collections::BTreeSet;

use tree::{has_word, none, packages, read, sources};

/// Crate, the workspace crates it may depend on, and the reason where that is not the plain
/// picture of `crates/README.md`. Tests may use anything.
const ARROWS: [(&str, &[&str], &str); 18] = [
    ("relink-core", &[], "the rules know nobody"),
    ("relink-bus", &["relink-core"], ""),
    (
        "relink-stripe",
        &["relink-core", "relink-bus"],
        "an event's envelope becomes a message's head",
    ),
    ("relink-tls", &[], "it knows files and rustls, and nobody who connects"),
    ("relink-engine", &["relink-core", "relink-bus"], ""),
    (
        "relink-postgres",
        &["relink-core", "relink-bus", "relink-engine", "relink-tls"],
        "`bus` for the parked message, which the port to the database stores",
    ),
    ("relink-sqlite", &["relink-core", "relink-bus", "relink-engine"], "`bus`: as in `postgres`"),
    ("relink-rabbitmq", &["relink-bus", "relink-tls"], "a broker knows messages, not rules"),
    (
        "relink-ingress",
        &["relink-bus", "relink-stripe", "relink-tls"],
        "no engine: it has no database",
    ),
    ("relink-worker-lifecycle", WORKER, ""),
    ("relink-worker-upcoming", WORKER, ""),
    ("relink-worker-followup", WORKER, ""),
    ("relink-portal", WORKER, "it publishes what it reads, as the followup worker does"),
    ("relink-sim", &[], "it shares no code with what it is used to test"),
    (
        "relink-simulation",
        &[
            "relink-core",
            "relink-bus",
            "relink-stripe",
            "relink-engine",
            "relink-sqlite",
            "relink-ingress",
            "relink-worker-lifecycle",
            "relink-worker-upcoming",
            "relink-worker-followup",
            "relink-sim",
        ],
        "it runs the roles in one thread; no broker and no PostgreSQL",
    ),
    (
        "relink",
        &[
            "relink-core",
            "relink-bus",
            "relink-stripe",
            "relink-tls",
            "relink-engine",
            "relink-postgres",
            "relink-sqlite",
            "relink-rabbitmq",
            "relink-ingress",
            "relink-worker-lifecycle",
            "relink-worker-upcoming",
            "relink-worker-followup",
            "relink-portal",
            "relink-sim",
            "relink-simulation",
        ],
        "the only binary puts everything together",
    ),
    ("relink-tests", &[], "see `TESTS`"),
    ("relink-hostile", &[], "see `TESTS`"),
];

const WORKER: &[&str] = &["relink-core", "relink-bus", "relink-engine", "relink-stripe"];

/// The packages of the harness and the suites, and of made-up input; they may use anything.
const TESTS: [&str; 2] = ["relink-tests", "relink-hostile"];

/// Crates that are deployed alone.
const ROLES: [&str; 6] = [
    "relink-ingress",
    "relink-worker-lifecycle",
    "relink-worker-upcoming",
    "relink-worker-followup",
    "relink-portal",
    "relink-sim",
];

/// Crates that know one thing outside.
const ADAPTERS: [&str; 4] =
    ["relink-postgres", "relink-sqlite", "relink-rabbitmq", "relink-stripe"];

/// A dependency, the only crates that may have it, and why.
const CONFINED: [(&str, &[&str], &str); 16] = [
    ("lapin", &["relink-rabbitmq"], "the broker's library is behind the ports of `bus`"),
    ("tokio-postgres", &["relink-postgres"], "SQL is behind the port of `engine`"),
    ("tokio-postgres-rustls", &["relink-postgres"], "SQL is behind the port of `engine`"),
    ("deadpool-postgres", &["relink-postgres"], "SQL is behind the port of `engine`"),
    ("rusqlite", &["relink-sqlite"], "SQL is behind the port of `engine`"),
    (
        "reqwest",
        &["relink-stripe", "relink-sim", "relink-rabbitmq", "relink"],
        "`stripe` reads, `sim` sends webhooks, `rabbitmq` asks the broker's management API, \
         `relink` posts the commands of standalone, and traces",
    ),
    (
        "axum",
        &["relink-ingress", "relink-portal", "relink-sim", "relink", "relink-simulation"],
        "only these listen; the simulation calls routers without listening",
    ),
    ("hyper", &["relink-ingress"], "one bounded server for all listeners"),
    ("hyper-util", &["relink-ingress"], "one bounded server for all listeners"),
    ("tokio-rustls", &["relink-ingress"], "one bounded server for all listeners"),
    ("rustls-native-certs", &["relink-tls"], "what is trusted is decided in one place"),
    ("x509-parser", &["relink-tls"], "certificates are read in one place"),
    ("clap", &["relink"], "flags and variables are read in one place"),
    ("tracing-subscriber", &["relink"], "where logs go is decided in one place"),
    ("proptest", &[], "for tests"),
    ("jsonschema", &[], "for tests"),
];

/// All that the rules may depend on.
const OF_THE_CORE: [&str; 3] = ["serde", "schemars", "thiserror"];

/// A file that is longer than this is more than one screenful of thoughts.
const LINES_MAX: usize = 500;

fn may_use_anything(package: &str) -> bool {
    TESTS.contains(&package)
}

#[test]
fn every_crate_has_its_arrows_listed_once() {
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
    let packages = packages();
    let there: BTreeSet<&str> = packages.iter().map(|package| &*package.name).collect();
    assert_eq!(listed.len(), ARROWS.len(), "a crate is in ARROWS twice; keep one row");
    assert_eq!(
        listed, there,
        "left: ARROWS in tests/architecture.rs, right: the workspace; add or remove rows"
    );
}

#[test]
fn crates_depend_on_what_they_may_and_nothing_else() {
    let mut problems = Vec::new();
    for package in packages().iter().filter(|package| !may_use_anything(&package.name)) {
        let Some((_, allowed, reason)) = ARROWS.iter().find(|(name, ..)| *name == package.name)
        else {
            continue;
        };
        for to in package.normal.iter().filter(|to| to.is_ours) {
            if !allowed.contains(&&*to.name) {
                problems.push(format!(
                    "{} → {}: not allowed{}; move the code to where the arrow is, or give ARROWS \
                     in tests/architecture.rs the arrow with its reason",
                    package.name,
                    to.name,
                    if reason.is_empty() { String::new() } else { format!(" ({reason})") },
                ));
            }
        }
    }
    none(&problems);
}

#[test]
fn roles_know_no_roles_and_adapters_no_adapters() {
    let mut problems = Vec::new();
    for (from, allowed, _) in &ARROWS {
        for kind in [&ROLES[..], &ADAPTERS[..]] {
            let alike = allowed.iter().filter(|to| kind.contains(from) && kind.contains(*to));
            problems.extend(alike.map(|to| {
                format!(
                    "{from} → {to}: they are of one kind; what both need belongs to a port in \
                     `bus` or `engine`, and `relink` puts them together"
                )
            }));
        }
    }
    none(&problems);
}

#[test]
fn heavy_dependencies_stay_where_they_belong() {
    let mut problems = Vec::new();
    for package in packages().iter().filter(|package| !may_use_anything(&package.name)) {
        for to in &package.normal {
            let confined = CONFINED.iter().find(|(name, ..)| *name == to.name);
            if let Some((name, places, why)) = confined
                && !places.contains(&&*package.name)
            {
                let places = places.join(", ");
                problems.push(format!(
                    "{} → {name}: {why}; it belongs to [{places}], use that crate's port",
                    package.name
                ));
            }
        }
    }
    none(&problems);
}

#[test]
fn the_rules_have_no_runtime_no_clock_and_no_input_or_output() {
    let packages = packages();
    let core = packages.iter().find(|package| package.name == "relink-core").unwrap();
    let foreign = core.normal.iter().filter(|to| !OF_THE_CORE.contains(&&*to.name));
    let problems: Vec<String> = foreign
        .map(|to| {
            let name = &to.name;
            format!("relink-core → {name}: the rules are pure; do it in the crate that calls them")
        })
        .collect();
    none(&problems);
}

#[test]
fn every_file_can_be_read_at_one_sitting() {
    let mut problems = Vec::new();
    for path in sources() {
        let lines = read(&path).lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{path}: {lines} lines, at most {LINES_MAX}; split it by job"));
        }
    }
    none(&problems);
}

/// Crates that read what comes from outside; the lints that keep them from panicking at it.
const FEARLESS: [&str; 10] = [
    "core",
    "bus",
    "engine",
    "stripe",
    "ingress",
    "portal",
    "rabbitmq",
    "worker-lifecycle",
    "worker-upcoming",
    "worker-followup",
];
const LINTS: &str = "\
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]
";

#[test]
fn whoever_reads_what_arrives_is_held_not_to_panic() {
    let lacks =
        FEARLESS.iter().filter(|one| !read(&format!("crates/{one}/src/lib.rs")).contains(LINTS));
    let told = lacks.map(|one| format!("crates/{one}/src/lib.rs: put these lines back:\n{LINTS}"));
    none(&told.collect::<Vec<_>>());
}

/// Where a secret, or what proves that somebody has it, is compared; and with what, which takes as
/// long whatever differs.
const COMPARED: [(&str, &str); 3] = [
    ("crates/stripe/src/signature.rs", "CtOutput::<Keyed>::new("),
    ("crates/engine/src/link.rs", ".verify_slice("),
    ("crates/portal/src/api/token.rs", "CtOutput::<Sha256>::new("),
];

/// How what is compared there is called.
const PROOFS: [&str; 7] = ["mac", "hash", "digest", "candidate", "signature", "expected", "token"];

/// Time cannot be measured in a test; what the code is made of can be read.
#[test]
fn secrets_are_compared_in_constant_time() {
    let mut problems = Vec::new();
    for (path, comparison) in COMPARED {
        let text = read(path);
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        if product.matches(comparison).count() != 1 {
            problems.push(format!("{path}: compares with `{comparison}`, once"));
        }
        for (number, line) in product.lines().enumerate() {
            let compares = [" == ", " != ", ".eq(", ".ne("].iter().any(|sign| line.contains(sign));
            // How long a proof is, everybody knows.
            let of_a_proof = PROOFS.iter().any(|name| has_word(line, name));
            let of_a_proof = of_a_proof && !line.contains(".len()");
            if compares && of_a_proof && !line.contains(comparison) {
                let number = number + 1;
                problems.push(format!("{path}:{number}: takes longer the more is right"));
            }
        }
    }
    none(&problems);
}

#[test]
fn cryptography_has_one_provider() {
    let lock = read("Cargo.lock");
    let others = ["aws-lc-sys", "boring-sys", "native-tls", "openssl-sys"];
    let found = others.iter().filter(|name| lock.contains(&format!("name = \"{name}\"\n")));
    let problems: Vec<String> = found
        .map(|name| format!("Cargo.lock has {name}: ring does it all; turn the feature off"))
        .collect();
    assert!(lock.contains("name = \"ring\"\n"), "ring is gone; this test knows no other");
    none(&problems);
}

#[test]
fn unsafe_code_is_forbidden_everywhere() {
    let mut problems = Vec::new();
    if !read("Cargo.toml").contains("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n") {
        problems.push("Cargo.toml: [workspace.lints.rust] must start with unsafe_code".to_owned());
    }
    for package in packages() {
        let path = &package.manifest;
        if !read(path).contains("\n[lints]\nworkspace = true\n") {
            problems.push(format!("{path}: add `[lints]` with `workspace = true`"));
        }
    }
    none(&problems);
}
