//! `relink reconcile`: compares every account with Stripe, those not heard of for longest first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use relink_engine::clock::{Clock as _, SystemClock};
use relink_worker_followup::reconcile::{Reconcile, Walked};
use serde_json::json;

use super::with_stripe::{self, say};
use crate::cli::ReconcileArgs;
use crate::failure::Failure;
use crate::output::counted;
use crate::progress::Progress;
use crate::settings::{Databases, Problems};
use crate::shutdown;
use crate::telemetry::start_logging;

pub(crate) async fn run(args: ReconcileArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let stripe = with_stripe::stripe(&mut problems, args.stripe);
    let database = problems.database(args.database, Databases::Both);
    with_stripe::refuse_sqlite(
        &mut problems,
        database.as_ref(),
        args.write,
        "RELINK_RECONCILE_DAYS",
    );
    let amqp = with_stripe::broker(&mut problems, args.amqp, args.write);
    let days: Option<u32> = problems.positive("--days", &args.days);
    problems.done()?;
    let (Some(stripe), Some(database), Some(days)) = (stripe, database, days) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let progress = Progress::waiting(args.json, super::CONNECTING_DATABASE);
    let store = super::store(database, &progress).await?;
    progress.now("counting");
    let begin = SystemClock.now();
    let count = async { store.count_unheard(begin).await.map_err(Failure::unavailable) };
    let all = progress.during(count).await?;
    let rate = stripe.reads_per_second;
    let Some(amqp) = amqp else {
        progress.end();
        return show(all, rate, args.json);
    };
    let (client, budget) = with_stripe::client(stripe)?;
    let publisher = with_stripe::publisher(amqp, &progress).await?;
    let observer = with_stripe::observer(client, budget, publisher)?;
    let reconcile = Reconcile { observer, store: Arc::clone(&store) };
    let stop = shutdown::on_signal()?;
    if !args.once {
        progress.end();
        let age = Duration::from_secs(u64::from(days) * 86_400);
        progress.heeding(reconcile.keep_on(age, stop)).await;
        return Ok(());
    }
    let all = all.unsigned_abs();
    progress.anew("accounts", Some(all));
    let read = AtomicU64::new(0);
    let tell = |walked: &Walked| {
        read.store(walked.accounts, Ordering::Relaxed);
        progress.at(walked.accounts + walked.skipped);
    };
    let work = async {
        tokio::select! {
            () = stop.cancelled() => None,
            walked = reconcile.walk(begin, tell) => Some(walked),
        }
    };
    let walked = progress.heeding(work).await;
    progress.end();
    let Some(walked) = walked else {
        let (read, all) = (read.load(Ordering::Relaxed), counted(all, "account"));
        return Err(Failure::interrupted(format!(
            "{read} of {all} read and published; run it again, it goes on with the others"
        )));
    };
    let walked = walked.map_err(Failure::unavailable)?;
    if args.json {
        say(json!({ "written": true, "read": walked.accounts, "skipped": walked.skipped }))
    } else {
        let skipped = walked.skipped;
        let read = counted(walked.accounts, "account");
        say(format!("{read} read and published, {skipped} skipped"))
    }
}

fn show(all: i64, rate: f64, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return say(json!({ "written": false, "to_read": all }));
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate, and never below zero"
    )]
    let minutes = (all as f64 / rate / 60.0).ceil() as u64;
    say(format!(
        "{} to read, about {} at {rate} reads a second; nothing was, add --write",
        counted(all.unsigned_abs(), "account"),
        counted(minutes, "minute")
    ))
}
