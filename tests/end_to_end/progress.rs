//! What a person before a terminal sees of a command that takes its time, and nobody else.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use relink_sim::{Link, Sim, SimConfig};
use relink_tests::api::Api;
use relink_tests::feed::API_KEY;
use relink_tests::process::{Settings, binary, free_address, run};
use relink_tests::stage::Stage;
use relink_tests::wait::DEADLINE;
use serde_json::Value;
use tokio::process::Command;

/// What moves a cursor.
const ESCAPE: char = '\x1b';

/// Back to the beginning of a line, which is empty then.
const ERASED: &str = "\r\x1b[2K";

/// So many reads of one holder each, at the rate of [`slowly`], take three seconds.
const HOLDERS: usize = 9;

/// What a command has shown.
pub(crate) struct Shown {
    pub(crate) code: i64,
    pub(crate) text: String,
}

impl Shown {
    /// What is on the screen in the end: erased lines are gone.
    pub(crate) fn rest(&self) -> String {
        let lines = self.text.split("\r\n").map(|line| line.rsplit(ERASED).next().unwrap());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Types the keys once the sign is shown.
pub(crate) async fn before_a_terminal(
    arguments: &[&str],
    settings: &Settings,
    typed: (&str, &str),
) -> Shown {
    shown(&[], arguments, settings, typed).await
}

async fn shown(
    options: &[&str],
    arguments: &[&str],
    settings: &Settings,
    (sign, keys): (&str, &str),
) -> Shown {
    let python = std::env::var("RELINK_TEST_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("end_to_end/terminal.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(script).args(options).args([sign, keys]).arg(binary()).args(arguments);
    command.env_clear().envs(settings.iter().map(|(name, value)| (*name, value)));
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(DEADLINE, ended).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    let text = answer["shown"].as_str().unwrap().to_owned();
    Shown { code: answer["code"].as_i64().unwrap(), text }
}

/// A stand-in for Stripe with a holder for each line of a file.
async fn holders(stage: &Stage) -> (PathBuf, Api) {
    let sim = Sim::new(SimConfig { api_key: API_KEY.to_owned(), ..SimConfig::default() });
    let mut lines = String::new();
    for number in 0..HOLDERS {
        let id = format!("cus_{number}");
        sim.link(Link::of(&id, "Harbor Federal Bank", 1)).unwrap();
        lines += &format!("{id}\n");
    }
    let file = stage.folder().join("holders.txt");
    std::fs::write(&file, lines).unwrap();
    (file, Api::serve(&sim).await)
}

/// At so few reads a second that it takes a while, with a terminal of this kind.
fn slowly(api: &Api, terminal: &str) -> Settings {
    let mut settings = api.settings();
    settings.retain(|(name, _)| *name != "RELINK_STRIPE_READS_PER_SECOND");
    settings.extend([
        ("RELINK_STRIPE_READS_PER_SECOND", "3".to_owned()),
        ("TERM", terminal.to_owned()),
    ]);
    settings
}

pub(crate) async fn whoever_looks_on_sees_how_far_it_is(stage: &Stage) {
    let (file, api) = holders(stage).await;
    let arguments = ["backfill", file.to_str().unwrap()];
    let shown = before_a_terminal(&arguments, &slowly(&api, "xterm"), ("", "")).await;
    assert_eq!(shown.code, 0, "{}", shown.text);
    for part in [" of 9 holders  [=", "/s  ", " left  ", " accounts"] {
        assert!(shown.text.contains(part), "no `{part}` in {:?}", shown.text);
    }
    assert_eq!(shown.rest().trim(), "9 accounts of 9 holders to publish; nothing was, add --write");
    assert!(!shown.text.contains("\x1b[3"), "no colours: {:?}", shown.text);
}

pub(crate) async fn nobody_else_sees_a_bar(stage: &Stage) {
    let (file, api) = holders(stage).await;
    let json = ["backfill", file.to_str().unwrap(), "--json"];
    let shown = before_a_terminal(&json, &slowly(&api, "xterm"), ("", "")).await;
    assert!(!shown.text.contains(ESCAPE), "JSON and nothing else: {:?}", shown.text);
    let shown = before_a_terminal(&json[..2], &slowly(&api, "dumb"), ("", "")).await;
    assert!(!shown.text.contains(ESCAPE), "its cursor cannot move: {:?}", shown.text);
    let output = run(&json[..2], &slowly(&api, "xterm")).await;
    let (out, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    assert_eq!(out.unwrap(), "9 accounts of 9 holders to publish; nothing was, add --write\n");
    assert_eq!(said.unwrap(), "", "nobody looks on");
}

pub(crate) async fn an_interruption_leaves_a_tidy_screen(stage: &Stage) {
    let (file, api) = holders(stage).await;
    let arguments = ["backfill", file.to_str().unwrap()];
    let shown =
        before_a_terminal(&arguments, &slowly(&api, "xterm"), (" of 9 holders", "\\x03")).await;
    assert_eq!(shown.code, 130, "{}", shown.text);
    let rest = shown.rest();
    let told = rest.lines().last().unwrap();
    // However far it came.
    let at = told.strip_prefix("relink: interrupted: at cus_").unwrap().split(',').next().unwrap();
    let sentence = format!(
        "relink: interrupted: at cus_{at}, {at} of 9 holders looked at, nothing was published; \
         run it again"
    );
    assert_eq!(told, sentence, "{rest}");
    assert!(!rest.contains(" left"), "{rest:?}");
}

pub(crate) async fn an_interrupted_search_says_how_many_runs_held(_: &Stage) {
    let settings: Settings = vec![("TERM", "xterm".to_owned())];
    let arguments = ["simulate", "--seeds", "1000000", "--seed", "1", "--jobs", "1"];
    let shown = before_a_terminal(&arguments, &settings, (" of 1,000,000 runs", "\\x03")).await;
    assert_eq!(shown.code, 130, "{}", shown.text);
    let rest = shown.rest();
    let told = rest.lines().last().unwrap();
    let number = told.strip_prefix("relink: interrupted: ").unwrap().split(' ').next().unwrap();
    assert!(number.parse::<u64>().unwrap() > 0, "{rest}");
    assert!(told.contains(" of 1000000 runs done, no promise broken; `--seed 1`"), "{rest}");
}

/// Servers that take a connection and say nothing.
pub(crate) async fn whoever_waits_for_a_server_sees_it_and_may_leave(_: &Stage) {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let settings: Settings = vec![
        ("TERM", "xterm".to_owned()),
        ("RELINK_AMQP_URL", format!("amqp://guest:guest@{at}/%2f")),
        ("RELINK_DATABASE_URL", format!("postgres://relink@{at}/relink")),
        ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
    ];
    let without_database = settings[..2].to_vec();
    for (arguments, settings, sign) in [
        (&["parked", "list"][..], &without_database, "connecting to the broker"),
        (&["parked", "requeue", "--all", "--write"], &without_database, "connecting to the broker"),
        (&["status"], &settings, "connecting to the database"),
        (&["explain", "fca_1"], &settings, "connecting to the database"),
        (&["forecast"], &settings, "connecting to the database"),
        (&["audit"], &settings, "connecting to the database"),
        (&["reconcile", "--once", "--write"], &settings, "connecting to the database"),
        (&["catch-up", "--write"], &settings, "connecting to the broker"),
        (&["doctor"], &settings, "looking"),
    ] {
        let shown = before_a_terminal(arguments, settings, (sign, "\\x03")).await;
        let rest = shown.rest();
        assert_eq!(shown.code, 130, "{arguments:?}: {}", shown.text);
        let told = rest.lines().last().unwrap();
        let nothing = ["changed", "published"].map(|what| format!("nothing was {what}"));
        let told = told.strip_prefix("relink: interrupted: ").unwrap();
        assert!(nothing.iter().any(|one| one == told), "{rest}");
        assert!(!rest.contains(sign), "{arguments:?} leaves {:?}", shown.text);
    }
}

/// More is found missing than a pipe takes, and nobody reads: how far it is is shown all the same,
/// and one Ctrl-C is enough.
pub(crate) async fn a_reader_that_has_stopped_holds_up_no_interruption(stage: &Stage) {
    let sim = Sim::new(SimConfig { api_key: API_KEY.to_owned(), ..SimConfig::default() });
    for number in 0..100 {
        sim.link(Link::of(&format!("cus_{number}"), "Harbor Federal Bank", 20)).unwrap();
    }
    let mut settings = Api::serve(&sim).await.settings();
    settings.extend([
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("db").display())),
        ("TERM", "xterm".to_owned()),
    ]);
    assert!(run(&["migrate"], &settings).await.status.success());
    let missing = run(&["catch-up"], &settings).await.stdout;
    assert!(missing.len() > 100_000, "{} bytes", missing.len());
    let typed = (" events compared", "\\x03");
    let shown = shown(&["--unread"], &["catch-up"], &settings, typed).await;
    assert_eq!(shown.code, 130, "{}", shown.text);
    let rest = shown.rest();
    let told = "relink: interrupted: it did not end by itself; what was done stays done";
    assert_eq!(rest.lines().last(), Some(told), "{rest}");
    assert!(!rest.contains("compared"), "{rest:?}");
}

/// Stripe is away: what is said of it stands on lines of its own.
pub(crate) async fn what_is_said_meanwhile_stands_above(stage: &Stage) {
    let (file, api) = holders(stage).await;
    let mut settings = slowly(&api, "xterm");
    settings.retain(|(name, _)| *name != "RELINK_STRIPE_API_BASE");
    settings.push(("RELINK_STRIPE_API_BASE", format!("http://{}", free_address())));
    let arguments = ["backfill", file.to_str().unwrap()];
    let shown = before_a_terminal(&arguments, &settings, ("again in 16 s", "\\x03")).await;
    let rest = shown.rest();
    let told: Vec<&str> = rest.lines().filter(|line| line.contains("tried again in")).collect();
    assert!(told.len() == 3, "{:?}", shown.text);
    for line in told {
        let whole = line.starts_with("relink: ") && line.ends_with(" s");
        assert!(whole && !line.contains("holders"), "{line:?} of {:?}", shown.text);
    }
    assert!(shown.text.contains(" 0 of 9 holders"), "{:?}", shown.text);
}

pub(crate) async fn colours_are_for_terminals_that_want_them(_: &Stage) {
    let colour = "\x1b[3";
    let mut settings: Settings = vec![("TERM", "xterm".to_owned())];
    let shown = before_a_terminal(&["doctor"], &settings, ("", "")).await;
    assert!(shown.text.contains(colour), "{:?}", shown.text);
    settings.push(("NO_COLOR", "1".to_owned()));
    let shown = before_a_terminal(&["doctor"], &settings, ("", "")).await;
    assert!(!shown.text.contains(colour) && shown.text.contains("not checked"), "{:?}", shown.text);
    let output = run(&["doctor"], &settings[..1].to_vec()).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!told.contains(ESCAPE) && told.contains("not checked"), "{told}");
}
