//! `relink status`: what became of events by day, what waits, and how authorizations are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _};
use std::time::Duration;

use relink_bus::envelope::rfc3339;
use relink_bus::parked::{Depth, ParkedMessages};
use relink_core::time::{Second, Time};
use relink_engine::balance::{Books, DayBooks};
use relink_engine::clock::{Clock as _, SystemClock};
use relink_engine::store::{Census, Store};
use serde_json::{Value, json};

use super::where_parked::{Wants, place, unavailable};
use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::output::{print, write_line};
use crate::progress::Progress;
use crate::settings::Problems;
use crate::shutdown::on_signal;
use crate::telemetry::start_logging;

const DAY_SECONDS: i64 = 86_400;

/// Everything that is told.
struct Status {
    books: Books,
    depths: Vec<Depth>,
    census: Census,
    now: Time,
}

pub(crate) async fn run(args: StatusArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let place = place(&mut problems, args.amqp, args.database, Wants::Ledger);
    let days: Option<u16> = problems.positive("--days", &args.days);
    let every: Option<u32> =
        args.watch.as_ref().and_then(|every| problems.positive("--watch", every));
    problems.done()?;
    let (Some(place), Some(days)) = (place, days) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let progress = Progress::waiting(args.json, super::CONNECTING_DATABASE);
    let opened = place.open(Wants::Ledger, false, &progress).await?;
    let store = opened.store.ok_or_else(|| Failure::software("there is no database"))?;
    let lot = &*opened.desk.lot;
    let Some(every) = every else {
        progress.now("counting");
        let status = progress.during(Status::read(&*store, lot, days)).await?;
        progress.end();
        if args.json {
            let all = status.document();
            return print(&serde_json::to_string_pretty(&all).map_err(Failure::software)?);
        }
        return print(status.text().trim_end());
    };
    progress.end();
    progress.heeding(watch(&*store, lot, days, (every, args.json))).await
}

/// Again and again until a signal.
async fn watch(
    store: &dyn Store,
    lot: &dyn ParkedMessages,
    days: u16,
    (every, json): (u32, bool),
) -> Result<(), Failure> {
    let stop = on_signal()?;
    while !stop.is_cancelled() {
        let text = match Status::read(store, lot, days).await {
            Ok(status) if json => status.document().to_string(),
            Ok(status) => on_a_screen(status.text().trim_end()),
            // Whoever watches wants to see it come back.
            Err(failure) => {
                failure.report();
                String::new()
            }
        };
        match write_line(text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written.map_err(|error| Failure::output(&error))?,
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(every.into())) => {}
        }
    }
    Ok(())
}

/// In the place of what was there before, where there is a screen.
fn on_a_screen(text: &str) -> String {
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    format!("{clear}{}\n{text}\n", rfc3339(SystemClock.now()))
}

impl Status {
    async fn read(store: &dyn Store, lot: &dyn ParkedMessages, days: u16) -> Result<Self, Failure> {
        let now = SystemClock.now();
        let until = Second(now.0.div_euclid(1000));
        let from = Second(until.0 - (i64::from(days) - 1) * DAY_SECONDS);
        Ok(Self {
            depths: lot.depths().await.map_err(|error| unavailable(&error))?,
            books: Books::of(store, lot, from, until).await.map_err(Failure::unavailable)?,
            census: store.census().await.map_err(Failure::unavailable)?,
            now,
        })
    }
}

impl Status {
    fn in_flight(&self) -> u64 {
        let waiting: u64 = self.depths.iter().map(|depth| depth.ready + depth.retrying).sum();
        waiting + self.census.outbox_depth.max(0).cast_unsigned()
    }

    fn outbox_age_seconds(&self) -> i64 {
        self.census.outbox_oldest.map_or(0, |oldest| self.now.since(oldest).0.div_euclid(1000))
    }

    fn document(&self) -> Value {
        let days = self.books.days.iter().rev().map(|(day, books)| {
            json!({
                "day": date(*day), "accepted": books.accepted(), "applied": books.applied(),
                "ignored": books.ignored(), "parked": books.parked, "verdicts": books.verdicts,
            })
        });
        let queues = self.depths.iter().map(|depth| {
            json!({
                "queue": depth.queue.short_name(), "ready": depth.ready,
                "retrying": depth.retrying, "parked": depth.parked, "missing": depth.missing,
            })
        });
        let named = |counts: &[(String, i64)]| -> Value {
            counts.iter().map(|(name, count)| (name.clone(), json!(count))).collect()
        };
        json!({
            "days": days.collect::<Value>(),
            "observations": self.books.observations,
            "parked_unfiled": self.books.parked_unfiled,
            "parked_commands": self.books.parked_commands,
            "in_flight": self.in_flight(),
            "queues": queues.collect::<Value>(),
            "outbox": {
                "commands": self.census.outbox_depth,
                "oldest_seconds": self.outbox_age_seconds(),
            },
            "authorizations": named(&self.census.authorizations),
            "open_cases": named(&self.census.open_cases),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<10}  {:>9} = {:>9} + {:>9} + {:>7}",
            "created", "accepted", "applied", "ignored", "parked"
        );
        let mut verdicts: BTreeMap<&str, i64> = BTreeMap::new();
        for (day, books) in self.books.days.iter().rev() {
            let DayBooks { parked, .. } = books;
            let (accepted, applied, ignored) = (books.accepted(), books.applied(), books.ignored());
            let day = date(*day);
            let _ = writeln!(
                text,
                "{day:<10}  {accepted:>9} = {applied:>9} + {ignored:>9} + {parked:>7}"
            );
            for (verdict, count) in &books.verdicts {
                *verdicts.entry(verdict).or_default() += count;
            }
        }
        if self.books.days.is_empty() {
            text.push_str("no event in these days\n");
        }
        let told: Vec<String> =
            verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let _ = writeln!(text, "\nverdicts        {}", or_none(&told));
        let unfiled = self.books.parked_unfiled;
        if unfiled > 0 {
            let _ = writeln!(text, "parked as well  {unfiled} without an id or a day");
        }
        let commands = self.books.parked_commands;
        if commands > 0 {
            let _ = writeln!(text, "parked as well  {commands} commands");
        }
        self.add_rest(&mut text);
        text
    }

    fn add_rest(&self, text: &mut String) {
        let _ = writeln!(text, "observations    {}", self.books.observations);
        let _ = writeln!(text, "\nin flight       {}", self.in_flight());
        for depth in &self.depths {
            let Depth { queue, ready, retrying, parked, .. } = depth;
            let queue = queue.short_name();
            let lacks = depth.lacks().map_or_else(String::new, |lacks| format!("; {lacks}"));
            let _ = writeln!(
                text,
                "{queue:<14}  {ready} ready, {retrying} to be tried again, {parked} parked{lacks}"
            );
        }
        let (depth, age) = (self.census.outbox_depth, self.outbox_age_seconds());
        let oldest = if depth > 0 { format!(", the oldest for {age} s") } else { String::new() };
        let _ = writeln!(text, "outbox          {depth} commands{oldest}");
        let named = |counts: &[(String, i64)]| -> Vec<String> {
            counts.iter().map(|(name, count)| format!("{count} {name}")).collect()
        };
        let _ =
            writeln!(text, "\nauthorizations  {}", or_none(&named(&self.census.authorizations)));
        let _ = writeln!(text, "open cases      {}", or_none(&named(&self.census.open_cases)));
    }
}

fn or_none(parts: &[String]) -> String {
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

/// The date of a day since 1970.
fn date(day: i64) -> String {
    rfc3339(Second(day.saturating_mul(DAY_SECONDS)).as_time()).chars().take(10).collect()
}
