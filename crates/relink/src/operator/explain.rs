//! `relink explain <id>`: what is known of an account or authorization, what happened to it, why,
//! and what was sent.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use relink_bus::envelope::rfc3339;
use relink_core::aggregate::{Aggregate, Health};
use relink_core::id::{AccountId, Home, HomeKey};
use relink_core::observation::Status;
use relink_core::register::value;
use relink_core::time::Second;
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, Store, StoreError};
use relink_postgres::PostgresStore;
use relink_sqlite::SqliteStore;
use serde_json::{Value, json};

use crate::cli::ExplainArgs;
use crate::failure::Failure;
use crate::settings::{Database, Problems};
use crate::telemetry::start_logging;

/// Everything about one home.
struct Found {
    aggregate: Aggregate,
    history: Vec<HistoryRow>,
    cases: Vec<CaseRow>,
}

pub(crate) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let database = problems.database(args.database);
    problems.done()?;
    let Some(database) = database else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let store: Box<dyn Store> = match database {
        Database::Postgres(config) => {
            Box::new(PostgresStore::connect(*config).await.map_err(Failure::unavailable)?)
        }
        Database::Sqlite(path) => {
            Box::new(SqliteStore::open_read_only(path.as_ref()).map_err(Failure::unavailable)?)
        }
    };
    let found = find(&*store, &args.id, args.limit).await.map_err(Failure::unavailable)?;
    let event = store.inbox_row(&args.id).await.map_err(Failure::unavailable)?;
    if found.is_empty() && event.is_none() {
        return Err(Failure::no(format!(
            "nothing is known of `{}`: neither an account, an authorization nor an accepted event",
            args.id
        )));
    }
    let text = if args.json {
        let found: Vec<Value> = found.iter().map(as_json).collect();
        let all = json!({ "event": event.as_ref().map(event_json), "found": found });
        serde_json::to_string_pretty(&all).map_err(Failure::software)?
    } else {
        as_text(&args.id, &found, event.as_ref(), std::io::stdout().is_terminal())
    };
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    Ok(())
}

async fn find(store: &dyn Store, id: &str, limit: usize) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for aggregate in store.find(id).await? {
        let account = AccountId::from(id);
        let account = aggregate.accounts.contains_key(&account).then_some(account);
        let mut history = store.history(&aggregate.key, account.as_ref(), limit).await?;
        for home in past_homes(&aggregate, account.as_ref()) {
            history.extend(store.history(&home, account.as_ref(), limit).await?);
        }
        history.sort_by_key(|row| std::cmp::Reverse((row.decided_at, row.at)));
        history.truncate(limit);
        let cases = store.cases(&aggregate.key, limit).await?;
        found.push(Found { aggregate, history, cases });
    }
    Ok(found)
}

/// Where an account lived before: its history stayed there.
fn past_homes(aggregate: &Aggregate, account: Option<&AccountId>) -> Vec<HomeKey> {
    let Some((id, known)) = account.and_then(|id| aggregate.accounts.get_key_value(id)) else {
        return Vec::new();
    };
    let homes = known.past_authorizations().cloned().map(Home::Authorization);
    homes
        .chain([Home::Provisional(id.clone())])
        .filter(|home| *home != aggregate.key.home)
        .map(|home| HomeKey { scope: aggregate.key.scope.clone(), home })
        .collect()
}

fn as_text(id: &str, found: &[Found], event: Option<&InboxRow>, colours: bool) -> String {
    let mut text = String::new();
    if let Some(event) = event {
        let at = stripe_time(event.at);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{id}: {} of {at} ({}), verdict {}",
            event.kind, event.scope, event.verdict
        );
    }
    for one in found {
        describe(&mut text, one, colours);
    }
    text
}

fn describe(text: &mut String, found: &Found, colours: bool) {
    let aggregate = &found.aggregate;
    let summary = &aggregate.state.summary;
    let bank = aggregate.institution_name().map_or("bank unknown", |name| name);
    let holder = aggregate.holder().map_or("holder unknown", |holder| &*holder.id);
    let health = paint(summary.health.as_str(), health_style(summary.health), colours);
    let _ = writeln!(
        text,
        "{} ({}) {bank}, {holder}: {health}",
        aggregate.key.home.as_str(),
        aggregate.key.scope
    );
    for (id, account) in &aggregate.accounts {
        let status = account.status().map_or("unknown", Status::as_str);
        let last4 = value(&account.last4).map_or(String::new(), |last4| format!(" ••{last4}"));
        let mut line = format!("  {id}{last4}  {status}");
        if let Some(details) = account.inactive_details() {
            let cause = details.cause.as_deref().unwrap_or("no cause");
            let _ = write!(line, " ({cause}, {})", details.action.as_str());
        } else if account.is_inactive() {
            line.push_str(" (details unknown)");
        }
        if let Some(forecast) = account.forecast() {
            let date = stripe_time(forecast.date);
            let _ = write!(line, ", deactivation expected {date} ({})", forecast.action.as_str());
        }
        if let Some(verify) = aggregate.state.verifies.get(id) {
            let _ = write!(line, ", verify asked {} times", verify.asked);
        }
        let _ = writeln!(text, "{line}");
    }
    for row in &found.cases {
        let state = match &row.closed {
            Some((at, outcome)) => format!("closed {} as {}", rfc3339(*at), outcome.as_str()),
            None => "open".to_owned(),
        };
        let case = &row.case;
        let _ = writeln!(
            text,
            "  case {}: {}, opened {}, {} prompts, {} reminders, {state}",
            case.id,
            case.reason.as_str(),
            rfc3339(case.opened_at),
            case.prompts,
            case.reminders
        );
    }
    if !found.history.is_empty() {
        let _ = writeln!(text, "  history, newest first:");
    }
    for row in &found.history {
        let note = if row.note.is_empty() { "" } else { "  " };
        let _ = writeln!(
            text,
            "    {}  {:<28} {}{note}{}",
            rfc3339(row.decided_at),
            &*row.verdict,
            row.kind,
            row.note
        );
        for command in &row.commands {
            let _ = writeln!(text, "      → {command}");
        }
    }
}

fn as_json(found: &Found) -> Value {
    let aggregate = &found.aggregate;
    let history: Vec<Value> = found
        .history
        .iter()
        .map(|row| {
            json!({
                "decided_at": rfc3339(row.decided_at), "at": row.at.0, "account": row.account,
                "input": row.input, "type": row.kind, "verdict": row.verdict, "note": row.note,
                "commands": row.commands,
            })
        })
        .collect();
    let cases: Vec<Value> = found
        .cases
        .iter()
        .map(|row| {
            let closed = row.closed.as_ref();
            json!({
                "case": row.case,
                "closed_at": closed.map(|(at, _)| rfc3339(*at)),
                "outcome": closed.map(|(_, outcome)| outcome.as_str()),
            })
        })
        .collect();
    json!({
        "scope": aggregate.key.scope.to_string(),
        "authorization": aggregate.key.home.authorization(),
        "health": aggregate.state.summary.health.as_str(),
        "state": aggregate.state, "accounts": aggregate.accounts,
        "cases": cases, "history": history,
    })
}

fn event_json(event: &InboxRow) -> Value {
    json!({
        "id": event.id, "type": event.kind, "created": event.at.0,
        "scope": event.scope.to_string(), "verdict": event.verdict.as_str(),
    })
}

fn stripe_time(second: Second) -> String {
    rfc3339(second.as_time()).replace(".000Z", "Z")
}

fn health_style(health: Health) -> Style {
    let colour = match health {
        Health::RelinkRequired => AnsiColor::Red,
        Health::Unverified | Health::Expiring | Health::NumbersDue => AnsiColor::Yellow,
        Health::Unrepairable | Health::Disconnected => AnsiColor::BrightBlack,
        Health::Active => AnsiColor::Green,
    };
    colour.on_default().bold()
}

fn paint(text: &str, style: Style, colours: bool) -> String {
    if colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
}
