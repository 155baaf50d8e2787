//! How many instructions are executed, as valgrind's tool callgrind sees them.
//!
//! The test starts its own binary under callgrind, with nothing but itself to run. There the
//! pieces run, and counting is on within [`counted_from_here`] only.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use crate::figures::Figures;
use crate::pieces;
use crate::slice::EVENTS;

/// Set where callgrind looks on.
const LOOKED_AT: &str = "RELINK_TEST_GUARD_COUNTS";

/// This test, as the test runner knows it.
const SELF: &str = "instructions::an_event_takes_as_many_instructions_as_the_figures_say";

#[test]
fn an_event_takes_as_many_instructions_as_the_figures_say() {
    if env::var_os(LOOKED_AT).is_some() {
        pieces().for_each(|piece| piece.count(counted_from_here));
        return;
    }
    let figures = Figures::read();
    if let Some(reason) = left_out(&figures) {
        eprintln!("LEFT OUT: instructions are not counted: {reason}");
        return;
    }
    let counted = count();
    let mut judge = figures.judge("instructions of an event");
    for piece in pieces() {
        let all = counted.get(piece.name).unwrap_or_else(|| panic!("{} is lost", piece.name));
        judge.about(piece.name, (*all as f64 / EVENTS as f64).round());
    }
    judge.done();
}

/// Callgrind finds this function by its name: it has to be one in the machine's code.
#[inline(never)]
fn counted_from_here(work: &mut dyn FnMut()) {
    work();
}

/// What callgrind has counted over all events, by piece.
fn count() -> BTreeMap<String, u64> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("counts");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_from_here*"])
        // What debug builds check besides is no part of what an event costs.
        .arg("--toggle-collect=*assert_decision*")
        .args(["--dump-line=no", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().unwrap())
        .args(["--exact", SELF, "--nocapture", "--test-threads=1"])
        // Where things lie in memory follows from the environment.
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env(LOOKED_AT, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    calls(&fs::read_to_string(out).unwrap())
}

/// What [`counted_from_here`] has called, with all that came of it, from a profile (Valgrind manual,
/// "Callgrind Format Specification"): a line `cfn=` with the name, one `calls=`, one with the cost.
fn calls(profile: &str) -> BTreeMap<String, u64> {
    let own = profile
        .lines()
        .skip_while(|line| !(line.starts_with("fn=") && line.ends_with("::counted_from_here")));
    let mut lines = own.take_while(|line| !line.is_empty());
    let mut all = BTreeMap::new();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("cfn=") else { continue };
        // The piece is a closure of the function that made it.
        let piece = name.split_once("pieces::").and_then(|(_, rest)| rest.split("::").next());
        let cost = lines.nth(1).and_then(|line| line.split(' ').nth(1));
        all.insert(piece.unwrap_or(name).to_owned(), cost.unwrap().parse().unwrap());
    }
    all
}

/// Why the figures do not hold here, if they do not.
fn left_out(figures: &Figures) -> Option<String> {
    if !cfg!(debug_assertions) {
        return Some("the figures hold for debug builds, this is another".to_owned());
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = said(&rustc, "-vV");
    for name in ["compiler", "host"] {
        let wanted = figures.text(name);
        if !version.lines().any(|line| line == wanted) {
            let here = version.lines().next().unwrap_or("no rustc");
            return Some(format!("the figures hold for {wanted}, this is {here}"));
        }
    }
    // Libraries choose their ways by what the processor can.
    let wanted = figures.text("processor");
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !processor.split_ascii_whitespace().any(|flag| flag == wanted) {
        return Some(format!("the figures hold for processors with {wanted}"));
    }
    let is_there = !said("valgrind".as_ref(), "--version").is_empty();
    (!is_there).then(|| "valgrind is not installed".to_owned())
}

/// What a program says, nothing if it is not there.
fn said(program: &OsStr, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[test]
fn a_profile_is_read_piece_by_piece() {
    let profile = "fn=guard::other\n1 7\ncfn=guard::pieces::mapping::{{closure}}\ncalls=1 5 \n2 9\n\n\
                   fn=guard::instructions::counted_from_here\n45 6\ncfi=pieces.rs\n\
                   cfn=guard::pieces::rows::{{closure}}\ncalls=1 117 \n46 5648\n\
                   cfn=guard::pieces::mapping::{{closure}}\ncalls=1 91 \n46 1726\n47 12\n\n\
                   fn=guard::more\n1 1\n";
    let expected = [("mapping".to_owned(), 1726), ("rows".to_owned(), 5648)];
    assert_eq!(calls(profile), BTreeMap::from(expected));
}
