//! Where the parked messages are: at a broker, or in the database of `relink standalone`.

use std::sync::Arc;

use relink_bus::parked::{ParkedError, ParkedMessages};
use relink_bus::topology::WorkQueue;
use relink_engine::clock::SystemClock;
use relink_engine::parked::{Desk, Reach, StoreLot};
use relink_engine::store::Store;
use relink_postgres::PostgresStore;
use relink_rabbitmq::{RabbitConfig, RabbitParked};
use relink_sqlite::SqliteStore;

use super::watched::Watched;
use super::{CONNECTING_BROKER, CONNECTING_DATABASE};
use crate::cli::{AmqpArgs, DatabaseArgs};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::settings::{Database, Databases, Problems};
use crate::wiring;

/// An operator waits for the end, however many there are.
pub(super) const ALL: Reach = Reach { at_most: usize::MAX, looked_at: usize::MAX };

/// What a command wants of the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wants {
    /// Nothing, where the messages are at a broker.
    LittleOrNothing,
    /// To read it in any case.
    Ledger,
    /// To write one line for each message.
    Record,
}

/// The place, checked and not opened yet.
#[derive(Debug)]
pub(super) struct Place {
    /// `None`: the database keeps parked messages, too.
    amqp: Option<RabbitConfig>,
    database: Option<Database>,
}

/// A place that is open.
pub(super) struct Opened {
    pub(super) desk: Desk,
    /// The database, where it was wanted.
    pub(super) store: Option<Arc<dyn Store>>,
    /// Whether the messages are in the database.
    pub(super) is_embedded: bool,
}

/// A broker where RELINK_AMQP_URL names one; a SQLite file has none beside it.
pub(super) fn place(
    problems: &mut Problems,
    amqp: AmqpArgs,
    database: DatabaseArgs,
    wants: Wants,
) -> Option<Place> {
    let is_set = |one: &Option<String>| one.as_ref().is_some_and(|text| !text.is_empty());
    let has_broker = is_set(&amqp.amqp_url) || is_set(&amqp.amqp_url_file);
    let has_database = is_set(&database.database_url) || is_set(&database.database_url_file);
    if !has_broker && !has_database {
        problems.add(
            "RELINK_AMQP_URL is not set, nor RELINK_DATABASE_URL of `relink standalone`: one of \
             them says where parked messages are",
        );
        return None;
    }
    let wants_database = !has_broker || has_database || wants != Wants::LittleOrNothing;
    let database = match wants_database {
        true => Some(problems.database(database, Databases::Both)?),
        false => None,
    };
    if let Some(Database::Sqlite(_)) = database {
        return Some(Place { amqp: None, database });
    }
    let amqp = if has_broker { Some(problems.amqp(amqp)?) } else { None };
    Some(Place { amqp, database })
}

impl Place {
    /// Opens it while somebody looks on; `is_written`: something is to be changed.
    pub(super) async fn open(
        self,
        wants: Wants,
        is_written: bool,
        progress: &Progress,
    ) -> Result<Opened, Failure> {
        let is_embedded = self.amqp.is_none();
        let wants_database =
            is_embedded || wants == Wants::Ledger || (wants == Wants::Record && is_written);
        let store: Option<Arc<dyn Store>> = match self.database.filter(|_| wants_database) {
            None => None,
            Some(Database::Postgres(config)) => {
                progress.now(CONNECTING_DATABASE);
                let connect = async { PostgresStore::connect(*config).await.map_err(super::away) };
                Some(Arc::new(progress.during(connect).await?))
            }
            Some(Database::Sqlite(path)) => {
                let path = path.as_ref();
                let opened = match is_written {
                    true => SqliteStore::open_beside(path),
                    false => SqliteStore::open_read_only(path),
                };
                Some(Arc::new(opened.map_err(Failure::unavailable)?))
            }
        };
        let lot: Arc<dyn ParkedMessages> = match (self.amqp, &store) {
            (Some(amqp), _) => Arc::new(RabbitParked::new(amqp)),
            (None, Some(store)) => {
                Arc::new(StoreLot { store: Arc::clone(store), clock: Arc::new(SystemClock) })
            }
            (None, None) => return Err(Failure::software("there is no place to look at")),
        };
        let desk = Desk {
            lot,
            store: store.clone(),
            decode: wiring::decode,
            clock: Arc::new(SystemClock),
        };
        Ok(Opened { desk, store, is_embedded })
    }
}

impl Opened {
    /// From now on whoever looks on sees how many of the parked messages of these queues have been
    /// looked at.
    pub(super) async fn watched(
        &mut self,
        progress: &Arc<Progress>,
        queues: impl IntoIterator<Item = WorkQueue>,
    ) -> Result<(), Failure> {
        if !self.is_embedded {
            progress.now(CONNECTING_BROKER);
        }
        if !progress.is_for_somebody() {
            return Ok(());
        }
        let queues: Vec<WorkQueue> = queues.into_iter().collect();
        let depths = async { self.desk.lot.depths().await.map_err(|error| unavailable(&error)) };
        let depths = progress.during(depths).await?;
        let ours = depths.iter().filter(|depth| queues.contains(&depth.queue));
        progress.anew("parked messages", Some(ours.map(|depth| depth.parked).sum()));
        let lot = Arc::clone(&self.desk.lot);
        self.desk.lot = Arc::new(Watched { lot, progress: Arc::clone(progress) });
        Ok(())
    }
}

/// What ends a command that cannot reach parked messages.
pub(super) fn unavailable(error: &ParkedError) -> Failure {
    Failure::unavailable(error)
}
