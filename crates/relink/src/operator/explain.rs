//! `relink explain <id>`: what is known of an account or authorization, what happened to it, why,
//! and what was sent; or what one event did.

mod document;
mod text;

pub(super) use text::health_style;

use std::sync::Arc;

use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, Home, HomeKey, Scope};
use relink_core::input::{Ignored, Verdict};
use relink_engine::parked::own_home;
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, Store, StoreError, WhyParked};

use crate::cli::ExplainArgs;
use crate::failure::Failure;
use crate::output::{Colours, print};
use crate::progress::Progress;
use crate::settings::{Databases, Problems};
use crate::telemetry::start_logging;

/// Everything about one home.
struct Found {
    aggregate: Aggregate,
    history: Vec<HistoryRow>,
    cases: Vec<CaseRow>,
}

/// What is known of an id.
struct Story {
    found: Vec<Found>,
    event: Option<Event>,
    /// Why its message is parked, where the database keeps it.
    parked: Option<WhyParked>,
}

impl Story {
    async fn of(store: &dyn Store, id: &str, limit: usize) -> Result<Self, StoreError> {
        let (found, event) = (find(store, id, limit).await?, event(store, id, limit).await?);
        Ok(Self { found, event, parked: store.why_parked(id).await? })
    }

    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.event.is_none() && self.parked.is_none()
    }
}

/// Everything about one event.
struct Event {
    row: InboxRow,
    /// What it did, in the order in which it was concluded.
    history: Vec<HistoryRow>,
}

pub(crate) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let database = problems.database(args.database, Databases::Both);
    problems.done()?;
    let Some(database) = database else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let progress = Progress::waiting(args.json, super::CONNECTING_DATABASE);
    let store = super::store(database, &progress).await?;
    progress.now("looking");
    let story = Story::of(&*store, &args.id, args.limit);
    let story = progress.during(async { story.await.map_err(Failure::unavailable) }).await?;
    progress.end();
    if args.json {
        let all = document::all(&story);
        print(&serde_json::to_string_pretty(&all).map_err(Failure::software)?)?;
    } else if !story.is_empty() {
        let colours = Colours::on(&std::io::stdout());
        print(text::all(&args.id, &story, colours).trim_end())?;
    }
    if story.is_empty() {
        return Err(Failure::no(format!(
            "nothing is known of `{}`: neither an account, an authorization nor an event that was \
             decided; with a broker it may wait in a queue, be parked in relink.<queue>.parked, or \
             not have come (`relink catch-up`)",
            args.id
        )));
    }
    Ok(())
}

async fn event(store: &dyn Store, id: &str, limit: usize) -> Result<Option<Event>, StoreError> {
    let Some(row) = store.inbox_row(id).await? else { return dropped(store, id, limit).await };
    let history = store.input_history(&row, limit).await?;
    Ok(Some(Event { row, history }))
}

/// A command that was dropped, which no ledger holds: the drop is filed under its id.
async fn dropped(store: &dyn Store, id: &str, limit: usize) -> Result<Option<Event>, StoreError> {
    let verdict = Verdict::Ignored(Ignored::Dropped);
    let mut scopes = store.scopes().await?;
    for own in [true, false].map(Scope::own) {
        if !scopes.contains(&own) {
            scopes.push(own);
        }
    }
    for scope in scopes {
        let own = HomeKey { scope, home: own_home(id) };
        let mut history = store.history(&own, None, limit).await?;
        history.retain(|row| row.input.as_str() == id && *row.verdict == *verdict.as_str());
        if let Some(HistoryRow { input, kind, at, .. }) = history.first() {
            let (id, kind, at) = (input.clone(), Arc::clone(kind), *at);
            let row = InboxRow { scope: own.scope, id, kind, at, verdict };
            return Ok(Some(Event { row, history }));
        }
    }
    Ok(None)
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
