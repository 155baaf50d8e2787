//! A story on the terminal: simulator and all roles in this process, an embedded database in a
//! temporary folder, no network beyond loopback, no configuration.
//!
//! Nothing is acted: the simulator sends signed webhooks over HTTP, everything behind the
//! listener is what `relink standalone` runs, and `check.rs` holds the end against what it has to
//! be. Only time is: a clock that the story moves stands for Stripe's and for ours, so that days
//! pass in a moment. The relink page to try ([`page`]) has a second set of everything, in which
//! time runs as it does outside. Start reading at [`story::Story::tell`].

mod check;
mod commands;
mod narrator;
mod page;
mod ports;
mod stage;
mod story;
mod telling;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::cli::{DemoArgs, LogArgs};
use crate::failure::Failure;
use crate::settings::Problems;
use crate::shutdown;
use crate::telemetry::start_logging;
use narrator::Narrator;
use ports::Ports;
use stage::{Machinery, Stage};
use story::Story;

/// How long the roles may take to end: nothing is in hand when the story is over.
const DRAIN: Duration = Duration::from_secs(10);

/// The page's world and the story's: other seeds, so that their ids differ.
const PAGE_SEED: u64 = 2;
const STORY_SEED: u64 = 1;

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&log(), &mut problems);
    let ports = Ports::read(&mut problems, &args.demo_port);
    problems.done()?;
    let mut ports =
        ports.ok_or_else(|| Failure::software("settings without a problem are incomplete"))?;
    let stop = shutdown::on_signal()?;
    let folder = tempfile::Builder::new()
        .prefix("relink-demo-")
        .tempdir()
        .map_err(|error| Failure::unavailable(format!("no temporary folder: {error}")))?;
    let within_it = |name| room(&folder, name);
    let (page, its) = Stage::build(&within_it("page")?, PAGE_SEED, &mut ports, &stop).await?;
    let (stage, own) = Stage::build(&within_it("story")?, STORY_SEED, &mut ports, &stop).await?;
    let narrator = Narrator::new(args.once, args.json);
    let (mut page, mut story) = (Story::new(page, &narrator), Story::new(stage, &narrator));
    let telling = async {
        let result = tell(&mut page, &mut story, args.once, &stop).await;
        stop.cancel();
        result
    };
    let machines = async { tokio::join!(run_machinery(its, &stop), run_machinery(own, &stop)) };
    let running = shutdown::within(&stop, DRAIN, machines);
    let (told, (ran, _)) = tokio::join!(telling, running);
    ran.and_then(|(its, own)| its.and(own)).and(told)
}

fn room(folder: &TempDir, name: &str) -> Result<PathBuf, Failure> {
    let room = folder.path().join(name);
    std::fs::create_dir(&room)
        .map_err(|error| Failure::unavailable(format!("no temporary folder: {error}")))?;
    Ok(room)
}

async fn run_machinery(machinery: Machinery, stop: &CancellationToken) -> Result<(), Failure> {
    let result = machinery.run(stop).await;
    stop.cancel();
    result
}

async fn tell(
    page: &mut Story<'_>,
    story: &mut Story<'_>,
    once: bool,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let all = async {
        page.open_page().await?;
        story.tell().await
    };
    tokio::select! {
        told = all => told?,
        () = stop.cancelled() => {
            let stopped = Failure::no("stopped before the story was over");
            return if once { Err(stopped) } else { Ok(()) };
        }
    }
    if once { Ok(()) } else { page.stay(story, stop).await }
}

/// Warnings only, unless asked for more: the terminal belongs to the story.
fn log() -> LogArgs {
    let of = |name: &str, default: &str| {
        std::env::var(name).ok().filter(|text| !text.is_empty()).unwrap_or(default.to_owned())
    };
    LogArgs { log: of("RELINK_LOG", "warn"), log_format: of("RELINK_LOG_FORMAT", "text") }
}
