//! What Relink's chain is held against: ingress, worker and relay as bare programs, and ingress
//! and worker as people write them by hand.

use std::time::{Duration, Instant};

use lapin::Channel;
use relink_bus::topology::FOLLOWUP_KEYS;
use relink_tests::place::Place;
use relink_tests::process::free_address;

use super::super::ingress::{TOPIC, topic};
use super::super::{bare_settings, bare_tables, listening};
use super::PATIENCE;
use super::lap::Lap;
use super::platform::Platform;
use crate::limit::{Bare, COMMANDS, EVENTS, bind, channel, consumed, exchange, queue};
use crate::peer::peer;
use crate::report::Sample;
use crate::traffic::Slice;

/// Where the bare relay publishes that does as the contract says.
const COMMANDS_TOPIC: &str = "bench.commands.topic";

/// The body of a command, in bytes: about what Relink's have.
const COMMAND_BYTES: usize = 650;

/// How long the bare relay waits when its outbox is empty, in milliseconds: longer, and the last
/// command would come late; shorter, and the database would hear of it.
const POLL_MS: u64 = 5;

/// How often it is asked whether the outbox is empty.
const ASK: Duration = Duration::from_millis(5);

/// Three bare programs at the same time: one command for each event.
pub(super) struct Chain {
    /// What the report calls it.
    pub(super) name: &'static str,
    place: Place,
    is_by_contract: bool,
    platform: Platform,
    sent: usize,
}

impl Chain {
    /// With nothing but bodies, straight to the queues.
    pub(super) async fn bare(place: Place, links: &Slice) -> Self {
        Self::set_up(place, links, "bare", false).await
    }

    /// With properties and headers, through topic exchanges.
    pub(super) async fn by_contract(place: Place, links: &Slice) -> Self {
        Self::set_up(place, links, "bare, by contract", true).await
    }

    async fn set_up(place: Place, links: &Slice, name: &'static str, is_by_contract: bool) -> Self {
        bare_tables(&place.database().await, links).await;
        let (connection, broker) = channel(&place.amqp_url).await;
        queue(&broker, COMMANDS).await;
        if is_by_contract {
            commands_topic(&broker).await;
        }
        connection.close(200, "".into()).await.unwrap();
        let platform = Platform::listen(&place.amqp_url, COMMANDS).await;
        Self { name, place, is_by_contract, platform, sent: 0 }
    }

    /// Sends the slice through it; every event has to be in its ledger afterwards, and its command
    /// with the platform, once.
    pub(super) async fn turn(&mut self, slice: &Slice) -> Sample {
        let (connection, broker) = channel(&self.place.amqp_url).await;
        // Anew in each turn: the worker's last acknowledgement may be lost when it is ended.
        queue(&broker, EVENTS).await;
        if self.is_by_contract {
            topic(&broker).await;
        }
        let count = slice.events.len();
        let listen = free_address();
        let mut settings = bare_settings(&self.place, listen, count);
        settings.push(("BENCH_COMMAND_BYTES", COMMAND_BYTES.to_string()));
        settings.push(("BENCH_POLL_MS", POLL_MS.to_string()));
        if self.is_by_contract {
            settings.push(("BENCH_EXCHANGE", TOPIC.to_owned()));
            settings.push(("BENCH_COMMANDS_EXCHANGE", COMMANDS_TOPIC.to_owned()));
        }
        let mut programs = ["ingress", "worker", "relay"].map(|what| Bare::start(what, &settings));
        assert_eq!(programs[0].line().await, "ready");
        listening(listen).await;
        consumed(&broker, EVENTS).await;
        self.platform.forget().await;
        let lap = Lap::drive(listen, slice, programs.iter().map(Bare::id).collect()).await;
        let came = self.platform.rests(count).await;
        assert_eq!(came.len(), count, "commands at the platform");
        let sample = lap.came(&came);
        self.sent += count;
        self.check().await;
        for program in programs {
            program.stop().await;
        }
        connection.close(200, "".into()).await.unwrap();
        sample
    }

    /// The ledger has every event. The outbox is waited for: a relay that is ended between the
    /// last confirm and its commit would send the same commands in the next turn.
    async fn check(&self) {
        let (database, began) = (self.place.database().await, Instant::now());
        loop {
            let sql = "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox)";
            let row = database.query_one(sql, &[]).await.unwrap();
            let [events, left]: [i64; 2] = std::array::from_fn(|place| row.get(place));
            assert_eq!(events, i64::try_from(self.sent).unwrap(), "events in the ledger");
            if left == 0 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{left} commands are left in the outbox");
            tokio::time::sleep(ASK).await;
        }
    }
}

/// An exchange as that of the contract: the keys of commands that Relink carries out, and one
/// binding of a platform's to all of them.
async fn commands_topic(broker: &Channel) {
    exchange(broker, COMMANDS_TOPIC).await;
    for key in FOLLOWUP_KEYS.into_iter().chain(["#"]) {
        bind(broker, COMMANDS, COMMANDS_TOPIC, key).await;
    }
}

/// One turn of the hand-written peers, until their worker has written everything: it sends no
/// commands.
pub(super) async fn node(place: &Place, slice: &Slice) -> Sample {
    let (connection, broker) = channel(&place.amqp_url).await;
    queue(&broker, EVENTS).await;
    let listen = free_address();
    let settings = bare_settings(place, listen, slice.events.len());
    let mut ingress = peer("ingress.mjs", &settings);
    assert_eq!(ingress.line().await, "ready");
    listening(listen).await;
    let mut worker = peer("worker.mjs", &settings);
    consumed(&broker, EVENTS).await;
    let lap = Lap::drive(listen, slice, vec![ingress.id(), worker.id()]).await;
    worker.line().await;
    let sample = lap.ended(Instant::now());
    ingress.stop().await;
    worker.stop().await;
    connection.close(200, "".into()).await.unwrap();
    sample
}
