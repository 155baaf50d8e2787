//! One process with its relink page, the simulator as Stripe, and a browser.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use relink_core::id::{CaseId, Scope};
use relink_core::time::Time;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_engine::link::{LinkSigner, Links};
use relink_sim::{Link, Sim, SimConfig};
use relink_tests::process::{Process, free_address};
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::wait::{DEADLINE, until};
use serde_json::{Value, json};

use crate::driver::{Browser, Look, programs};

const LINK_KEY: &str = "a-key-for-links-of-thirty-two-bytes-or-more";
const API_KEY: &str = "sk_test_of_the_browser";
/// What every client secret of the simulator starts with.
const CLIENT_SECRET: &str = "fcsess_client_secret";
pub(crate) const BRAND: &str = "Northwind Money";

pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) browser: Browser,
    pub(crate) url: String,
    /// The simulator's.
    stripe: String,
    role: Role,
    folder: tempfile::TempDir,
    shots: AtomicUsize,
}

/// Plays with everything running, unless there is no browser here.
pub(crate) async fn play(story: impl AsyncFn(&Scene)) {
    play_in("page", story).await;
}

/// The same, where customers sign in as `mode` says.
pub(crate) async fn play_in(mode: &str, story: impl AsyncFn(&Scene)) {
    if !is_possible() {
        return;
    }
    if std::env::var_os("RELINK_TEST_AXE").is_none() {
        eprintln!("LEFT OUT: axe-core, of which RELINK_TEST_AXE names no file");
    }
    let scene = Scene::set(mode).await;
    story(&scene).await;
    scene.end().await;
}

/// The same with `relink demo` running, and nothing else.
pub(crate) async fn play_demo(story: impl AsyncFn(&Browser, &Process)) {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = vec![("RELINK_DEMO_PORT", free_address().port().to_string())];
    let demo = Process::start(folder.path(), "demo", &["demo"], &settings);
    let browser = Browser::start(folder.path()).await;
    story(&browser, &demo).await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
    browser.end().await;
    demo.stop().await;
}

fn is_possible() -> bool {
    if programs().is_none() {
        eprintln!("LEFT OUT: chromium and chromium-driver are not installed");
    }
    programs().is_some()
}

impl Scene {
    async fn set(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (hooks, page) = (free_address(), free_address());
        let sim = Sim::new(SimConfig {
            api_key: API_KEY.to_owned(),
            webhook_url: Some(format!("http://{hooks}/webhooks/stripe")),
            webhook_secret: WEBHOOK_SECRET.to_owned(),
            ..SimConfig::default()
        });
        let stripe = sim.serve_on_loopback().await.unwrap();
        let url = format!("http://{page}");
        let settings = vec![
            ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
            ("RELINK_STRIPE_API_BASE", stripe.clone()),
            ("RELINK_STRIPE_JS_URL", format!("{stripe}/v3/")),
            ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_test_of_the_browser".to_owned()),
            ("RELINK_SETTLE_SECONDS", "1".to_owned()),
            ("RELINK_DATABASE_URL", format!("sqlite://{}", database(folder.path()).display())),
            ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
            ("RELINK_INGRESS_LISTEN", hooks.to_string()),
            ("RELINK_PORTAL_LISTEN", page.to_string()),
            ("RELINK_PORTAL_URL", url.clone()),
            ("RELINK_PORTAL_BRAND", BRAND.to_owned()),
            ("RELINK_PORTAL_UI_MODE", mode.to_owned()),
            ("RELINK_LINK_KEY", LINK_KEY.to_owned()),
            ("RELINK_LOG", "debug".to_owned()),
        ];
        let role = start(folder.path(), "standalone", &["standalone"], settings).await;
        let browser = Browser::start(folder.path()).await;
        Self { sim, browser, url, stripe, role, folder, shots: AtomicUsize::new(0) }
    }

    /// Accounts at a bank that ends its permission; the link of the prompt.
    pub(crate) async fn outage(&self, holder: &str, accounts: usize) -> String {
        let outage = self.sim.outage(Link::of(holder, "Harbor Federal Bank", accounts)).unwrap();
        self.prompt(&outage.authorization.unwrap()).await
    }

    /// The link of the prompt for an authorization, which has to come.
    pub(crate) async fn prompt(&self, authorization: &str) -> String {
        assert!(self.sim.flush(DEADLINE).await, "every webhook is answered");
        until(async || self.prompted(authorization).ok_or("no prompt".into())).await
    }

    /// A page of the platform's own that links accounts anew: a session, and Stripe's window.
    pub(crate) async fn link_in_the_browser(&self, holder: &str) {
        let form = [("permissions[]", "balances"), ("account_holder[customer]", holder)];
        let sessions = format!("{}/v1/financial_connections/sessions", self.stripe);
        let request = reqwest::Client::new().post(sessions).bearer_auth(API_KEY).form(&form);
        let session: Value = request.send().await.unwrap().json().await.unwrap();
        let secret = session["client_secret"].as_str().unwrap();
        let options = json!({ "clientSecret": secret });
        let script = format!("window.Stripe('pk').collectFinancialConnectionsAccounts({options})");
        self.browser.holds("window.Stripe").await;
        self.browser.script(&script).await;
    }

    /// Of the only link of a holder, once it is made.
    pub(crate) async fn authorization_of(&self, holder: &str) -> String {
        until(async || {
            let state = self.sim.state();
            let all = state["authorizations"].as_array().unwrap();
            let found = all.iter().find(|one| one["account_holder"]["customer"] == holder);
            let id = found.and_then(|one| one["id"].as_str());
            id.map(str::to_owned).ok_or("nothing is linked".into())
        })
        .await
    }

    /// The link in the last prompt for an authorization.
    fn prompted(&self, authorization: &str) -> Option<String> {
        let out = self.role.process.out();
        let commands = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let links = commands.filter(|command| command["subject"] == authorization);
        let links: Vec<String> =
            links.filter_map(|one| one["data"]["relink_url"].as_str().map(str::to_owned)).collect();
        links.last().cloned()
    }

    /// A genuine link that was made so long ago that it is over.
    pub(crate) fn expired_link(&self) -> String {
        let links = Links::new(LinkSigner::new([LINK_KEY]).unwrap(), &self.url);
        let case = CaseId::new("test:fcauth_1:case-1");
        let then = Time(SystemClock.now().0 - 31 * 86_400_000);
        links.url(&case, "fcauth_1", &Scope::own(false), then)
    }

    /// Looks at the page in every way, for the eyes where a folder is given, and for axe.
    pub(crate) async fn look_at(&self, name: &str) {
        for look in Look::ALL {
            self.browser.look(look).await;
            let shot = self.browser.screenshot().await;
            let wide = "return document.documentElement.scrollWidth > window.innerWidth";
            assert_eq!(self.browser.script(wide).await, false, "{name}: {} scrolls", look.name());
            if let Some(folder) = std::env::var_os("RELINK_TEST_SCREENSHOTS") {
                let number = self.shots.fetch_add(1, Ordering::SeqCst);
                let file = format!("{name}-{number}-{}.png", look.name());
                std::fs::write(PathBuf::from(folder).join(file), shot).unwrap();
            }
            crate::accessibility::examine(&self.browser, &format!("{name} {}", look.name())).await;
        }
        self.browser.look(Look { dark: false, phone: false }).await;
    }

    /// Nothing of the page may have complained, and nothing that was secret may be anywhere.
    async fn end(self) {
        let complaints = self.browser.complaints().await;
        assert!(complaints.is_empty(), "the console complains: {complaints:?}");
        let metrics = relink_tests::http::get(self.role.admin, "/metrics").await.unwrap().body;
        let (log, out) = (self.role.process.log(), self.role.process.out());
        self.browser.end().await;
        self.role.process.stop().await;
        let secrets = [CLIENT_SECRET, API_KEY, WEBHOOK_SECRET, LINK_KEY];
        for (place, text) in [("log", &log), ("metrics", &metrics), ("commands", &out)] {
            let found = secrets.iter().find(|secret| text.contains(**secret));
            assert_eq!(found, None, "in {place}");
        }
        for (place, text) in [("log", &log), ("metrics", &metrics)] {
            assert!(!text.contains("/relink/1."), "a link is in {place}");
        }
        for file in files(self.folder.path()) {
            let Ok(bytes) = std::fs::read(&file) else { continue };
            let holds =
                |secret: &str| bytes.windows(secret.len()).any(|at| at == secret.as_bytes());
            let found = secrets.iter().find(|secret| holds(secret));
            assert_eq!(found, None, "in {}", file.display());
            let is_database = file.starts_with(self.folder.path().join("database"));
            assert!(!(is_database && holds("/relink/1.")), "a link is in {}", file.display());
        }
    }
}

fn database(folder: &Path) -> PathBuf {
    let own = folder.join("database");
    std::fs::create_dir_all(&own).unwrap();
    own.join("relink.db")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}
