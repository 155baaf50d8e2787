//! A whole system: each role as a process, and the single process beside them.

use std::net::SocketAddr;

use relink_tests::api::Api;
use relink_tests::authority::Authority;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::Foreign;
use relink_tests::http::{Connection, get};
use relink_tests::ledger::settled;
use relink_tests::place::Place;
use relink_tests::portal::{API_TOKEN, page_settings};
use relink_tests::process::free_address;
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::send::send_all;
use relink_tests::stage::Stage;

const SEED: u64 = 606;

/// Roles of one place that share a database, and one that has its own.
pub(crate) struct System {
    /// By the name of the role.
    pub(crate) roles: Vec<(&'static str, Role)>,
    feed: Feed,
    place: Place,
    page: SocketAddr,
}

impl System {
    /// Starts every role.
    pub(crate) async fn start(stage: &Stage) -> Self {
        let feed = Feed::new(seed(SEED), 40, 400);
        let api = Api::serve(&feed.sim).await;
        let place = stage.place("shown").await;
        place.migrate().await;
        let page = free_address();
        let mut roles = Vec::new();
        let listen = [("RELINK_INGRESS_LISTEN", free_address().to_string())];
        roles.push(("ingress", place.start("ingress", &["ingress"], &listen).await));
        for name in ["worker", "scheduler"] {
            roles.push((name, place.start(name, &[name], &api.settings()).await));
        }
        let mut settings = api.settings();
        settings.extend(page_settings(page));
        roles.push(("portal", place.start("portal", &["portal"], &settings).await));
        roles.push(("standalone", standalone(stage, &api).await));
        Self { roles, feed, place, page }
    }

    /// A month of events, shuffled and repeated, and forgeries, until all is done; a customer's
    /// page and a call of the API.
    pub(crate) async fn live(&self) {
        let ingress = self.role("ingress").listen;
        send_all(ingress, self.feed.shuffled(SEED), 8).await;
        let mut forger = Connection::open(ingress).await.unwrap();
        let forged = forger.request("POST /webhooks/stripe", &[], b"{}").await.unwrap();
        assert_eq!(forged.status, 400, "{}", forged.body);
        let page = get(self.page, "/relink/no-such-link").await.unwrap();
        assert_eq!(page.status, 404, "{}", page.body);
        let mut platform = Connection::open(self.page).await.unwrap();
        let bearer = format!("Bearer {API_TOKEN}");
        let headers = [("authorization", &*bearer)];
        let listed = platform.request("GET /v1/parked", &headers, b"").await.unwrap();
        assert_eq!(listed.status, 200, "{}", listed.body);
        let (database, mut foreign) = (self.place.database().await, Foreign::connect(&self.place));
        settled(&database, &mut foreign, self.feed.events.len(), true).await;
    }

    pub(crate) fn role(&self, name: &str) -> &Role {
        let found = self.roles.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// What a role shows.
    pub(crate) async fn metrics(role: &Role) -> String {
        let answer = get(role.admin, "/metrics").await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    pub(crate) async fn stop(self) {
        for (_, role) in self.roles {
            role.process.stop().await;
        }
    }
}

/// The single process with everything that it can have: a page, and a certificate.
async fn standalone(stage: &Stage, api: &Api) -> Role {
    let path = |name: &str| stage.folder().join(name);
    let pair = Authority::new("Test authority").server(&["localhost"]);
    pair.write(&path("server.pem"), &path("server-key.pem"));
    let page = free_address();
    let mut settings = api.settings();
    settings.extend(page_settings(page));
    settings.retain(|(name, _)| *name != "RELINK_PORTAL_URL");
    settings.extend([
        ("RELINK_PORTAL_URL", format!("https://localhost:{}", page.port())),
        ("RELINK_DATABASE_URL", format!("sqlite://{}", path("relink.db").display())),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_TLS_CERTIFICATE_FILE", path("server.pem").display().to_string()),
        ("RELINK_TLS_KEY_FILE", path("server-key.pem").display().to_string()),
    ]);
    start(stage.folder(), "standalone", &["standalone"], settings).await
}
