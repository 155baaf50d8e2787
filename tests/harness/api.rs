//! Stripe's stand-in as a server, and the run that others are held against.

use std::net::SocketAddr;

use relink_sim::Sim;
use tokio::net::TcpListener;

use crate::feed::{API_KEY, Feed};
use crate::foreign::Foreign;
use crate::ledger::{Picture, nothing_is_left, settled};
use crate::process::Settings;
use crate::stage::Stage;

/// Stripe's stand-in, serving.
pub struct Api {
    address: SocketAddr,
}

impl Api {
    /// Serves on a port of its own.
    ///
    /// # Panics
    /// When there is none.
    pub async fn serve(sim: &Sim) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let sim = sim.clone();
        tokio::spawn(async move { sim.serve(listener, std::future::pending()).await });
        Self { address }
    }

    /// For workers and schedulers: a short settle time, as many reads as they like, and nothing
    /// that a test has not asked for: the stand-in lists what the test sends.
    pub fn settings(&self) -> Settings {
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
pub async fn reference(stage: &Stage, feed: &Feed, api: &Api) -> Picture {
    let place = stage.place("in-order").await;
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
