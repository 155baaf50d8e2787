//! `relink doctor`: looks at settings, Stripe, broker and database, and says of each how it is
//! and what to do. It changes nothing anywhere.
//!
//! Every section runs beside the others and within its time; a look that cannot be made says so
//! and hinders no other. [`line`] is the list of all that is looked at.

mod broker;
mod database;
mod events;
mod line;
mod settings;
mod stripe;

use std::time::Duration;

use relink_engine::clock::{Clock as _, SystemClock};

use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::output::{counted, print};
use crate::settings::Problems;
use crate::telemetry::start_logging;

use line::{Check, Diagnosis, Level, Line};
use settings::Wanted;

/// How long a section may take. Each wait within is bounded by itself, and by less.
const SECTION: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.rest.log, &mut problems);
    let wanted = Wanted::of(&args.roles, &mut problems);
    let age = problems.span("--transaction-age", &args.transaction_age);
    problems.done()?;
    let Some(age) = age else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let (is_strict, json) = (args.strict, args.json);
    let mut lines = Vec::new();
    let named = settings::read(args, &wanted, &mut lines);

    let now = SystemClock.now();
    let store = database::store(named.database.as_ref()).await;
    let database = async |lines: &mut Vec<Line>| {
        database::look(named.database.as_ref(), age, now, lines).await;
    };
    let stripe = async |lines: &mut Vec<Line>| {
        let modes = database::modes(store.as_deref()).await;
        stripe::look(&named, &modes, lines).await;
    };
    let events = async |lines: &mut Vec<Line>| {
        events::look(store.as_deref(), named.stripe.as_ref(), now, lines).await;
    };
    let broker = async |lines: &mut Vec<Line>| broker::look(&named, &wanted, lines).await;
    let is_served = named.broker.is_some();
    let (mut told, more, others, last) = tokio::join!(
        section(&stripe::CHECKS, stripe),
        section(&events::CHECKS, events),
        section(if is_served { &broker::CHECKS } else { &[] }, broker),
        section(database::checks(named.database.as_ref()), database),
    );
    told.extend(more.into_iter().chain(others).chain(last));
    lines.extend(told);
    lines.extend(database::parked(store.clone(), is_served).await);
    lines.sort_by_key(|line| line.check);
    end(&Diagnosis { lines }, is_strict, json)
}

/// Runs a section; what it did not come to is told as well.
async fn section(checks: &[Check], look: impl AsyncFnOnce(&mut Vec<Line>)) -> Vec<Line> {
    let mut lines = Vec::new();
    let ended = tokio::time::timeout(SECTION, look(&mut lines)).await.is_ok();
    for check in checks {
        if lines.iter().any(|line| line.check == *check) {
            continue;
        }
        lines.push(match ended {
            true => Line::not_checked(*check, "not checked: something else has to work first", ""),
            false => Line::warn(
                *check,
                format!("no answer within {} s", SECTION.as_secs()),
                "see what else is wrong, then ask again",
            ),
        });
    }
    lines
}

fn end(diagnosis: &Diagnosis, is_strict: bool, json: bool) -> Result<(), Failure> {
    if json {
        let all = diagnosis.document();
        print(&serde_json::to_string_pretty(&all).map_err(Failure::software)?)?;
    } else {
        print(diagnosis.text().trim_end())?;
    }
    let (failed, warned) = (diagnosis.count(Level::Fail), diagnosis.count(Level::Warn));
    let count = |number: usize, noun| counted(u64::try_from(number).unwrap_or(u64::MAX), noun);
    match (failed, warned) {
        (0, 0) => Ok(()),
        (0, _) if !is_strict => Ok(()),
        (0, _) => Err(Failure::no(count(warned, "warning"))),
        (_, _) => Err(Failure::no(format!("{} failed", count(failed, "check")))),
    }
}
