//! What several end-to-end tests put together in the same way.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use relink_sim::Sim;
use relink_tests::feed::{API_KEY, Feed};
use relink_tests::foreign::Foreign;
use relink_tests::ledger::{Picture, nothing_is_left, settled};
use relink_tests::place::Place;
use relink_tests::process::{Settings, run};
use relink_tests::stage::Stage;
use serde_json::Value;
use tokio::net::TcpListener;

/// Stripe's stand-in, serving.
pub(crate) struct Api {
    address: SocketAddr,
}

impl Api {
    pub(crate) async fn serve(sim: &Sim) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let sim = sim.clone();
        tokio::spawn(async move { sim.serve(listener, std::future::pending()).await });
        Self { address }
    }

    /// For workers and schedulers: a short settle time, as many reads as they like, and nothing
    /// that a test has not asked for: the stand-in lists what the test sends.
    pub(crate) fn settings(&self) -> Settings {
        vec![
            ("RELINK_STRIPE_API_KEY", API_KEY.to_owned()),
            ("RELINK_STRIPE_API_BASE", format!("http://{}", self.address)),
            ("RELINK_STRIPE_READS_PER_SECOND", "2000".to_owned()),
            ("RELINK_SETTLE_SECONDS", "1".to_owned()),
            ("RELINK_CATCH_UP_SILENCE_SECONDS", "0".to_owned()),
            // Their observations come at any time; whether all is settled could not be told.
            ("RELINK_REFRESH_DATA", "false".to_owned()),
            ("RELINK_RECONCILE_ACCOUNTS", "false".to_owned()),
            ("RELINK_RECONCILE_DAYS", "0".to_owned()),
            ("RELINK_BACKGROUND_READS_PER_SECOND", "2000".to_owned()),
            ("RELINK_LOG", "info".to_owned()),
        ]
    }
}

/// The same events in order, from a foreign publisher, for one worker in a place of its own.
pub(crate) async fn reference(stage: &Stage, feed: &Feed, api: &Api) -> Picture {
    let place: Place = stage.place("in-order").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    let worker = place.start("worker", &["worker"], &api.settings()).await;
    let scheduler = place.start("scheduler", &["scheduler"], &api.settings()).await;
    foreign.publish_in_order(&place, &feed.events).await;
    settled(&database, &mut foreign, feed.events.len(), true).await;
    for role in [worker, scheduler] {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
    Picture::of(&database).await
}

/// Holds commands against what `relink schema` prints.
pub(crate) async fn check_schemas<'a>(commands: impl Iterator<Item = &'a Value>) {
    let output = run(&["schema"], &Settings::new()).await;
    assert!(output.status.success());
    let schemas: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    let validators: BTreeMap<String, jsonschema::Validator> = schemas
        .iter()
        .map(|(kind, schema)| (kind.clone(), jsonschema::validator_for(schema).unwrap()))
        .collect();
    for command in commands {
        let validator = &validators[command["type"].as_str().unwrap()];
        let errors: Vec<String> =
            validator.iter_errors(command).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{command}: {errors:?}");
    }
}
