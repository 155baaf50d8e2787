//! One row of the matrix: a system under load, what goes wrong with it, and the reckoning.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use relink_tests::api::{Api, reference};
use relink_tests::captured::Commands;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::ledger::{
    Picture, cases, committed, ids_in_inbox, ids_in_outbox, nothing_is_left, progressed, settled,
};
use relink_tests::load::Load;
use relink_tests::place::Place;
use relink_tests::process::free_address;
use relink_tests::role::Role;
use relink_tests::stage::{Servers, Stage};
use relink_tests::wait::until;
use tokio_postgres::Client;

/// How often the outbox is looked at while something goes wrong.
const LOOK: Duration = Duration::from_millis(20);

/// A row of the outbox is changed only when a relay claims it.
const NOTE_TAKEN_OVER: &str = "CREATE TABLE taken_over (id text); \
    CREATE FUNCTION note_taken_over() RETURNS trigger LANGUAGE plpgsql AS \
    $$BEGIN INSERT INTO taken_over SELECT unnest(new.ids); RETURN new; END$$; \
    CREATE TRIGGER note_taken_over AFTER UPDATE ON outbox \
    FOR EACH ROW EXECUTE FUNCTION note_taken_over()";

/// What a row is made of.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// As in the table of `tests/README.md`.
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) authorizations: usize,
    pub(crate) events: usize,
    /// Webhooks a second, while nothing else is said.
    pub(crate) per_second: usize,
}

impl Plan {
    /// Enough to be under load for some seconds.
    pub(crate) fn named(name: &'static str, seed: u64) -> Self {
        Self { name, seed, authorizations: 120, events: 700, per_second: 150 }
    }
}

/// A system under load.
pub(crate) struct Row<'a> {
    /// What roles are told; a row may put a link of its own in front of a server.
    pub(crate) place: Place,
    pub(crate) foreign: Foreign,
    /// Past every link.
    pub(crate) database: Client,
    pub(crate) roles: BTreeMap<&'static str, Role>,
    pub(crate) listen: SocketAddr,
    pub(crate) load: Option<Load>,
    /// How many distinct events there are.
    pub(crate) events: usize,
    pub(crate) seed: u64,
    plan: Plan,
    feed: &'a Feed,
    api: &'a Api,
    consumer: Consumer,
    in_flight: BTreeSet<String>,
    back: Vec<Duration>,
    remarks: Vec<String>,
}

/// Plays a row on the servers that all tests share, or on its own, and holds its end against that
/// of one worker which got the same events in order, without any fault. What the faults return is
/// kept until the end.
pub(crate) async fn play<Kept>(
    stage: &Stage,
    plan: Plan,
    servers: Option<&Servers>,
    faults: impl AsyncFnOnce(&mut Row<'_>) -> Kept,
) {
    let seed = seed(plan.seed);
    let feed = Feed::new(seed, plan.authorizations, plan.events);
    let api = Api::serve(&feed.sim).await;
    let in_order = reference(stage, &feed, &api);
    let under_fire = async {
        let place = match servers {
            Some(servers) => stage.place_on(servers, plan.name).await,
            None => stage.place(plan.name).await,
        };
        let mut row = Row::set_up(place, plan, seed, &feed, &api).await;
        let _kept = faults(&mut row).await;
        row.reckon().await
    };
    let (picture, in_order) = tokio::join!(under_fire, in_order);
    picture.equals(&in_order);
}

impl<'a> Row<'a> {
    async fn set_up(place: Place, plan: Plan, seed: u64, feed: &'a Feed, api: &'a Api) -> Self {
        place.migrate().await;
        let database = place.database().await;
        database.batch_execute(NOTE_TAKEN_OVER).await.unwrap();
        Self {
            foreign: Foreign::connect(&place),
            database,
            consumer: Consumer::bind(&place, "relink.commands", "#").await,
            roles: BTreeMap::new(),
            listen: free_address(),
            load: None,
            events: feed.events.len(),
            in_flight: BTreeSet::new(),
            back: Vec::new(),
            remarks: Vec::new(),
            place,
            plan,
            seed,
            feed,
            api,
        }
    }

    /// Starts a role, or the next life of one, and waits until it is ready.
    pub(crate) async fn start(
        &mut self,
        name: &'static str,
        arguments: &[&str],
        more: &[(&'static str, String)],
    ) {
        self.launch(name, arguments, more);
        self.role(name).is_ready().await;
    }

    /// The same without waiting.
    pub(crate) fn launch(
        &mut self,
        name: &'static str,
        arguments: &[&str],
        more: &[(&'static str, String)],
    ) {
        let mut settings = self.api.settings();
        settings.push(("RELINK_INGRESS_LISTEN", self.listen.to_string()));
        settings.extend_from_slice(more);
        let role = self.place.launch(name, arguments, &settings);
        self.roles.insert(name, role);
    }

    /// One of those that were started.
    pub(crate) fn role(&mut self, name: &str) -> &mut Role {
        self.roles.get_mut(name).unwrap_or_else(|| panic!("no role {name} was started"))
    }

    /// An ingress, two workers for all queues, and a scheduler, under load.
    pub(crate) async fn begin(&mut self) {
        self.begin_with(&[]).await;
    }

    /// The same, with more settings.
    pub(crate) async fn begin_with(&mut self, more: &[(&'static str, String)]) {
        for (name, role) in [
            ("ingress", "ingress"),
            ("worker-1", "worker"),
            ("worker-2", "worker"),
            ("scheduler", "scheduler"),
        ] {
            self.launch(name, &[role], more);
        }
        for role in self.roles.values_mut() {
            role.is_ready().await;
        }
        self.begin_load();
    }

    /// Lets the webhooks come.
    pub(crate) fn begin_load(&mut self) {
        let bodies = self.feed.shuffled(self.seed);
        self.load = Some(Load::begin(self.listen, bodies, self.plan.per_second));
    }

    /// The webhooks that come.
    pub(crate) fn load(&self) -> &Load {
        self.load.as_ref().expect("the load has begun")
    }

    /// Waits until this share of the events, in percent, is in the inbox.
    pub(crate) async fn arrived(&self, percent: usize) {
        progressed(&self.database, self.events * percent / 100).await;
    }

    /// Does something bad; whatever is in the outbox meanwhile may be published twice.
    pub(crate) async fn suffer<T>(&mut self, fault: impl Future<Output = T>) -> T {
        let mut fault = pin!(fault);
        loop {
            self.note_in_flight().await;
            tokio::select! {
                result = &mut fault => {
                    self.note_in_flight().await;
                    return result;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Notes what is committed and not known to be published.
    pub(crate) async fn note_in_flight(&mut self) {
        // A database that is away changes nothing.
        if let Ok(ids) = ids_in_outbox(&self.database).await {
            self.in_flight.extend(ids);
        }
    }

    /// The fault is over: measures how long it takes until events come in again.
    pub(crate) async fn consumes_again(&mut self) {
        let started = Instant::now();
        let before = ids_in_inbox(&self.database).await.len();
        let all = self.events;
        loop {
            self.note_in_flight().await;
            let now = ids_in_inbox(&self.database).await.len();
            if now > before || now == all {
                break;
            }
            assert!(started.elapsed() < relink_tests::wait::DEADLINE, "nothing comes in any more");
            tokio::time::sleep(LOOK).await;
        }
        self.back.push(started.elapsed());
    }

    /// Waits until something can be seen in the metrics of a role.
    pub(crate) async fn sees(&mut self, role: &str, metric: &str, wanted: impl Fn(f64) -> bool) {
        let role = &self.roles[role];
        until(async || match role.metric(metric).await {
            value if wanted(value) => Ok(()),
            value => Err(format!("{metric} is {value}")),
        })
        .await;
    }

    /// Something worth knowing beside the usual figures.
    pub(crate) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The commands that a relay took over, because whoever committed them had not published them
    /// in time: only these can be seen twice.
    async fn taken_over(&self) -> BTreeSet<String> {
        let rows = self.database.query("SELECT id FROM taken_over", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// No more faults: all has to arrive, once, and to add up.
    async fn reckon(mut self) -> Picture {
        let load = self.load.take().expect("the load has begun");
        let (sent, accepted) = load.finish().await;
        settled(&self.database, &mut self.foreign, self.events, true).await;
        let mut parked = 0.0;
        for role in self.roles.values() {
            parked += role.metric("relink_worker_parked_total").await;
        }
        let taken_over = self.taken_over().await;
        for role in self.roles.into_values() {
            role.process.stop().await;
        }
        nothing_is_left(&mut self.foreign).await;
        assert_eq!(parked, 0.0, "nothing here deserves to be parked");

        let inbox = ids_in_inbox(&self.database).await;
        let lost: Vec<_> = accepted.difference(&inbox).collect();
        assert!(lost.is_empty(), "accepted, and neither in the inbox nor parked: {lost:?}");
        assert_eq!(inbox.len(), accepted.len(), "what nobody sent is in the inbox");

        let commands = Commands::of(&self.consumer.finish().await);
        let picture = Picture::of(&self.database).await;
        commands.agree_with(&picture);
        commands.include(&committed(&self.database).await);
        commands.tell_of(&cases(&self.database).await);
        let unexplained: Vec<_> =
            commands.copies.iter().filter(|id| !taken_over.contains(*id)).take(5).collect();
        assert!(unexplained.is_empty(), "twice, though nobody took them over: {unexplained:?}");
        let back = self
            .back
            .iter()
            .max()
            .map_or("–".to_owned(), |longest| format!("{:.1} s", longest.as_secs_f64()));
        eprintln!("answers: {sent:?}");
        eprintln!(
            "ROW | {} | {} | {} | {} of {} | {} | {back} | {} |",
            self.plan.name,
            accepted.len(),
            lost.len(),
            commands.copies.len(),
            taken_over.len(),
            self.in_flight.len(),
            self.remarks.join(", ")
        );
        picture
    }
}
