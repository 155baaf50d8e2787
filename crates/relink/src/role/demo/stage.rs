//! The machinery behind the story, and how the story moves time and waits for it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use relink_core::aggregate::Aggregate;
use relink_core::policy::Policy;
use relink_core::time::Time;
use relink_engine::clock::Clock;
use relink_engine::engine::Availability;
use relink_engine::link::{LinkSigner, Links};
use relink_engine::store::Store;
use relink_ingress::IngressConfig;
use relink_portal::{Brand, Colour, PortalConfig, Texts, UiMode};
use relink_sim::{ClockChange, PREVIEW_VERSION, Sim, SimConfig, signature_header};
use relink_stripe::client::ClientConfig;
use relink_stripe::signature::Verifier;
use relink_worker_followup::Duties;
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::commands::{ToStory, Told};
use super::ports::Ports;
use crate::failure::Failure;
use crate::otlp::Tracing;
use crate::role::portal::Setup;
use crate::role::sim::simulate;
use crate::role::standalone::Embedded;
use crate::settings::{Choices, Database, Followup, Retention, Stripe};
use crate::wiring;

/// What webhooks are signed with; both ends are in this process.
const SECRET: &str = "whsec_demo";
const API_KEY: &str = "sk_test_demo";

/// How long anything may take before the story counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(25);
/// The in-process bus retries a hundred times as fast as the ladder says.
const PACE: f64 = 0.01;
/// Commands on their way to the story: far more than a scene makes.
const COMMANDS_MAX: usize = 1024;

/// The simulator's clock as ours: both start equal and jump together.
struct StoryClock(Sim);

impl Clock for StoryClock {
    fn now(&self) -> Time {
        Time(self.0.now_unix_s().saturating_mul(1000))
    }
}

/// Everything that runs.
pub(super) struct Machinery {
    embedded: Embedded,
    sim: Sim,
    listener: TcpListener,
}

impl Machinery {
    pub(super) async fn run(self, stop: &CancellationToken) -> Result<(), Failure> {
        let registry = wiring::registry("demo")?;
        let simulator = async {
            let served = simulate(&self.sim, self.listener, stop.cancelled()).await;
            stop.cancel();
            served
        };
        let (ran, served) = tokio::join!(self.embedded.run(registry, stop.clone()), simulator);
        ran.and(served)
    }
}

/// What the story acts on.
pub(super) struct Stage {
    pub(super) sim: Sim,
    pub(super) store: Arc<dyn Store>,
    pub(super) sim_url: String,
    pub(super) webhook_url: String,
    pub(super) database: PathBuf,
    commands: mpsc::Receiver<Told>,
    reads_open: watch::Sender<bool>,
    heard: HashSet<String>,
    authorizations: Vec<String>,
}

impl Stage {
    pub(super) async fn build(
        folder: &Path,
        seed: u64,
        ports: &mut Ports,
        stop: &CancellationToken,
    ) -> Result<(Self, Machinery), Failure> {
        let (page, page_url) = ports.listen("the relink page").await?;
        let (listener, sim_url) = ports.listen("the simulator").await?;
        let (ingress, ingress_url) = ports.listen("the ingress").await?;
        let webhook_url = format!("{ingress_url}/webhooks/stripe");
        let sim = Sim::new(SimConfig {
            api_key: API_KEY.to_owned(),
            webhook_url: Some(webhook_url.clone()),
            webhook_secret: SECRET.to_owned(),
            time_scale: 0.0,
            seed,
            ..SimConfig::default()
        });
        let database = folder.join("relink.db");
        let path = database.to_string_lossy().into_owned();
        let store = wiring::open_store(Database::Sqlite(path), stop).await?;
        let (to_story, commands) = mpsc::channel(COMMANDS_MAX);
        let (reads_open, gate) = watch::channel(true);
        let verifier = Verifier::new(vec![SecretString::from(SECRET)], 300);
        let client = ClientConfig::new(&sim_url, SecretString::from(API_KEY), PREVIEW_VERSION);
        // Of this run alone: its links die with its database.
        let key = rand::random::<[u8; 32]>();
        let links = Links::new(LinkSigner::new([key]).map_err(Failure::software)?, &page_url);
        let embedded = Embedded {
            store: Arc::clone(&store),
            listener: ingress.into(),
            ingress: IngressConfig::new(verifier, Arc::new(wiring::now_unix_ms)),
            followup: Followup {
                stripe: Stripe {
                    client: Some(client),
                    reads_per_second: 20.0,
                    livemode: Some(false),
                },
                duties: Duties::ALL,
            },
            page: Some(setup(page, &links, &sim_url)?),
            choices: Choices { policy: Policy::default(), links: Some(links) },
            retention: Retention { days: 90, tick: TICK },
            clock: Arc::new(StoryClock(sim.clone())),
            sinks: vec![Arc::new(ToStory { commands: to_story, reads_open: gate })],
            pace: PACE,
            background: None,
            database: Availability::default(),
            tracing: Tracing::off(),
        };
        let machinery = Machinery { embedded, sim: sim.clone(), listener };
        let stage = Self {
            sim,
            store,
            sim_url,
            webhook_url,
            database,
            commands,
            reads_open,
            heard: HashSet::new(),
            authorizations: Vec::new(),
        };
        Ok((stage, machinery))
    }

    /// An authorization that [`Stage::quiet`] has to watch.
    pub(super) fn watch(&mut self, authorization: &str) {
        self.authorizations.push(authorization.to_owned());
    }

    /// Both clocks jump.
    pub(super) fn jump(&self, seconds: i64) -> Result<(), Failure> {
        let change = ClockChange { advance_seconds: Some(seconds), ..ClockChange::default() };
        self.sim.set_clock(&change).map(drop).map_err(Failure::software)
    }

    /// Both clocks run as fast as any other.
    pub(super) fn let_time_run(&self) -> Result<(), Failure> {
        let change = ClockChange { time_scale: Some(1.0), ..ClockChange::default() };
        self.sim.set_clock(&change).map(drop).map_err(Failure::software)
    }

    /// Whether what Relink asks Stripe may leave.
    pub(super) fn open_reads(&self, open: bool) {
        self.reads_open.send_replace(open);
    }

    pub(super) fn reads_are_open(&self) -> bool {
        *self.reads_open.borrow()
    }

    /// Waits until the webhooks were all answered, so that what they taught is committed.
    pub(super) async fn delivered(&self) -> Result<(), Failure> {
        if self.sim.flush(PATIENCE).await {
            return Ok(());
        }
        Err(stuck("every webhook is answered"))
    }

    /// Waits until nothing is under way or due: webhooks, timers, reads, commands.
    pub(super) async fn quiet(&self) -> Result<(), Failure> {
        let started = Instant::now();
        while !self.is_quiet().await? {
            if started.elapsed() > PATIENCE {
                return Err(stuck("nothing is under way any more"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn is_quiet(&self) -> Result<bool, Failure> {
        if self.sim.pending() > 0 {
            return Ok(false);
        }
        let now = Time(self.sim.now_unix_s().saturating_mul(1000));
        for id in &self.authorizations {
            let state = self.aggregate(id).await?.state;
            let asked = !state.verifies.is_empty() || state.authorization_verify.is_some();
            if asked || state.summary.next_due.is_some_and(|due| due <= now) {
                return Ok(false);
            }
        }
        // Last, since commands are committed together with the state above.
        let census = self.store.census().await.map_err(Failure::unavailable)?;
        Ok(census.outbox_depth == 0)
    }

    pub(super) async fn aggregate(&self, id: &str) -> Result<Aggregate, Failure> {
        let found = self.store.find(id).await.map_err(Failure::unavailable)?;
        found.into_iter().next().ok_or_else(|| Failure::no(format!("nothing is known of {id}")))
    }

    /// The commands that have arrived since, each once: a consumer dedupes by id.
    pub(super) fn hear(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Ok(told) = self.commands.try_recv() {
            if self.heard.insert(told.id.clone()) {
                all.push(told);
            }
        }
        all
    }

    /// The next command.
    pub(super) async fn hear_next(&mut self) -> Option<Told> {
        loop {
            let told = self.commands.recv().await?;
            if self.heard.insert(told.id.clone()) {
                return Some(told);
            }
        }
    }

    /// Waits for that many commands.
    pub(super) async fn hear_count(&mut self, count: usize) -> Result<Vec<Told>, Failure> {
        let listen = async {
            let mut all = Vec::new();
            while all.len() < count {
                all.extend(self.hear_next().await);
            }
            all
        };
        let heard = tokio::time::timeout(PATIENCE, listen).await;
        heard.map_err(|_| stuck(&format!("{count} commands have arrived")))
    }

    /// Where everything is, and how to make something happen to an authorization.
    pub(super) fn invitation(&self, id: &str) -> String {
        let (sim, webhooks) = (&self.sim_url, &self.webhook_url);
        format!(
            "  SIM={sim}   # Stripe's API under /v1, controls under /control
  # it sends its webhooks to {webhooks}
  curl -d '{{\"authorization\":\"{id}\"}}' $SIM/control/expire
  curl -d '{{\"advance_seconds\":259200}}' $SIM/control/clock   # three days
  curl -d '{{\"authorization\":\"{id}\"}}' $SIM/control/relink
{}",
            self.explanation(id),
        )
    }

    /// How to ask why an authorization is as it is.
    pub(super) fn explanation(&self, id: &str) -> String {
        let database = self.database.display();
        format!("  relink explain {id} \\\n    --database-url sqlite://{database}\n")
    }

    /// Sends an event as Stripe would, signed anew; the answer's status.
    pub(super) async fn post(&self, event: &Value) -> Result<u16, Failure> {
        let body = event.to_string();
        let at = wiring::now_unix_ms().div_euclid(1000);
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::software)?;
        let request = client
            .post(&self.webhook_url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature_header(&[SECRET], at, body.as_bytes()))
            .body(body);
        let answer = request.send().await.map_err(Failure::unavailable)?;
        Ok(answer.status().as_u16())
    }
}

fn setup(listener: TcpListener, links: &Links, sim_url: &str) -> Result<Setup, Failure> {
    let colour = Colour::parse("#0b57d0").ok_or_else(|| Failure::software("no colour"))?;
    let config = PortalConfig {
        url: links.base().to_owned(),
        brand: Brand { name: "Northwind Money".to_owned(), colour, logo: None },
        texts: Texts::shipped().map_err(Failure::software)?,
        mode: UiMode::Page,
        stripe_js: format!("{sim_url}/v3/"),
        publishable_key: Some("pk_test_demo".to_owned()),
        api_tokens: Vec::new(),
    };
    Ok(Setup { listener: listener.into(), config, links: links.clone() })
}

fn stuck(what: &str) -> Failure {
    Failure::no(format!("the demo is stuck: waited {} s until {what}", PATIENCE.as_secs()))
}
