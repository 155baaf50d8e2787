//! What goes over the line to PostgreSQL: how often a batch waits, and for how many statements.

use std::sync::{Arc, Mutex};

use relink_core::id::{AccountId, AuthorizationId, InputId, Scope};
use relink_core::input::{Happened, Input, Verdict};
use relink_core::observation::{
    AccountObservation, Action, Details, Holder, InactiveDetails, Stamp, Status,
};
use relink_core::time::Second;
use relink_engine::batch::{Batch, Report};
use relink_engine::clock::{Clock as _, SystemClock};
use relink_engine::store::{OutboxRow, Store, Writes};
use relink_postgres::{PostgresConfig, PostgresStore, migrate};
use relink_tests::database::with_database;
use relink_tests::flights::{Counter, Counts};
use relink_tests::proxy::server_of;

use crate::figures::Figures;

/// A full batch, and a small one.
const SIZES: [usize; 2] = [256, 16];

#[test]
fn a_batch_takes_as_many_flights_and_statements_as_the_figures_say_whatever_its_size() {
    with_database(|url| Box::pin(hold(url, true)));
}

#[test]
fn without_prepared_statements_a_batch_takes_the_same() {
    with_database(|url| Box::pin(hold(url, false)));
}

async fn hold(url: String, prepare: bool) {
    migrate(&PostgresConfig::new(&*url), false).await.unwrap();
    let server = server_of(&url);
    let counter = Counter::before(server).await;
    let through = url.replacen(&server.to_string(), &counter.address().to_string(), 1);
    let config = PostgresConfig { prepare, pool_size: 1, ..PostgresConfig::new(through) };
    let client = counter.runtime_of_client();
    let judged = tokio::task::spawn_blocking(move || client.block_on(judge(config, counter)));
    judged.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
}

async fn judge(config: PostgresConfig, counter: Counter) {
    let line = Line { store: PostgresStore::connect(config).await.unwrap(), counter };
    // Connections and statements are made once, for the first batches.
    line.live(1).await;
    let mut judge = Figures::read().judge("a batch at the database");
    for size in SIZES {
        for (about, counts) in line.live(size).await {
            judge.exactly(about, "flights", counts.flights);
            judge.exactly(about, "statements", counts.statements);
        }
    }
    judge.done();
}

/// A store behind a link that counts.
struct Line {
    store: PostgresStore,
    counter: Counter,
}

impl Line {
    /// What batches of so many events take, one after the other, each event of another customer.
    async fn live(&self, size: usize) -> Vec<(&'static str, Counts)> {
        let name = size.to_string();
        let all = |one: fn(usize, &str) -> Input| -> Vec<Input> {
            (0..size).map(|number| one(number, &name)).collect()
        };
        let mut counted = Vec::new();
        for (about, inputs, verdict) in [
            ("linked", all(linked), Verdict::Applied),
            ("seen again", all(seen_again), Verdict::Unchanged),
            ("deactivated", all(deactivated), Verdict::Applied),
            ("duplicates", all(deactivated), Verdict::Duplicate),
        ] {
            self.counter.take();
            let (writes, report) = self.transact(&inputs).await;
            counted.push((about, self.counter.take()));
            assert_eq!(report.verdicts, vec![Some(verdict); size], "{about}");
            if about == "deactivated" {
                let all: Vec<_> = writes.outbox.iter().map(OutboxRow::committed).collect();
                assert!(all.len() >= size);
                self.store.delete_outbox(&all).await.unwrap();
                counted.push(("published", self.counter.take()));
            }
        }
        counted
    }

    async fn transact(&self, inputs: &[Input]) -> (Writes, Report) {
        let batch = Batch {
            inputs: inputs.into(),
            traceparents: vec![None; inputs.len()].into(),
            policy: Arc::default(),
            now: SystemClock.now(),
            wall: Arc::new(SystemClock),
        };
        let (decide, report): (_, Arc<Mutex<Report>>) = batch.decider();
        let writes = self.store.transact(inputs.into(), decide).await.unwrap();
        let report = report.lock().unwrap().clone();
        (writes, report)
    }
}

/// When it began, Unix seconds; all of it on one day, since the ledger is asked day by day.
const BEGIN_S: i64 = 1_795_000_000;

fn linked(number: usize, name: &str) -> Input {
    observed("linked", number, name, 0, Status::Active, Details::Active(None))
}

fn seen_again(number: usize, name: &str) -> Input {
    observed("again", number, name, 0, Status::Active, Details::Active(None))
}

fn deactivated(number: usize, name: &str) -> Input {
    let details = InactiveDetails { cause: None, action: Action::RelinkRequired };
    observed("deactivated", number, name, 120, Status::Inactive, Details::Inactive(details))
}

fn observed(
    what: &str,
    number: usize,
    name: &str,
    seconds: i64,
    status: Status,
    details: Details,
) -> Input {
    let at = BEGIN_S + seconds;
    let id = format!("{name}_{number}");
    let mut seen = AccountObservation::of(AccountId::from(&*format!("fca_{id}")), Stamp::event(at));
    seen.status = Some(status);
    seen.details = details;
    seen.authorization = Some(AuthorizationId::from(&*format!("fcauth_{id}")));
    seen.description.holder =
        Some(Holder { kind: "customer".into(), id: format!("cus_{id}").into() });
    Input {
        id: InputId::from(&*format!("evt_{what}_{id}")),
        scope: Scope::own(true),
        kind: "financial_connections.account.created".into(),
        at: Second(at),
        happened: Happened::AccountObserved(Box::new(seen)),
    }
}
