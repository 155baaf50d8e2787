//! How fast Relink is, as a ratio to bare programs and hand-written peers in the same run.
//!
//!     tests/bench/run                          # everything
//!     tests/bench/run --short                  # under three minutes
//!     tests/bench/run ingress worker --rounds 3
//!
//! Every scenario checks in its end that nothing was lost and that the state is right. Programs
//! take turns, round by round, since machines drift; figures are medians of the rounds.

#![expect(clippy::unwrap_used, reason = "a measurement ends where something is not as it should")]
#![expect(clippy::print_stdout, reason = "the figures go to standard output")]
#![expect(clippy::print_stderr, reason = "how far it has come goes to standard error")]
#![expect(clippy::cast_precision_loss, reason = "counts become rates")]

mod drive;
mod limit;
mod meter;
mod peer;
mod plot;
mod report;
mod scenario;
mod traffic;

use std::sync::Arc;

use clap::Parser;
use relink_tests::stage::on_stage;

use report::Report;
use scenario::{Plan, Scenario};

/// What is measured, and for how long.
#[derive(Parser)]
struct Args {
    /// All but growth where none is named
    scenarios: Vec<Scenario>,
    /// How often each program takes its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Under three minutes: fewer rounds and events
    #[arg(long)]
    short: bool,
    /// Growth: so many rows for each one
    #[arg(long, default_value_t = 99)]
    copies: usize,
    /// Growth: so many days between two events of an account, of which thirty days are made
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=30))]
    days_apart: u16,
    /// Without the peers in Node
    #[arg(long)]
    no_peers: bool,
    /// Throughput and latency over time of the last round, as a picture (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<std::path::PathBuf>,
    /// The figures as JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("limit") {
        let what = arguments.next().unwrap_or_default();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.enable_all().build().unwrap().block_on(limit::run(&what));
        return;
    }
    let args = Args::parse();
    let plan = Arc::new(Plan {
        rounds: if args.short { 1 } else { args.rounds },
        seconds: if args.short { 2 } else { 4 },
        events: if args.short { 30_000 } else { 100_000 },
        authorizations: 10_000,
        copies: args.copies,
        days_apart: args.days_apart.into(),
        peers: !args.no_peers && peer::are_here(),
    });
    if !plan.peers {
        eprintln!("LEFT OUT: the peers in Node");
    }
    let report = Arc::new(Report::default());
    let scenarios =
        if args.scenarios.is_empty() { Scenario::USUAL.to_vec() } else { args.scenarios };
    for scenario in scenarios {
        let (plan, report) = (Arc::clone(&plan), Arc::clone(&report));
        on_stage(async move |stage| scenario.run(stage, &plan, &report).await);
    }
    if let Some(file) = args.plot {
        std::fs::write(&file, report.picture()).unwrap();
    }
    if args.json {
        println!("{:#}", report.json());
    } else {
        println!("{}", report.table());
    }
}

/// One line to whoever reads the output of this process.
fn say(line: &str) {
    println!("{line}");
}

/// How far it has come.
fn tell(line: &str) {
    eprintln!("{line}");
}
