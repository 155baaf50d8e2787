//! A story on the terminal: simulator and all roles in this process, an embedded database in a
//! temporary folder, no network beyond loopback, no configuration.
//!
//! Nothing is acted: the simulator sends signed webhooks over HTTP, everything behind the
//! listener is what `relink standalone` runs, and `check.rs` holds the end against what it has to
//! be. Only time is: a clock that the story moves stands for Stripe's and for ours, so that days
//! pass in a moment. Start reading at [`story::Story::tell`].

mod check;
mod commands;
mod narrator;
mod stage;
mod story;
mod telling;
mod words;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::{DemoArgs, LogArgs};
use crate::failure::Failure;
use crate::settings::Problems;
use crate::shutdown;
use crate::telemetry::start_logging;
use narrator::Narrator;
use stage::{Machinery, Stage};
use story::Story;

/// How long the roles may take to end: nothing is in hand when the story is over.
const DRAIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&log(), &mut problems);
    problems.done()?;
    let stop = shutdown::on_signal()?;
    let folder = tempfile::Builder::new()
        .prefix("relink-demo-")
        .tempdir()
        .map_err(|error| Failure::unavailable(format!("no temporary folder: {error}")))?;
    let (stage, machinery) = Stage::build(folder.path(), &stop).await?;
    let story = Story::new(stage, Narrator::new(args.once, args.json));
    let telling = async {
        let result = tell(story, args.once, &stop).await;
        stop.cancel();
        result
    };
    let running = shutdown::within(&stop, DRAIN, run_machinery(machinery, &stop));
    let (told, ran) = tokio::join!(telling, running);
    ran.and_then(|ran| ran).and(told)
}

async fn run_machinery(machinery: Machinery, stop: &CancellationToken) -> Result<(), Failure> {
    let result = machinery.run(stop).await;
    stop.cancel();
    result
}

async fn tell(mut story: Story, once: bool, stop: &CancellationToken) -> Result<(), Failure> {
    tokio::select! {
        told = story.tell() => told?,
        () = stop.cancelled() => {
            let stopped = Failure::no("stopped before the story was over");
            return if once { Err(stopped) } else { Ok(()) };
        }
    }
    if once { Ok(()) } else { story.stay(stop).await }
}

/// Warnings only, unless asked for more: the terminal belongs to the story.
fn log() -> LogArgs {
    let of = |name: &str, default: &str| {
        std::env::var(name).ok().filter(|text| !text.is_empty()).unwrap_or(default.to_owned())
    };
    LogArgs { log: of("RELINK_LOG", "warn"), log_format: of("RELINK_LOG_FORMAT", "text") }
}
