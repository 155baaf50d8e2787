//! The client against the simulator: what Stripe does over several calls.

use std::future::pending;
use std::sync::Arc;

use relink_core::id::{AuthorizationId, Scope, SessionId};
use relink_core::observation::{Holder, RelinkOutcome, Status};
use relink_sim::{GA_VERSION, Link, Outcome, PREVIEW_VERSION, Relink, Sim, SimConfig};
use relink_stripe::client::{
    Budget, CallError, Client, ClientConfig, EventFilter, NewSession, SessionMade,
};
use relink_stripe::envelope::Envelope;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;

struct Scene {
    sim: Sim,
    client: Client,
    authorization: AuthorizationId,
    accounts: Vec<String>,
}

async fn scene(version: &str) -> Scene {
    let sim = Sim::new(SimConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let server = sim.clone();
    tokio::spawn(async move { server.serve(listener, pending()).await });
    let linked = sim.link(Link::of("cus_1", "Harbor Federal Bank", 2)).expect("a link");
    let config = ClientConfig::new(base, SecretString::from("sk_test_sim"), version);
    let client = Client::new(config).expect("a client");
    let authorization = linked.authorization.expect("an authorization").as_str().into();
    Scene { sim, client, authorization, accounts: linked.accounts }
}

fn test() -> Scope {
    Scope::own(false)
}

/// A budget that nobody waits for.
fn plenty() -> Budget {
    Budget::new(100_000.0)
}

impl Scene {
    async fn create(
        &self,
        holder: &str,
        hosted: bool,
        idempotency_key: &str,
    ) -> Result<SessionMade, CallError> {
        let holder = Holder { kind: "customer".into(), id: holder.into() };
        let new = NewSession {
            authorization: &self.authorization,
            account: None,
            holder: &holder,
            permissions: &[Arc::from("balances")],
            subcategories: &[],
            return_url: None,
            hosted,
            idempotency_key,
        };
        self.client.create_session(&test(), &new).await
    }

    async fn outcome(&self, id: &SessionId) -> Option<RelinkOutcome> {
        let read = self.client.session(&test(), id, &plenty()).await.expect("a read");
        assert!(!read.body.get().contains("secret"));
        read.observe().expect("a session").and_then(|session| session.outcome)
    }
}

#[tokio::test]
async fn a_session_is_made_once_and_read_until_it_has_ended() {
    let scene = scene(PREVIEW_VERSION).await;
    scene.sim.expire(&scene.authorization.to_string()).expect("an end");
    let made = scene.create("cus_1", false, "one").await.expect("a session");
    let again = scene.create("cus_1", false, "one").await.expect("the same");
    assert_eq!(made.id, again.id);
    let secret = |made: &SessionMade| made.client_secret.as_ref().map(|s| s.expose_secret().len());
    assert!(secret(&made).is_some() && made.url.is_none());
    assert_eq!(scene.outcome(&made.id).await, None);
    let relink = Relink { session: Some(made.id.to_string()), ..Relink::default() };
    scene.sim.relink(relink).expect("a relink");
    assert_eq!(scene.outcome(&made.id).await, Some(RelinkOutcome::Repaired));
    let listing =
        scene.client.accounts_of_session(&test(), &made.id, &plenty()).await.expect("a listing");
    assert_eq!((listing.accounts.len(), listing.complete), (2, true));
    let hosted = scene.create("cus_1", true, "two").await.expect("a session");
    assert!(hosted.client_secret.is_none() && hosted.url.is_some());
    let (session, outcome) = (Some(hosted.id.to_string()), Outcome::NoAccount);
    scene.sim.relink(Relink { session, outcome, ..Relink::default() }).expect("a relink");
    let failed = RelinkOutcome::Failed("no_account".into());
    assert_eq!(scene.outcome(&hosted.id).await, Some(failed));
}

#[tokio::test]
async fn a_general_version_and_another_holder_make_no_session() {
    let general = scene(GA_VERSION).await;
    let error = general.create("cus_1", false, "one").await.expect_err("no preview");
    assert!(matches!(error, CallError::PreviewMissing(_)), "{error}");
    let trace = error.trace().expect("a trace");
    assert!(trace.request_id.is_some());
    let scene = scene(PREVIEW_VERSION).await;
    let error = scene.create("cus_2", false, "one").await.expect_err("another holder");
    assert!(matches!(error, CallError::Refused { status: 400, .. }), "{error}");
    scene.create("cus_1", false, "two").await.expect("a session");
    let error = scene.create("cus_1", true, "two").await.expect_err("a key of another request");
    let code = error.trace().and_then(|trace| trace.code.as_deref());
    assert_eq!(code, Some("idempotency_error"));
}

#[tokio::test]
async fn accounts_are_refreshed_until_inactive_and_events_list_it_all() {
    let scene = scene(PREVIEW_VERSION).await;
    let (client, account) = (&scene.client, scene.accounts[0].as_str().into());
    let features = [Arc::from("balance")];
    let read = client.refresh(&test(), &account, &features, "r1").await.expect("a refresh");
    assert!(read.refresh("balance").is_some_and(|refresh| refresh.pending));
    let daily = [Arc::from("transactions")];
    let read = client.subscribe(&test(), &account, &daily, "s1").await.expect("a subscription");
    assert!(read.refresh("transactions").is_some_and(|refresh| refresh.pending));
    scene.sim.expire(&scene.authorization.to_string()).expect("an end");
    let error = client.subscribe(&test(), &account, &daily, "s2").await.expect_err("inactive");
    assert!(matches!(error, CallError::AccountInactive(_)), "{error}");
    let error = client.refresh(&test(), &account, &features, "r2").await.expect_err("inactive");
    assert!(matches!(error, CallError::AccountInactive(_)), "{error}");
    let read = client.disconnect(&test(), &account, "d1").await.expect("an end");
    assert_eq!(read.observe().expect("an account").status, Some(Status::Disconnected));
    let all = client.events(&test(), &EventFilter::default(), None).await.expect("a page");
    assert_eq!((all.events.len(), all.next), (scene.sim.events().len(), None));
    let newest = Envelope::read(all.events[0].get().as_bytes()).expect("an event");
    assert_eq!(newest.kind, "financial_connections.account.disconnected");
    let types = ["financial_connections.account.created"];
    let filter = EventFilter { types: &types, ..EventFilter::default() };
    let created = client.events(&test(), &filter, None).await.expect("a page");
    assert_eq!(created.events.len(), 2);
}
