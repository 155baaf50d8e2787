//! What is measured, one file each.

mod embedded;
mod end_to_end;
mod growth;
mod ingress;
mod relay;
mod worker;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use relink_tests::http::get;
use relink_tests::place::Place;
use relink_tests::role::{Role, WEBHOOK_SECRET};
use relink_tests::stage::Stage;
use tokio_postgres::Client;

use crate::drive::Driven;
use crate::limit::SCHEMA;
use crate::meter::{Used, peak_mib};
use crate::report::{Report, Sample};
use crate::traffic::{Slice, Supply};

/// The queues that webhooks end in.
const QUEUES: [&str; 2] = ["relink.lifecycle", "relink.upcoming"];

/// How often it is asked how far a worker has come: each look at its metrics costs the worker a
/// millisecond.
const LOOK: Duration = Duration::from_millis(100);

/// How much is measured.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How often each program takes its turn.
    pub(crate) rounds: usize,
    /// How many seconds a turn takes, where that is given.
    pub(crate) seconds: usize,
    /// Events of a turn, where their number is given.
    pub(crate) events: usize,
    /// Authorizations that there are.
    pub(crate) authorizations: usize,
    /// How many times as many more there are once it has grown.
    pub(crate) copies: usize,
    /// Once it has grown: how many days lie between two events of an account.
    pub(crate) days_apart: usize,
    /// Whether peers take part.
    pub(crate) peers: bool,
}

impl Plan {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Scenario {
    /// Webhooks in, confirmed
    Ingress,
    /// From the queue to the state
    Worker,
    /// The same with more workers, and with workers that have nothing to do
    Scale,
    /// From the outbox to the broker
    Relay,
    /// From the webhook to the command
    EndToEnd,
    /// Without a broker
    Embedded,
    /// From the start of a process until it is ready
    Start,
    /// Among many more rows: needs 30 GB and half an hour, and has to be named
    Growth,
}

impl Scenario {
    /// All but the one that takes longest.
    pub(crate) const USUAL: [Self; 7] = [
        Self::Ingress,
        Self::Worker,
        Self::Scale,
        Self::Relay,
        Self::EndToEnd,
        Self::Embedded,
        Self::Start,
    ];

    /// Measures it.
    pub(crate) async fn run(self, stage: &Stage, plan: &Plan, report: &Report) {
        match self {
            Self::Ingress => ingress::run(stage, plan, report).await,
            Self::Worker => worker::run(stage, plan, report).await,
            Self::Scale => worker::scale(stage, plan, report).await,
            Self::Relay => relay::run(stage, plan, report).await,
            Self::EndToEnd => end_to_end::run(stage, plan, report).await,
            Self::Embedded => embedded::run(stage, plan, report).await,
            Self::Start => embedded::start(stage, plan, report).await,
            Self::Growth => growth::run(stage, plan, report).await,
        }
    }
}

/// What bare programs and peers are told.
fn bare_settings(place: &Place, listen: SocketAddr, count: usize) -> Vec<(&'static str, String)> {
    vec![
        ("BENCH_AMQP", place.amqp_url.clone()),
        ("BENCH_DATABASE", place.database_url.clone()),
        ("BENCH_LISTEN", listen.to_string()),
        ("BENCH_SECRET", WEBHOOK_SECRET.to_owned()),
        ("BENCH_COUNT", count.to_string()),
    ]
}

/// The hand-made tables, with everything linked that the slice knows.
async fn bare_tables(database: &Client, authorizations: &Slice) {
    database.batch_execute(SCHEMA).await.unwrap();
    let linked = |event: &crate::traffic::Event| {
        let value: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        let object = &value["data"]["object"];
        Some((object["id"].as_str()?.to_owned(), object["authorization"].as_str()?.to_owned()))
    };
    let links = authorizations.events.iter().filter_map(linked);
    let (accounts, homes): (Vec<String>, Vec<String>) = links.unzip();
    let authorizations = "INSERT INTO authz (id) SELECT DISTINCT unnest($1::text[])";
    database.execute(authorizations, &[&homes]).await.unwrap();
    let insert = "INSERT INTO account (id, authz_id, status, last_event_at) \
        SELECT id, home, 0, 0 FROM unnest($1::text[], $2::text[]) AS links (id, home) \
        ON CONFLICT DO NOTHING";
    database.execute(insert, &[&accounts, &homes]).await.unwrap();
    database.batch_execute("VACUUM ANALYZE").await.unwrap();
}

/// Measures processor time and memory around something.
struct Watch {
    programs: Vec<u32>,
    before: Used,
    began: Instant,
}

impl Watch {
    fn begin(programs: Vec<u32>) -> Self {
        Self { before: Used::now(&programs), programs, began: Instant::now() }
    }

    /// Of requests.
    fn driven(self, driven: &Driven) -> Sample {
        let (rate, times, course) = (driven.rate(), driven.times(), driven.course());
        Sample { course, ..self.end(rate, times) }
    }

    fn end(self, rate: f64, times: Vec<Duration>) -> Sample {
        let busy = Used::now(&self.programs).since(&self.before, self.began.elapsed());
        let peak_mib = self.programs.iter().map(|one| peak_mib(*one)).fold(0.0, f64::max);
        Sample { rate, times, busy, peak_mib, ..Sample::default() }
    }
}

/// A listener that has just started.
async fn listening(address: SocketAddr) {
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(LOOK).await;
    }
}

/// A place where everything is linked that the supply's events are about, and those links.
async fn linked(stage: &Stage, plan: &Plan) -> (Place, Supply, Slice) {
    let mut supply = Supply::new(plan.authorizations);
    let links = supply.links(plan.authorizations);
    let place = stage.place("relink").await;
    place.migrate().await;
    link_all(&place, &links).await;
    (place, supply, links)
}

/// Links everything through one worker and the ingress, so that what follows changes things.
async fn link_all(place: &Place, links: &Slice) {
    let ingress = place.start("ingress", &["ingress"], &[]).await;
    fill(&ingress, links).await;
    let worker = place.start("worker", &["worker", "lifecycle"], &[]).await;
    settled(&[&worker], links.bodies().len()).await;
    worker.process.stop().await;
    ingress.process.stop().await;
    place.database().await.batch_execute("VACUUM ANALYZE").await.unwrap();
}

/// Sends all of it to an ingress.
async fn fill(ingress: &Role, slice: &Slice) {
    let bodies = slice.bodies();
    let requests = crate::drive::requests(bodies.iter().copied());
    let (pace, limit) = (crate::drive::Pace::Closed, Duration::from_secs(3600));
    let driven = crate::drive::drive(ingress.listen, &requests, 128, pace, limit).await;
    assert_eq!((driven.answered.len(), driven.refused), (bodies.len(), 0), "not all were taken");
}

/// Waits until workers have settled so many deliveries; tells how many each look found.
async fn settled(workers: &[&Role], count: usize) -> Vec<(Instant, usize)> {
    let mut looks = Vec::new();
    loop {
        let mut done = 0;
        for worker in workers {
            done += counted(worker.admin, "relink_worker_verdicts_total").await;
        }
        looks.push((Instant::now(), done));
        if done >= count {
            return looks;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What a role has counted, under all labels.
async fn counted(admin: SocketAddr, name: &str) -> usize {
    let text = get(admin, "/metrics").await.unwrap().body;
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit(' ').next()?.parse::<usize>().ok()
    });
    values.sum()
}

/// From the first look that found something done to the last.
fn rate(looks: &[(Instant, usize)]) -> f64 {
    let begun = looks.iter().find(|(_, done)| *done > 0).unwrap();
    let ended = looks.last().unwrap();
    (ended.1 - begun.1) as f64 / (ended.0 - begun.0).as_secs_f64()
}

/// Nothing was lost: the ledger has every event, and every account is as it should be.
async fn check(place: &Place, distinct: usize, slice: &Slice) {
    let database = place.database().await;
    let row = database.query_one("SELECT count(*) FROM inbox", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), i64::try_from(distinct).unwrap(), "events in the ledger");
    let rows = database.query("SELECT id, status FROM accounts WHERE state IS NOT NULL", &[]).await;
    let held: std::collections::HashMap<String, String> =
        rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    for (account, status) in &slice.statuses {
        assert_eq!(held.get(account).map(String::as_str), Some(*status), "{account}");
    }
    let row = database.query_one("SELECT count(*) FROM outbox", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "commands are left in the outbox");
}
