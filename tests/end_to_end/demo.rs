//! The demo: what it prints, and where it listens.

use std::net::TcpListener;
use std::process::Output;

use relink_tests::process::{Settings, free_address, run};
use relink_tests::stage::Stage;

const README: &str = include_str!("../../README.md");
/// What stands before and behind the output in the README.
const SHOWN: (&str, &str) =
    ("<!-- demo output: begin -->\n```text\n", "```\n<!-- demo output: end");

/// Runs the story to its end; what it said and the link to the page, which comes first.
async fn told(settings: &Settings) -> (Output, String, String) {
    let output = run(&["demo", "--once"], settings).await;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}\n{out}");
    let link = out.lines().map(str::trim).find(|line| line.starts_with("http://"));
    let link = link.unwrap_or_else(|| panic!("no link in {out}")).to_owned();
    let (before, _) = out.split_once("told as a story").unwrap();
    assert!(before.contains(&link), "the link comes before the story:\n{out}");
    (output, out, link)
}

fn port(link: &str) -> u16 {
    let (_, rest) = link.split_once("127.0.0.1:").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

fn at(port: u16) -> Settings {
    vec![("RELINK_DEMO_PORT", port.to_string())]
}

pub(crate) async fn the_demo_says_what_the_readme_shows(_stage: &Stage) {
    let first = free_address().port();
    let (_, out, link) = told(&at(first)).await;
    let shown = README.split_once(SHOWN.0).and_then(|(_, rest)| rest.split_once(SHOWN.1));
    let (shown, _) = shown.expect("README.md has the output between two comments");
    // Token and port are of each run.
    let (_, path) = link.split_once("/relink/").unwrap();
    let told = out.replace(&link, "http://127.0.0.1:12400/relink/1.…");
    assert!(path.starts_with("1."), "{link}");
    assert!(
        in_order(&told) == in_order(shown) && sorted(&told) == sorted(shown),
        "README.md shows another story than this:\n{told}"
    );
}

/// The lines that come in the same order in every run: refreshed data arrives when it will.
fn in_order(text: &str) -> Vec<&str> {
    text.trim().lines().filter(|line| !line.contains("→ Relink   refreshed ")).collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.trim().lines().collect();
    lines.sort_unstable();
    lines
}

pub(crate) async fn a_taken_port_is_told_and_another_one_serves(_stage: &Stage) {
    let taken = TcpListener::bind(free_address()).unwrap();
    let first = taken.local_addr().unwrap().port();
    let (output, _, link) = told(&at(first)).await;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains(&format!("port {first} is taken: the relink page takes")), "{log}");
    assert!((first + 1..32_768).contains(&port(&link)), "{link}");
    for wrong in ["0", "32768", "65536", "http"] {
        let settings = vec![("RELINK_DEMO_PORT", wrong.to_owned())];
        let output = run(&["demo", "--once"], &settings).await;
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{wrong}: {log}");
        assert!(log.contains("RELINK_DEMO_PORT"), "{wrong}: {log}");
    }
}
