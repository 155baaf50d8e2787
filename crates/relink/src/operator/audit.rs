//! `relink audit`: what Stripe lists and neither the ledger nor the parked messages hold.

use std::sync::Arc;

use relink_bus::envelope::rfc3339;
use relink_bus::topology::WorkQueue;
use relink_core::time::Second;
use relink_engine::balance::ParkedEvents;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_worker_followup::audit::{Audit, Audited};
use relink_worker_followup::catch_up::LISTED_SECONDS;
use serde_json::{Value, json};

use super::where_parked::{Wants, place, unavailable};
use super::with_stripe;
use crate::cli::AuditArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Progress;
use crate::settings::Problems;
use crate::telemetry::start_logging;

pub(crate) async fn run(args: AuditArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let stripe = with_stripe::stripe(&mut problems, args.stripe);
    let place = place(&mut problems, args.amqp, args.database, Wants::Ledger);
    let now = SystemClock.now();
    let from = problems.moment("--from", &args.from, now);
    let until = problems.moment("--to", &args.to, now);
    if let (Some(from), Some(until)) = (from, until)
        && from > until
    {
        problems.add("--from is later than --to");
    }
    if from.is_some_and(|from| now.since(from).0 > LISTED_SECONDS * 1000) {
        problems.add("--from: Stripe lists the events of 30 days, and none before");
    }
    problems.done()?;
    let (Some(stripe), Some(place), Some(from), Some(until)) = (stripe, place, from, until) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let progress = Arc::new(Progress::waiting(args.json, super::CONNECTING_DATABASE));
    let mut opened = place.open(Wants::Ledger, false, &progress).await?;
    let store = opened.store.take().ok_or_else(|| Failure::software("there is no database"))?;
    let (client, budget) = with_stripe::client(stripe)?;
    let (from, until) = (Second(from.0.div_euclid(1000)), Second(until.0.div_euclid(1000)));

    // The queues, then the parked ones, then the ledger: what moves on meanwhile is found later.
    opened.watched(&progress, WorkQueue::ALL).await?;
    let work = async {
        let lot = &*opened.desk.lot;
        let depths = lot.depths().await.map_err(|error| unavailable(&error))?;
        let in_flight: u64 = depths.iter().map(|depth| depth.ready + depth.retrying).sum();
        let parked = ParkedEvents::all(lot).await.map_err(|error| unavailable(&error))?;
        progress.anew("events compared", None);
        let audit = Audit { client, budget, store, waiting: with_stripe::waiting };
        let tell = |audited: &Audited| {
            progress.at(listed(audited));
            progress.say(&format!("{} missing", audited.missing.len()));
        };
        let audited = audit.run(from, until, &parked.keys, tell).await;
        Ok((in_flight, audited.map_err(Failure::unavailable)?))
    };
    let (in_flight, audited) = progress.during(work).await?;
    progress.end();

    if args.json {
        let all = document(&audited, from, until, in_flight);
        print(&serde_json::to_string_pretty(&all).map_err(Failure::software)?)?;
    } else {
        print(text(&audited, from, until, in_flight).trim_end())?;
    }
    match audited.missing.len() {
        0 => Ok(()),
        count => Err(Failure::no(format!("{count} events are missing"))),
    }
}

fn listed(audited: &Audited) -> u64 {
    let missing = u64::try_from(audited.missing.len()).unwrap_or(u64::MAX);
    audited.in_ledger + audited.parked + missing
}

fn document(audited: &Audited, from: Second, until: Second, in_flight: u64) -> Value {
    let missing = audited.missing.iter().map(|missed| {
        json!({
            "id": missed.id, "type": missed.kind, "created": moment(missed.created),
            "scope": missed.scope.to_string(),
        })
    });
    json!({
        "from": moment(from), "to": moment(until),
        "listed": listed(audited), "in_ledger": audited.in_ledger, "parked": audited.parked,
        "in_flight": in_flight, "refused": audited.refused,
        "missing": missing.collect::<Value>(),
    })
}

fn text(audited: &Audited, from: Second, until: Second, in_flight: u64) -> String {
    let mut text = String::new();
    for missed in &audited.missing {
        let created = moment(missed.created);
        text += &format!("missing  {created}  {}  {}  {}\n", missed.id, missed.scope, missed.kind);
    }
    let (all, ledger, parked) = (listed(audited), audited.in_ledger, audited.parked);
    let missing = audited.missing.len();
    text += &format!(
        "{all} events that Stripe made from {} to {}: {ledger} in the ledger, {parked} parked, \
         {missing} missing\n",
        moment(from),
        moment(until)
    );
    if missing > 0 && in_flight > 0 {
        text += &format!(
            "{in_flight} messages wait in the queues: some of the missing may be among them, ask \
             again when they are empty\n"
        );
    }
    if missing > 0 {
        text += "what is missing for good is fetched by `relink catch-up --write`\n";
    }
    text
}

fn moment(at: Second) -> String {
    rfc3339(at.as_time()).replace(".000Z", "Z")
}
