//! Gather, decide, commit: one batch, one transaction.

use std::sync::Arc;

use deadpool_postgres::Pool;
use relink_core::input::Input;
use relink_core::world::Wanted;
use relink_engine::store::{Decide, StoreError, Writes};

use crate::commit::commit;
use crate::error::{Fault, is_contention};
use crate::gather::gather;
use crate::session::Session;
use crate::sql;

/// How often a transaction is made again at once: contention that lasts longer is overload, and
/// the engine's way of waiting is better than ours.
const ATTEMPTS: u32 = 4;

pub(crate) async fn transact(
    pool: &Pool,
    prepare: bool,
    inputs: Arc<[Input]>,
    decide: Decide,
) -> Result<Writes, StoreError> {
    let mut wanted = Wanted::default();
    for input in inputs.iter() {
        wanted.add(input);
    }
    let mut attempt = 1;
    loop {
        let session = Session::open(pool, prepare, &sql::ALL).await?;
        let fault = match attempt_once(&session, &inputs, &wanted, &decide).await {
            Ok(writes) => {
                session.end();
                return Ok(writes);
            }
            Err(fault) => fault,
        };
        session.roll_back().await;
        match fault {
            Fault::Database(error) if attempt < ATTEMPTS && is_contention(&error) => {
                tracing::debug!(attempt, "the transaction met another one and is repeated");
            }
            Fault::Unlocked(homes) if attempt < ATTEMPTS => wanted.homes.extend(homes),
            other => return Err(other.into()),
        }
        attempt += 1;
    }
}

async fn attempt_once(
    session: &Session,
    inputs: &[Input],
    wanted: &Wanted,
    decide: &Decide,
) -> Result<Writes, Fault> {
    let (gathered, held) = gather(session, inputs, wanted).await?;
    let mut writes = decide(gathered).map_err(StoreError::Undecided)?;
    commit(session, &mut writes, &held).await?;
    Ok(writes)
}
