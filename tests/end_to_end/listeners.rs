//! Every port of Relink's is behind the same bounded server: what slow and large senders are
//! refused is tested at that server, here that no listener goes without it.

use std::net::SocketAddr;

use relink_tests::feed::API_KEY;
use relink_tests::http::Connection;
use relink_tests::portal::{API_TOKEN, page_settings};
use relink_tests::process::{Process, Settings, free_address, run};
use relink_tests::role::{WEBHOOK_SECRET, start};
use relink_tests::stage::Stage;
use relink_tests::wait::until;

/// More header lines than our server takes (64), and fewer than the library under it would (100).
const LINES: usize = 80;

pub(crate) async fn every_listener_is_bounded(stage: &Stage) {
    let (page, sim) = (free_address(), free_address());
    let mut settings = page_settings(page);
    settings.extend([
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("relink.db").display())),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
        ("RELINK_CATCH_UP_SILENCE_SECONDS", "0".to_owned()),
        ("RELINK_RECONCILE_DAYS", "0".to_owned()),
    ]);
    let role = start(stage.folder(), "standalone", &["standalone"], settings).await;
    let settings = vec![("RELINK_SIM_LISTEN", sim.to_string())];
    let simulator = Process::start(stage.folder(), "sim", &["sim"], &settings);

    for (name, address, path) in [
        ("ingress", role.listen, "/webhooks/stripe"),
        ("page", page, "/relink/x"),
        ("api", page, "/v1/authorizations"),
        ("administration", role.admin, "/metrics"),
        ("simulator", sim, "/v1/financial_connections/accounts/fca_1"),
    ] {
        let few = status(address, &format!("GET {path}"), 10, 0).await;
        assert_ne!(few, 431, "{name} refuses a usual head");
        assert_eq!(status(address, &format!("GET {path}"), LINES, 0).await, 431, "{name}");
    }
    for (name, address, request, bytes) in [
        ("ingress", role.listen, "POST /webhooks/stripe", 1024 * 1024 + 1),
        ("page", page, "POST /v1/parked/drop", 64 * 1024 + 1),
    ] {
        assert_eq!(status(address, request, 0, bytes).await, 413, "{name}");
    }
    for (listen, arguments, code) in [
        (role.admin.to_string(), &["healthcheck"][..], 0),
        (format!("0.0.0.0:{}", role.admin.port()), &["healthcheck", "--live"], 0),
        (sim.to_string(), &["healthcheck"], 1),
        (free_address().to_string(), &["healthcheck", "--live"], 1),
        ("off".to_owned(), &["healthcheck"], 64),
        ("nowhere".to_owned(), &["healthcheck"], 64),
    ] {
        let output = run(arguments, &vec![("RELINK_ADMIN_LISTEN", listen.clone())]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{listen}: {said}");
        assert_eq!(said.is_empty(), code == 0, "{listen}: {said}");
    }
    role.process.stop().await;
    simulator.stop().await;
}

/// What a package brings along is made of the command line itself.
pub(crate) async fn shells_and_manuals_know_every_command(stage: &Stage) {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], &Settings::new()).await;
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["healthcheck", "catch-up", "settle-seconds"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    let folder = stage.folder().display().to_string();
    let output = run(&["manual", &folder], &Settings::new()).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(stage.folder().join("relink-worker.1")).unwrap();
    assert!(page.contains("RELINK_SETTLE_SECONDS"), "{page}");
    let output = run(&["manual", "/nowhere"], &Settings::new()).await;
    assert_eq!(output.status.code(), Some(69), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The answer to a request with so many header lines more than usual and such a body.
async fn status(address: SocketAddr, request: &str, lines: usize, bytes: usize) -> u16 {
    let mut connection =
        until(async || Connection::open(address).await.map_err(|error| error.to_string())).await;
    let token = format!("Bearer {API_TOKEN}");
    let mut headers = vec![("authorization", &*token), ("content-type", "application/json")];
    headers.resize(headers.len() + lines, ("x-line", "x"));
    let answer = connection.request(request, &headers, &vec![b' '; bytes]).await;
    answer.unwrap_or_else(|error| panic!("{request}: {error}")).status
}
