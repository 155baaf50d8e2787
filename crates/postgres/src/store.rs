//! The port, as seen from outside: every call within its time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_postgres::Pool;
use relink_bus::port::Parked;
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::{Aggregate, Health};
use relink_core::id::{AccountId, AuthorizationId, HomeKey, Scope};
use relink_core::input::Input;
use relink_core::time::{Second, Time};
use relink_engine::outlook::Outlook;
use relink_engine::row::{headers, scope, signed_rows};
use relink_engine::store::{
    CaseRow, Census, Committed, Decide, DueHome, Heard, HistoryRow, InboxRow, InputKey, OutboxRow,
    ParkedCount, ParkedRow, Selection, Store, StoreError, Tally, WhyParked, Writes,
};
use tokio_postgres::Row;

use crate::columns::Keys;
use crate::config::PostgresConfig;
use crate::day::Day;
use crate::error::{Fault, classify};
use crate::gather::assemble_all;
use crate::look::Look;
use crate::outbox::Taken;
use crate::session::{Params, run_after, run_one};
use crate::sql::{self, Sql};
use crate::{checkup, due, maintain, migrate, operator, outbox, outlook, parked, survey, transact};

/// Longest time for one call, whatever the network does: above each of the server's own limits, so
/// that those speak first, and below the time that a role has to drain (25 s), so that one whose
/// connections lead nowhere still ends in time.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Counts of healths that took longer than this are worth keeping …
const HEALTHS_FREE: Duration = Duration::from_millis(250);
/// … for so many times as long: counting takes at most a twentieth of one connection's time.
const HEALTHS_KEPT: u32 = 20;

/// A PostgreSQL database that keeps Relink's state.
#[derive(Debug)]
pub struct PostgresStore {
    pool: Pool,
    prepare: bool,
    healths: Mutex<Option<Healths>>,
    due: Look,
    left_behind: Look,
}

#[derive(Clone, Debug)]
struct Healths {
    counted_at: Instant,
    took: Duration,
    counts: Vec<(String, i64)>,
}

impl PostgresStore {
    /// Connects, and checks that the schema is the one that this version needs.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] for a URL, a role or a schema that cannot work;
    /// [`StoreError::Transient`] while the database is away.
    pub async fn connect(config: PostgresConfig) -> Result<Self, StoreError> {
        let pool = config.pool()?;
        within(&pool, migrate::check(&pool)).await?;
        Ok(Self {
            pool,
            prepare: config.prepare,
            healths: Mutex::default(),
            due: Look::default(),
            left_behind: Look::default(),
        })
    }

    async fn run(&self, sql: &'static Sql, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        within(&self.pool, run_one(&self.pool, self.prepare, sql, params)).await
    }

    /// What the outbox's rows are claimed and deleted with, and what is due is looked for: at worst
    /// a command goes out twice.
    async fn run_lightly(
        &self,
        statement: &'static Sql,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let run = run_after(sql::BEGIN_LIGHTLY, &self.pool, self.prepare, statement, params);
        within(&self.pool, run).await
    }

    /// The accounts of homes that rows name by scope, id and whether they are provisional.
    async fn accounts_of(&self, homes: &[Row]) -> Result<Vec<Row>, StoreError> {
        let mut keys = Keys::default();
        for row in homes {
            keys.push(&scope(row.get(0))?, row.get(1));
        }
        self.run(&sql::LOAD_ACCOUNTS, &keys.params()).await
    }

    async fn healths(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let kept = self.healths.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fresh = kept.filter(|kept| {
            kept.took > HEALTHS_FREE && kept.counted_at.elapsed() < kept.took * HEALTHS_KEPT
        });
        if let Some(fresh) = fresh {
            return Ok(fresh.counts);
        }
        let started = Instant::now();
        let healths = self.run(&outlook::HEALTHS, &[]).await?;
        let counted = Healths {
            counted_at: Instant::now(),
            took: started.elapsed(),
            counts: healths.iter().map(named_count).collect(),
        };
        *self.healths.lock().unwrap_or_else(PoisonError::into_inner) = Some(counted.clone());
        Ok(counted.counts)
    }

    /// What is counted off small indexes: open cases, the outbox, parked messages.
    async fn counts(&self) -> Result<Outlook, StoreError> {
        let mut counts = Outlook::default();
        for row in &self.run(&operator::COUNTS, &[]).await? {
            let failed = |error: tokio_postgres::Error| classify(&error);
            let count = row.try_get(2).map_err(failed)?;
            match row.try_get(0).map_err(failed)? {
                "case" => counts.open_cases.push((row.get(1), count)),
                "outbox" => {
                    counts.outbox_depth = count;
                    counts.outbox_oldest =
                        row.try_get::<_, Option<i64>>(3).map_err(failed)?.map(Time);
                }
                _ => counts.parked = count,
            }
        }
        Ok(counts)
    }

    /// The days after today that have a partition, by table.
    async fn days_ahead(&self, now: Time) -> Result<Vec<(&'static str, i64)>, StoreError> {
        let (first, last) = maintain::days_ahead(now);
        let mut days = Vec::new();
        for table in maintain::TABLES {
            let rows = self.run(&checkup::DAYS, &[&table, &first, &last]).await?;
            days.extend(rows.first().map(|row| (table, row.get(0))));
        }
        Ok(days)
    }
}

fn named_count(row: &Row) -> (String, i64) {
    (row.get(0), row.get(1))
}

/// A call that gets no answer says that its connection leads nowhere, and those that idle beside it
/// most likely neither: a router that forgets one forgets all. Each of them would take as long to
/// find out, so none is used again.
async fn within<T>(
    pool: &Pool,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or_else(|_| {
        let forgotten = pool.retain(|_, _| false).removed.len();
        tracing::warn!(
            forgotten,
            "no answer from the database in time: its connections are given up"
        );
        Err(StoreError::Transient("no answer in time".into()))
    })
}

#[async_trait]
impl Store for PostgresStore {
    async fn transact(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError> {
        within(&self.pool, transact::transact(&self.pool, self.prepare, inputs, decide)).await
    }

    async fn due_homes(&self, now: Time, most: usize) -> Result<Vec<DueHome>, StoreError> {
        let since = self.due.since(now);
        let params: Params<'_> = &[&now.0, &signed_rows(most), &since];
        let rows = self.run_lightly(&due::DUE, params).await?;
        self.due.found(since, now, rows.len(), most);
        Ok(rows.iter().map(due::due_home).collect::<Result<_, Fault>>()?)
    }

    async fn claim_outbox(
        &self,
        now: Time,
        until: Time,
        most: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let since = self.left_behind.since(now);
        let commands = signed_rows(most);
        let bundles = signed_rows(outbox::bundles_for(most));
        let params: Params<'_> = &[&now.0, &until.0, &bundles, &since, &commands];
        let rows = self.run_lightly(&outbox::CLAIM, params).await?;
        // The end has been seen where nothing is left.
        self.left_behind.found(since, now, rows.len(), 1);
        let bundles = rows.iter().map(outbox::commands).collect::<Result<Vec<_>, Fault>>()?;
        let mut claimed = bundles.concat();
        claimed.sort_by(|a, b| (a.decided_at, &a.id).cmp(&(b.decided_at, &b.id)));
        Ok(claimed)
    }

    async fn delete_outbox(&self, taken: &[Committed]) -> Result<(), StoreError> {
        let taken = Taken::of(taken);
        if !taken.whole.is_empty() {
            self.run_lightly(&outbox::DELETE, &[&taken.whole, &taken.decided]).await?;
        }
        if !taken.parts.is_empty() {
            self.run_lightly(&outbox::DELETE_SOME, &[&taken.parts, &taken.ids]).await?;
        }
        Ok(())
    }

    async fn park(&self, aside: Parked) -> Result<(), StoreError> {
        let delivery = &aside.delivery;
        let headers = headers(&delivery.headers)?;
        let attempts = i32::try_from(delivery.headers.attempts).unwrap_or(i32::MAX);
        let params: Params<'_> = &[
            &aside.queue,
            &delivery.id.as_deref(),
            &delivery.kind.as_deref(),
            &&*delivery.routing_key,
            &delivery.correlation.as_deref(),
            &aside.parking.reason.as_str(),
            &aside.parking.error,
            &aside.first_failed_at_unix_ms,
            &aside.last_failed_at_unix_ms,
            &attempts,
            &headers,
            &&*delivery.body,
            &delivery.timestamp_unix_s,
        ];
        self.run(&parked::PARK, params).await.map(drop)
    }

    async fn parked(
        &self,
        queue: WorkQueue,
        is_marked: bool,
        after: i64,
        most: usize,
    ) -> Result<Vec<ParkedRow>, StoreError> {
        let params: Params<'_> = &[&queue.name(), &is_marked, &after, &signed_rows(most)];
        self.run(&parked::PARKED, params).await?.iter().map(parked::parked_row).collect()
    }

    async fn parked_counts(&self) -> Result<Vec<ParkedCount>, StoreError> {
        self.run(&parked::COUNTS, &[]).await?.iter().map(parked::count).collect()
    }

    async fn mark_parked(&self, seq: i64, at: Time) -> Result<bool, StoreError> {
        self.run(&parked::MARK, &[&seq, &at.0]).await.map(|rows| !rows.is_empty())
    }

    async fn unpark(&self, seq: i64) -> Result<bool, StoreError> {
        self.run(&parked::UNPARK, &[&seq]).await.map(|rows| !rows.is_empty())
    }

    async fn tally(&self, from: Second, until: Second) -> Result<Vec<Tally>, StoreError> {
        let rows = self.run(&survey::TALLY, &[&Day::of(from), &Day::of(until)]).await?;
        Ok(rows.iter().map(survey::tally).collect())
    }

    async fn why_parked(&self, id: &str) -> Result<Option<WhyParked>, StoreError> {
        let rows = self.run(&operator::WHY_PARKED, &[&id]).await?;
        Ok(rows.first().map(operator::why_parked).transpose()?)
    }

    async fn claim_work(
        &self,
        work: &str,
        claimant: &str,
        now: Time,
        until: Time,
    ) -> Result<bool, StoreError> {
        let rows = self.run(&due::CLAIM_WORK, &[&work, &claimant, &now.0, &until.0]).await?;
        Ok(!rows.is_empty())
    }

    async fn find(&self, id: &str) -> Result<Vec<Aggregate>, StoreError> {
        let rows = self.run(&operator::FIND, &[&id]).await?;
        let accounts = self.accounts_of(&rows).await?;
        Ok(assemble_all(&rows, &accounts)?.into_values().collect())
    }

    async fn list(&self, wanted: &Selection) -> Result<Vec<Aggregate>, StoreError> {
        let health = wanted.health.map(Health::as_str);
        let (id, scope) = match &wanted.after {
            Some((id, scope)) => (id.as_str(), scope.to_string()),
            None => ("", String::new()),
        };
        let (scope, limit) = (scope.as_str(), signed_rows(wanted.limit));
        let rows = match (wanted.holder.as_deref(), health) {
            (None, None) => self.run(&operator::LIST, &[&id, &scope, &limit]).await?,
            (None, Some(health)) => {
                let params: Params<'_> = &[&id, &scope, &limit, &health];
                self.run(&operator::LIST_OF_HEALTH, params).await?
            }
            (Some(holder), health) => {
                let params: Params<'_> = &[&health, &id, &scope, &limit, &holder];
                self.run(&operator::LIST_OF_HOLDER, params).await?
            }
        };
        let accounts = self.accounts_of(&rows).await?;
        let mut found: Vec<_> = assemble_all(&rows, &accounts)?.into_values().collect();
        // As the page was asked for; the map above is ordered otherwise.
        found.sort_by_cached_key(|one| {
            (one.key.home.as_str().to_owned(), one.key.scope.to_string())
        });
        Ok(found)
    }

    async fn part_ends(&self, every: usize) -> Result<Vec<(AuthorizationId, Scope)>, StoreError> {
        let rows = self.run(&operator::PART_ENDS, &[&signed_rows(every)]).await?;
        rows.iter().map(|row| Ok((row.get::<_, &str>(0).into(), scope(row.get(1))?))).collect()
    }

    async fn history(
        &self,
        home: &HomeKey,
        account: Option<&AccountId>,
        most: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let (scope, account) = (home.scope.to_string(), account.map(AccountId::as_str));
        let params: Params<'_> = &[&scope, &home.home.as_str(), &account, &signed_rows(most)];
        let rows = self.run(&operator::HISTORY, params).await?;
        let read = |row| operator::history_row(&home.scope, row);
        Ok(rows.iter().map(read).collect::<Result<_, Fault>>()?)
    }

    async fn input_history(
        &self,
        input: &InboxRow,
        most: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let scope = input.scope.to_string();
        let params: Params<'_> =
            &[&Day::of(input.at), &scope, &input.id.as_str(), &signed_rows(most)];
        let rows = self.run(&operator::INPUT_HISTORY, params).await?;
        let read = |row| operator::history_row(&input.scope, row);
        Ok(rows.iter().map(read).collect::<Result<_, Fault>>()?)
    }

    async fn inbox_row(&self, id: &str) -> Result<Option<InboxRow>, StoreError> {
        let rows = self.run(&operator::INBOX_ROW, &[&id]).await?;
        Ok(rows.first().map(operator::inbox_row).transpose()?)
    }

    async fn seen(&self, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError> {
        let mut found = HashSet::new();
        for (day, ids) in survey::by_day(inputs) {
            let rows = self.run(&sql::SEEN, &[&day, &ids]).await?;
            found.extend(rows.iter().map(|row| (day, row.get(0), row.get(1))));
        }
        Ok(survey::seen(inputs, &found))
    }

    async fn latest_event(&self, since: Second) -> Result<Option<Second>, StoreError> {
        let rows = self.run(&survey::LATEST_EVENT, &[&Day::of(since), &since.0]).await?;
        Ok(rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).map(Second))
    }

    async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        let rows = self.run(&survey::SCOPES, &[]).await?;
        rows.iter().map(survey::scope).collect()
    }

    async fn longest_unheard(
        &self,
        after: Option<&Heard>,
        before: Time,
        most: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        let at = after.map_or(i64::MIN, |after| after.at.0);
        let id = after.map_or("", |after| after.account.account.as_str());
        let scope = after.map_or(String::new(), |after| after.account.scope.to_string());
        let params: Params<'_> = &[&before.0, &at, &id, &scope, &signed_rows(most)];
        let rows = self.run(&survey::LONGEST_UNHEARD, params).await?;
        Ok(rows.iter().map(survey::heard).collect::<Result<_, Fault>>()?)
    }

    async fn count_unheard(&self, before: Time) -> Result<i64, StoreError> {
        let rows = self.run(&survey::COUNT_UNHEARD, &[&before.0]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    async fn cases(&self, home: &HomeKey, most: usize) -> Result<Vec<CaseRow>, StoreError> {
        let scope = home.scope.to_string();
        let params: Params<'_> = &[&scope, &home.home.as_str(), &signed_rows(most)];
        let rows = self.run(&operator::CASES, params).await?;
        Ok(rows.iter().map(|row| operator::case_row(home, row)).collect::<Result<_, Fault>>()?)
    }

    async fn census(&self) -> Result<Census, StoreError> {
        let counts = self.counts().await?;
        Ok(Census {
            authorizations: self.healths().await?,
            open_cases: counts.open_cases,
            outbox_depth: counts.outbox_depth,
            outbox_oldest: counts.outbox_oldest,
            parked: counts.parked,
        })
    }

    async fn outlook(&self, now: Time) -> Result<Outlook, StoreError> {
        let [from, overdue, later] = outlook::weeks(now);
        let weeks = self.run(&outlook::EXPECTED, &[&from, &overdue, &later]).await?;
        let [since, limit] = outlook::latest(now);
        let at_one = self.run(&outlook::AT_ONE_INSTITUTION, &[&since, &limit]).await?;
        Ok(Outlook {
            authorizations: self.healths().await?,
            expected: weeks.iter().map(|row| (row.get(0), row.get(1))).collect(),
            at_one_institution: at_one.first().map_or(0, |row| row.get(0)),
            days_ahead: self.days_ahead(now).await?,
            ..self.counts().await?
        })
    }

    async fn maintain(&self, now: Time, retention_days: u32) -> Result<(), StoreError> {
        // Each of many steps is bounded by the server's limits.
        maintain::prepare_days(&self.pool, now, retention_days).await?;
        maintain::expire_days(&self.pool, now, retention_days).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.run(&operator::PROBE, &[]).await.map(drop)
    }
}
