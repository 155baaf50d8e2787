//! One file per operator command; [`with_stripe`] is what those share that ask Stripe,
//! [`where_parked`] what those share that look at parked messages.

pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod catch_up;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod forecast;
pub(crate) mod healthcheck;
pub(crate) mod migrate;
pub(crate) mod paper;
pub(crate) mod parked;
pub(crate) mod reconcile;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod status;
mod stoppable;
mod watched;
mod where_parked;
mod with_stripe;

use std::sync::Arc;

use relink_engine::store::{Store, StoreError};
use relink_postgres::PostgresStore;
use relink_sqlite::SqliteStore;

use crate::failure::Failure;
use crate::progress::Progress;
use crate::settings::Database;

/// What ends a command whose database cannot be had, with what to look at.
fn away(error: StoreError) -> Failure {
    Failure::unavailable(match error {
        StoreError::Transient(_) => format!(
            "{error}; does the server run, and is RELINK_DATABASE_URL right? `relink doctor` looks"
        ),
        other => other.to_string(),
    })
}

/// What is said while it is waited for a server.
const CONNECTING_DATABASE: &str = "connecting to the database";
const CONNECTING_BROKER: &str = "connecting to the broker";

/// The store, for reading.
async fn store(database: Database, progress: &Progress) -> Result<Arc<dyn Store>, Failure> {
    progress.now(CONNECTING_DATABASE);
    let connect = async {
        Ok(match database {
            Database::Postgres(config) => {
                Arc::new(PostgresStore::connect(*config).await.map_err(away)?) as Arc<dyn Store>
            }
            Database::Sqlite(path) => {
                Arc::new(SqliteStore::open_read_only(path.as_ref()).map_err(Failure::unavailable)?)
            }
        })
    };
    progress.during(connect).await
}
