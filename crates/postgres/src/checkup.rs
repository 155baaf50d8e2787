//! How the database is, for `relink doctor`: looks only, and tells what it could not see.

use deadpool_postgres::Pool;
use relink_core::time::{Span, Time};
use relink_engine::store::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::config::PostgresConfig;
use crate::maintain::{DAYS_AHEAD, TABLES};
use crate::migrate;
use crate::rights::{self, Role};
use crate::session::{Params, run_one};
use crate::sql::Sql;

/// The server's version, whether it only reads, and whose sessions can be seen.
const SERVER: Sql = Sql {
    text: "SELECT current_setting('server_version'), \
                  pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on', \
                  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \
                    OR pg_has_role('pg_read_all_stats', 'USAGE')",
    types: &[],
};

/// Days of `$2` to `$3` for which `$1` has a partition.
pub(crate) const DAYS: Sql = Sql {
    text: "SELECT count(*) FROM generate_series($2::date, $3::date, interval '1 day') AS d \
           WHERE to_regclass(quote_ident($1 || to_char(d, '_YYYYMMDD'))) IS NOT NULL",
    types: &[Type::TEXT, Type::DATE, Type::DATE],
};

/// What keeps dead rows from being removed here: snapshots and transactions of sessions, prepared
/// transactions, and slots. Slots have no time, only a distance in transactions.
const HOLDERS: Sql = Sql {
    text: "\
    SELECT 'session' AS what, \
           coalesce(nullif(application_name, ''), 'unnamed') || ' (process ' || pid || ')' AS name, \
           (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS age_ms, \
           age(coalesce(backend_xmin, backend_xid))::bigint AS distance \
      FROM pg_stat_activity \
      WHERE pid <> pg_backend_pid() AND datname = current_database() \
        AND coalesce(backend_xmin, backend_xid) IS NOT NULL \
        AND backend_type <> 'autovacuum worker' \
    UNION ALL \
    SELECT 'prepared transaction', gid, \
           (extract(epoch FROM clock_timestamp() - prepared) * 1000)::bigint, \
           age(transaction)::bigint \
      FROM pg_prepared_xacts WHERE database = current_database() \
    UNION ALL \
    SELECT 'replication slot', slot_name::text || CASE WHEN active THEN '' ELSE ' (inactive)' END, \
           NULL::bigint, age(xmin)::bigint \
      FROM pg_replication_slots WHERE xmin IS NOT NULL \
    ORDER BY age_ms DESC NULLS LAST, distance DESC LIMIT 100",
    types: &[],
};

const OUTBOX: Sql =
    Sql { text: "SELECT coalesce(sum(size), 0)::bigint, min(decided_ms) FROM outbox", types: &[] };

/// Which privileges the user lacks: of the kinds of `$1`, the names of `$2`, the privileges of
/// `$3`. What does not exist is lacking as well.
const LACKING: Sql = Sql {
    text: "\
    SELECT privilege, array_agg(name ORDER BY name) \
      FROM unnest($1, $2, $3) AS wanted (kind, name, privilege) \
      WHERE CASE kind \
              WHEN 'table' THEN has_table_privilege(to_regclass(name), privilege) \
              WHEN 'sequence' THEN has_sequence_privilege(to_regclass(name), privilege) \
              ELSE has_function_privilege(to_regprocedure(name), privilege) \
            END IS NOT TRUE \
      GROUP BY privilege ORDER BY privilege",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

/// Whether the user may read the table `$1`.
const READABLE: Sql = Sql {
    text: "SELECT has_table_privilege(to_regclass($1), 'SELECT') IS TRUE",
    types: &[Type::TEXT],
};

/// A privilege and what a user lacks it on.
pub type Lacking = (String, Vec<String>);

/// Something that keeps dead rows from being removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// `session`, `prepared transaction` or `replication slot`.
    pub what: String,
    /// Which.
    pub name: String,
    /// For how long; a slot has no time.
    pub age: Option<Span>,
    /// How many transactions ago.
    pub distance: i64,
}

/// The server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// Whether it only reads: a standby, or one that was told so.
    pub is_read_only: bool,
    /// Whether sessions of other users can be seen.
    pub sees_everybody: bool,
}

/// The version of the schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schema {
    /// That of the database; 0: there is none.
    pub known: i32,
    /// The one that this version of Relink needs.
    pub wanted: i32,
}

/// Days with a partition, from today.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days {
    /// Of these days …
    pub wanted: i64,
    /// … so many in the table that has the fewest.
    pub there: i64,
}

/// Looks at a database, question by question: one that cannot be answered leaves the others.
pub struct Checkup {
    pool: Pool,
}

impl Checkup {
    /// Prepares to connect.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a URL that is none.
    pub fn new(config: &PostgresConfig) -> Result<Self, StoreError> {
        Ok(Self { pool: config.pool()? })
    }

    /// The server itself.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn server(&self) -> Result<Server, StoreError> {
        let row = self.one(&SERVER, &[]).await?;
        Ok(Server { version: row.get(0), is_read_only: row.get(1), sees_everybody: row.get(2) })
    }

    /// The schema's version.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        let known = migrate::known(&self.pool).await?;
        Ok(Schema { known, wanted: migrate::wanted() })
    }

    /// The partitions of the days to come.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn days(&self, now: Time) -> Result<Days, StoreError> {
        let today = crate::maintain::today(now);
        let last = crate::day::Day(today.0.saturating_add(DAYS_AHEAD));
        let mut there = i64::MAX;
        for table in TABLES {
            let row = self.one(&DAYS, &[&table, &today, &last]).await?;
            there = there.min(row.get(0));
        }
        Ok(Days { wanted: i64::from(DAYS_AHEAD) + 1, there })
    }

    /// What keeps dead rows from being removed, the oldest first; slots last.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn holders(&self) -> Result<Vec<Holder>, StoreError> {
        let rows = run_one(&self.pool, false, &HOLDERS, &[]).await?;
        let holder = |row: &Row| Holder {
            what: row.get(0),
            name: row.get(1),
            age: row.get::<_, Option<i64>>(2).map(Span),
            distance: row.get::<_, Option<i64>>(3).unwrap_or_default(),
        };
        Ok(rows.iter().map(holder).collect())
    }

    /// Commands in the outbox, and when the oldest was decided.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn outbox(&self) -> Result<(i64, Option<Time>), StoreError> {
        let row = self.one(&OUTBOX, &[]).await?;
        Ok((row.get(0), row.get::<_, Option<i64>>(1).map(Time)))
    }

    /// Whether the user may read a table.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn may_read(&self, table: &str) -> Result<bool, StoreError> {
        Ok(self.one(&READABLE, &[&table]).await?.get(0))
    }

    /// What the user may not do, of what these roles do.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn lacking(&self, roles: &[Role]) -> Result<Vec<Lacking>, StoreError> {
        let (mut kinds, mut names, mut privileges) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, name, privilege) in rights::needs(roles) {
            kinds.push(kind.as_str());
            names.push(name);
            privileges.push(privilege);
        }
        let rows = run_one(&self.pool, false, &LACKING, &[&kinds, &names, &privileges]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn one(&self, sql: &'static Sql, params: Params<'_>) -> Result<Row, StoreError> {
        let rows = run_one(&self.pool, false, sql, params).await?;
        let none = || StoreError::Transient("the database answered without a row".into());
        rows.into_iter().next().ok_or_else(none)
    }
}
