//! `relink doctor`: looks at settings, Stripe, broker and database, and says of each how it is
//! and what to do. It changes nothing anywhere.
//!
//! Every section runs beside the others and within its time; a look that cannot be made says so
//! and hinders no other. [`line`] is the list of all that is looked at.

mod broker;
mod database;
mod events;
mod line;
mod permission;
mod settings;
mod stripe;
mod traces;

use std::time::Duration;

use relink_core::time::Span;
use relink_engine::clock::{Clock as _, SystemClock};

use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::output::{Colours, counted, print};
use crate::progress::Progress;
use crate::settings::Problems;
use crate::telemetry::start_logging;

use line::{Check, Diagnosis, Level, Line};
use settings::{Named, Wanted};

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

    let progress = Progress::waiting(json, "looking");
    let work = async {
        look(&named, &wanted, age, &mut lines).await;
        Ok(())
    };
    progress.during(work).await?;
    progress.end();
    end(&Diagnosis { lines }, is_strict, json)
}

/// Looks at all that is named, each section beside the others.
async fn look(named: &Named, wanted: &[Wanted], longest: Span, lines: &mut Vec<Line>) {
    let now = SystemClock.now();
    let store = database::store(named.database.as_ref()).await;
    let database = async |lines: &mut Vec<Line>| {
        let look = database::Look { wanted, longest, now };
        database::look(named.database.as_ref(), look, lines).await;
    };
    let stripe = async |lines: &mut Vec<Line>| {
        let modes = database::modes(store.as_deref()).await;
        stripe::look(named, &modes, lines).await;
    };
    let events = async |lines: &mut Vec<Line>| {
        if store.is_some() && database::is_hidden(named.database.as_ref(), "inbox").await {
            lines.extend(events::CHECKS.map(|check| database::hidden(check, "inbox")));
            return;
        }
        events::look(store.as_deref(), named.stripe.as_ref(), now, lines).await;
    };
    let broker = async |lines: &mut Vec<Line>| broker::look(named, wanted, lines).await;
    let traces = async |lines: &mut Vec<Line>| {
        if let Some(collector) = &named.collector {
            traces::look(collector.as_ref(), lines).await;
        }
    };
    let is_served = named.broker.is_some();
    let of_broker: &[Check] = if is_served { &broker::CHECKS } else { &[] };
    let of_database = database::checks(named.database.as_ref());
    let for_stripe = needs(lines, Check::SettingsStripe);
    let for_events = needs(lines, Check::SettingsDatabase);
    let (mut told, events, broker, database, traces) = tokio::join!(
        section(&stripe::CHECKS, &for_stripe, stripe),
        section(&events::CHECKS, &for_events, events),
        section(of_broker, "not checked: the broker has to let us in first", broker),
        section(of_database, "not checked: server and schema have to be right first", database),
        section(&traces::CHECKS, "not checked: settings.process has to be right first", traces),
    );
    told.extend(events.into_iter().chain(broker).chain(database).chain(traces));
    lines.extend(told);
    lines.extend(database::parked(store.clone(), named.database.as_ref(), is_served).await);
    lines.sort_by_key(|line| line.check);
}

/// Why something cannot be looked at: its settings are not there, or not right, or lead nowhere.
fn needs(lines: &[Line], settings: Check) -> String {
    match lines.iter().find(|line| line.check == settings) {
        Some(line) if line.level == Level::NotChecked => line.found.clone(),
        Some(line) if line.level == Level::Fail => {
            format!("not checked: {} has to be right first", settings.as_str())
        }
        _ => "not checked: the database has to be right first".to_owned(),
    }
}

/// Runs a section; what it did not come to is told as well, with the reason.
async fn section(
    checks: &[Check],
    unless: &str,
    look: impl AsyncFnOnce(&mut Vec<Line>),
) -> Vec<Line> {
    let mut lines = Vec::new();
    let ended = tokio::time::timeout(SECTION, look(&mut lines)).await.is_ok();
    for check in checks {
        if lines.iter().any(|line| line.check == *check) {
            continue;
        }
        lines.push(match ended {
            true => Line::not_checked(*check, unless, ""),
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
        print(diagnosis.text(Colours::on(&std::io::stdout())).trim_end())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_keeps_what_was_found_and_says_so_of_the_rest() {
        let checks = [Check::BrokerVersion, Check::BrokerAlarms];
        let lines = section(&checks, "not reached", async |lines: &mut Vec<Line>| {
            lines.push(Line::ok(Check::BrokerVersion, "4.1"));
            std::future::pending::<()>().await;
        })
        .await;
        let levels: Vec<Level> = lines.iter().map(|line| line.level).collect();
        assert_eq!(levels, [Level::Ok, Level::Warn]);
        assert!(lines[1].found.contains("30 s"), "{lines:?}");
        let lines = section(&checks, "not reached", async |_: &mut Vec<Line>| {}).await;
        assert!(lines.iter().all(|line| line.level == Level::NotChecked), "{lines:?}");
    }

    #[test]
    fn warnings_end_in_failure_only_where_that_is_asked_for() {
        let diagnosis = |line| Diagnosis { lines: vec![line] };
        let warned = diagnosis(Line::warn(Check::Parked, "parked: 1", "look"));
        let failed = diagnosis(Line::fail(Check::Parked, "parked: 1", "look"));
        assert!(end(&warned, false, false).is_ok());
        assert!(end(&warned, true, false).is_err());
        assert!(end(&failed, false, true).is_err());
    }
}
