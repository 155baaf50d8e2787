//! One connection in one transaction, or given up.

use deadpool_postgres::{Object, Pool};
use futures_util::future::{try_join, try_join_all, try_join3};
use relink_engine::store::StoreError;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row, Statement};

use crate::error::{classify, classify_pool};
use crate::sql::{self, Sql};

/// The values of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection that goes back to the pool only after its transaction has ended. Dropped before
/// that – by an error, a timeout, a panic – the connection is closed, and the server rolls back.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Option<Object>,
    prepare: bool,
}

impl Session {
    /// Takes a connection and prepares the statements that will be sent without waiting.
    pub(crate) async fn open(
        pool: &Pool,
        prepare: bool,
        statements: &[&'static Sql],
    ) -> Result<Self, StoreError> {
        let connection = pool.get().await.map_err(classify_pool)?;
        if prepare {
            let all =
                statements.iter().map(|sql| connection.prepare_typed_cached(sql.text, sql.types));
            try_join_all(all).await.map_err(|error| classify(&error))?;
        }
        Ok(Self { connection: Some(connection), prepare })
    }

    fn client(&self) -> &Object {
        self.connection.as_ref().expect("taken only by `end` and `drop`, which consume the session")
    }

    /// Runs a statement; the first poll sends it.
    pub(crate) async fn query(&self, sql: &Sql, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let client = self.client();
        if self.prepare {
            let statement: Statement = client.prepare_typed_cached(sql.text, sql.types).await?;
            return client.query(&statement, params).await;
        }
        let typed: Vec<(&(dyn ToSql + Sync), Type)> =
            params.iter().copied().zip(sql.types.iter().cloned()).collect();
        client.query_typed(sql.text, &typed).await
    }

    /// Like [`Session::query`], but sends nothing where there is nothing to ask for.
    pub(crate) async fn query_if(
        &self,
        wanted: bool,
        sql: &Sql,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        if wanted { self.query(sql, params).await } else { Ok(Vec::new()) }
    }

    /// Runs statements without parameters or rows.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Error> {
        self.client().batch_execute(text).await
    }

    /// Gives the connection back: its transaction has ended.
    pub(crate) fn end(mut self) {
        drop(self.connection.take());
    }

    /// Rolls back; a connection that cannot even do that is closed.
    pub(crate) async fn roll_back(self) {
        if self.batch("ROLLBACK").await.is_ok() {
            self.end();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

/// Runs one statement in a transaction of its own, in one flight.
pub(crate) async fn run_one(
    pool: &Pool,
    prepare: bool,
    sql: &'static Sql,
    params: Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    run_after(sql::BEGIN_ONE, pool, prepare, sql, params).await
}

/// The same with another beginning, which says how the transaction is to end.
pub(crate) async fn run_after(
    begin: &str,
    pool: &Pool,
    prepare: bool,
    sql: &'static Sql,
    params: Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let session = Session::open(pool, prepare, &[sql]).await?;
    let flight =
        try_join3(session.batch(begin), session.query(sql, params), session.batch("COMMIT"));
    match flight.await {
        Ok((_, rows, _)) => {
            session.end();
            Ok(rows)
        }
        Err(error) => {
            session.roll_back().await;
            Err(classify(&error))
        }
    }
}

/// Sends writes and the commit in one flight; returns what each write answered.
///
/// A COMMIT after a statement that failed rolls back, and the flight ends with that statement's
/// error.
pub(crate) async fn commit<F>(session: &Session, writes: Vec<F>) -> Result<Vec<Vec<Row>>, Error>
where
    F: Future<Output = Result<Vec<Row>, Error>>,
{
    try_join(try_join_all(writes), session.batch("COMMIT")).await.map(|(answers, ())| answers)
}
