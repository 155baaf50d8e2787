//! `relink catch-up`: publishes the events that Stripe has made and the ledger does not hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;
use relink_bus::envelope::rfc3339;
use relink_core::time::Second;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_worker_followup::catch_up::{self, CatchUp, Found, LISTED_SECONDS, Missed, Since};
use serde_json::json;

use super::with_stripe::{self, say};
use crate::cli::CatchUpArgs;
use crate::failure::Failure;
use crate::output::counted;
use crate::progress::{Progress, TICK};
use crate::settings::{Databases, Problems};
use crate::telemetry::start_logging;

pub(crate) async fn run(args: CatchUpArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let stripe = with_stripe::stripe(&mut problems, args.stripe);
    let database = problems.database(args.database, Databases::Both);
    let setting = "RELINK_CATCH_UP_SILENCE_SECONDS";
    with_stripe::refuse_sqlite(&mut problems, database.as_ref(), args.write, setting);
    let amqp = with_stripe::broker(&mut problems, args.amqp, args.write);
    let back = problems.span("--since", &args.since);
    if back.is_some_and(|back| back.0 > LISTED_SECONDS * 1000) {
        problems.add(format!(
            "--since: `{}` is further back than the 30 days that Stripe lists",
            args.since
        ));
    }
    problems.done()?;
    let (Some(stripe), Some(database), Some(back)) = (stripe, database, back) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };

    let (client, budget) = with_stripe::client(stripe)?;
    let progress = Progress::waiting(args.json, super::CONNECTING_BROKER);
    let publisher = match amqp {
        Some(amqp) => Some(with_stripe::publisher(amqp, &progress).await?),
        None => None,
    };
    let catch_up = CatchUp {
        client,
        budget,
        store: super::store(database, &progress).await?,
        // A person may want those that are parked once more; `relink audit` tells them apart.
        lot: None,
        publisher,
        wall: Arc::new(SystemClock),
        waiting: with_stripe::waiting,
        events: catch_up::register(&Registry::new()).map_err(Failure::software)?,
    };
    let now = SystemClock.now().0.div_euclid(1000);
    let since = Second(now - back.0 / 1000);
    // Once is enough: what is published of a first list would pass for known in the second one.
    let when = Since { undelivered: Second(now), all: since };
    let found = watched(&catch_up, when, progress, args.json).await?;
    if args.json {
        return say(json!({
            "since": since.0, "written": args.write,
            "missed": found.missed, "known": found.known, "refused": found.refused,
        }));
    }
    let what = if args.write { "published" } else { "to publish; nothing was, add --write" };
    let from = rfc3339(since.as_time());
    let missed = counted(found.missed, "event");
    say(format!("{missed} {what} ({} known, since {from})", found.known))
}

/// Catches up, tells what is missing, and shows how many events have been compared.
async fn watched(
    catch_up: &CatchUp,
    since: Since,
    progress: Progress,
    json: bool,
) -> Result<Found, Failure> {
    progress.anew("events compared", None);
    let (missing, unsaid) = (AtomicU64::new(0), Mutex::new(None));
    let tell = |missed: &Missed| {
        if let Err(failure) = say(line(missed, json)) {
            unsaid.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
        let missing = missing.fetch_add(1, Ordering::Relaxed) + 1;
        progress.say(&format!("{missing} missing"));
    };
    let work = async { catch_up.run(since, tell).await.map_err(Failure::unavailable) };
    let of = |result: &str| catch_up.events.with_label_values(&[result]).get();
    let compared = || of("known") + of("refused") + missing.load(Ordering::Relaxed);
    let count = async {
        loop {
            // Whoever cannot be told what is missing shall not wait for the end of it.
            if let Some(failure) = unsaid.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return failure;
            }
            progress.at(compared());
            tokio::time::sleep(TICK).await;
        }
    };
    let both = async {
        tokio::select! {
            found = work => found,
            failure = count => Err(failure),
        }
    };
    let interrupted = || {
        let compared = counted(compared(), "event");
        let missing = missing.load(Ordering::Relaxed);
        let what = match catch_up.publisher {
            Some(_) => format!("{} published", of("published")),
            None => "nothing was published".to_owned(),
        };
        Failure::interrupted(format!(
            "{compared} compared, {missing} missing, {what}; run it again, what the ledger holds \
             is not published twice"
        ))
    };
    let found = progress.during_or(both, interrupted).await?;
    match unsaid.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(found),
    }
}

fn line(missed: &Missed, as_json: bool) -> String {
    if as_json {
        return json!({
            "id": missed.id, "type": missed.kind, "created": missed.created.0,
            "scope": missed.scope.to_string(),
        })
        .to_string();
    }
    let created = rfc3339(missed.created.as_time()).replace(".000Z", "Z");
    format!("{created}  {}  {}  {}", missed.id, missed.scope, missed.kind)
}
