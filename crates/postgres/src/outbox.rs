//! Commands on their way out, kept in bundles: one row for those that were committed together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use relink_core::id::CommandId;
use relink_core::time::Time;
use relink_engine::row::scope;
use relink_engine::store::{Bundle, Committed, OutboxRow};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::columns::Param;
use crate::error::Fault;
use crate::sql::Sql;

/// The most commands of a bundle: as many as a relay claims at a time, so that what it has claimed
/// at once is published well within its claim.
const BUNDLE_MAX: usize = 256;

/// How many bundles are locked at least, as far as so many commands are asked for, and the part of
/// the commands beyond: bundles of a quiet hour hold one or two each, those of a full queue
/// hundreds, and what is locked beyond what is claimed is locked for nothing.
const BUNDLES: usize = 16;

/// Claims bundles, in the order of the index: any other would look at all that wait for each few
/// that are taken. SKIP LOCKED: of two relays at once each gets others; MATERIALIZED: the choice
/// is made once, whatever the planner thinks of the join. Of those that are locked as many are
/// taken as it needs for the commands that are asked for.
pub(crate) const CLAIM: Sql = Sql {
    text: "WITH next AS MATERIALIZED ( \
             SELECT seq, size, claimed_until_ms FROM outbox \
             WHERE claimed_until_ms <= $1 AND claimed_until_ms >= $4 \
             ORDER BY claimed_until_ms LIMIT $3 FOR UPDATE SKIP LOCKED), \
           chosen AS MATERIALIZED ( \
             SELECT seq FROM (SELECT seq, size, \
               sum(size) OVER (ORDER BY claimed_until_ms, seq) AS up_to FROM next) AS counted \
             WHERE up_to - size < $5) \
           UPDATE outbox o SET claimed_until_ms = $2 FROM chosen WHERE o.seq = chosen.seq \
           RETURNING o.seq, o.claimed_until_ms, o.decided_ms, o.ids, o.kinds, o.scopes, \
             o.correlations, o.traceparents, o.bodies",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

/// Deletes bundles of which all has been taken. By the time of the decision as well: a sequence
/// goes back where a database is restored or a standby takes over, and another bundle would be
/// deleted that nobody has published.
pub(crate) const DELETE: Sql = Sql {
    text: "DELETE FROM outbox o USING unnest($1, $2) AS w (seq, decided_ms) \
           WHERE o.seq = w.seq AND o.decided_ms = w.decided_ms",
    types: &[Type::INT8_ARRAY, Type::INT8_ARRAY],
};

/// Deletes commands out of bundles of which something is left: what is left becomes a bundle of its
/// own. Not an update, which workers have no right to.
pub(crate) const DELETE_SOME: Sql = Sql {
    text: "WITH gone AS (DELETE FROM outbox WHERE seq = ANY ($1) RETURNING *) \
           INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
             correlations, traceparents, bodies) \
           SELECT claimed_until_ms, decided_ms, count(*), \
             array_agg(one.id ORDER BY place), array_agg(one.kind ORDER BY place), \
             array_agg(one.scope ORDER BY place), array_agg(one.correlation ORDER BY place), \
             array_agg(one.traceparent ORDER BY place), array_agg(one.body ORDER BY place) \
           FROM gone CROSS JOIN LATERAL \
             unnest(ids, kinds, scopes, correlations, traceparents, bodies) WITH ORDINALITY \
             AS one (id, kind, scope, correlation, traceparent, body, place) \
           WHERE NOT one.id = ANY ($2) \
           GROUP BY seq, claimed_until_ms, decided_ms",
    types: &[Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

/// How many bundles are locked for so many commands.
pub(crate) fn bundles_for(commands: usize) -> usize {
    commands.div_ceil(BUNDLES).max(commands.min(BUNDLES))
}

/// Rows of `outbox`, each a bundle.
#[derive(Default)]
pub(crate) struct Bundles<'a>(Vec<Columns<'a>>);

/// The columns of one bundle.
struct Columns<'a> {
    places: Range<usize>,
    claimed_until: i64,
    decided: i64,
    ids: Vec<&'a str>,
    kinds: Vec<&'a str>,
    scopes: Vec<String>,
    correlations: Vec<&'a str>,
    traceparents: Vec<Option<&'a str>>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Bundles<'a> {
    /// Those stay together that were decided together and are claimed until the same time.
    pub(crate) fn of(rows: &'a [OutboxRow]) -> Self {
        let mut bundles = Vec::new();
        let mut begin = 0;
        let is_alike = |one: &OutboxRow, other: &OutboxRow| {
            (one.decided_at, one.claimed_until) == (other.decided_at, other.claimed_until)
        };
        for rows in rows.chunk_by(is_alike).flat_map(|alike| alike.chunks(BUNDLE_MAX)) {
            let places = begin..begin + rows.len();
            begin = places.end;
            bundles.extend(Columns::of(places, rows));
        }
        Self(bundles)
    }

    /// The values of each bundle's statement.
    pub(crate) fn params(&self) -> impl Iterator<Item = Vec<Param<'_>>> {
        self.0.iter().map(Columns::params)
    }

    /// Which of the rows each bundle holds.
    pub(crate) fn places(&self) -> Vec<Range<usize>> {
        self.0.iter().map(|bundle| bundle.places.clone()).collect()
    }
}

impl<'a> Columns<'a> {
    fn of(places: Range<usize>, rows: &'a [OutboxRow]) -> Option<Self> {
        let first = rows.first()?;
        Some(Self {
            places,
            claimed_until: first.claimed_until.0,
            decided: first.decided_at.0,
            ids: rows.iter().map(|row| row.id.as_str()).collect(),
            kinds: rows.iter().map(|row| &*row.kind).collect(),
            scopes: rows.iter().map(|row| row.scope.to_string()).collect(),
            correlations: rows.iter().map(|row| &*row.correlation).collect(),
            traceparents: rows.iter().map(|row| row.traceparent.as_deref()).collect(),
            bodies: rows.iter().map(|row| &*row.body).collect(),
        })
    }

    fn params(&self) -> Vec<Param<'_>> {
        vec![
            &self.claimed_until,
            &self.decided,
            &self.ids,
            &self.kinds,
            &self.scopes,
            &self.correlations,
            &self.traceparents,
            &self.bodies,
        ]
    }
}

/// Notes in which bundle each row has been committed.
pub(crate) fn note_bundles(rows: &mut [OutboxRow], places: Vec<Range<usize>>, seqs: &[i64]) {
    for (places, seq) in places.into_iter().zip(seqs) {
        let size = u32::try_from(places.len()).unwrap_or(u32::MAX);
        for row in rows.get_mut(places).into_iter().flatten() {
            row.bundle = Some(Bundle { seq: *seq, size });
        }
    }
}

/// What is to be deleted.
#[derive(Default)]
pub(crate) struct Taken<'a> {
    /// Bundles of which all has been taken.
    pub(crate) whole: Vec<i64>,
    /// When each was decided.
    pub(crate) decided: Vec<i64>,
    /// Bundles of which some has been taken,
    pub(crate) parts: Vec<i64>,
    /// and what.
    pub(crate) ids: Vec<&'a str>,
}

impl<'a> Taken<'a> {
    pub(crate) fn of(taken: &'a [Committed]) -> Self {
        let mut by_bundle: BTreeMap<(Bundle, Time), Vec<&str>> = BTreeMap::new();
        for one in taken {
            if let Some(bundle) = one.bundle {
                by_bundle.entry((bundle, one.decided_at)).or_default().push(one.id.as_str());
            }
        }
        let mut all = Self::default();
        for ((bundle, decided_at), ids) in by_bundle {
            if ids.len() >= bundle.size as usize {
                all.whole.push(bundle.seq);
                all.decided.push(decided_at.0);
            } else {
                all.parts.push(bundle.seq);
                all.ids.extend(ids);
            }
        }
        all
    }
}

/// The commands of a claimed bundle.
pub(crate) fn commands(row: &Row) -> Result<Vec<OutboxRow>, Fault> {
    let (seq, claimed_until) = (row.try_get(0)?, Time(row.try_get(1)?));
    let decided_at = Time(row.try_get(2)?);
    let ids: Vec<&str> = row.try_get(3)?;
    let kinds: Vec<&str> = row.try_get(4)?;
    let scopes: Vec<&str> = row.try_get(5)?;
    let correlations: Vec<&str> = row.try_get(6)?;
    let traceparents: Vec<Option<&str>> = row.try_get(7)?;
    let bodies: Vec<&[u8]> = row.try_get(8)?;
    let bundle = Bundle { seq, size: u32::try_from(ids.len()).unwrap_or(u32::MAX) };
    let texts = ids.into_iter().zip(kinds).zip(scopes).zip(correlations);
    let mut commands = Vec::with_capacity(bundle.size as usize);
    for ((((id, kind), scope_text), correlation), (traceparent, body)) in
        texts.zip(traceparents.into_iter().zip(bodies))
    {
        commands.push(OutboxRow {
            id: CommandId::from(id),
            kind: kind.into(),
            scope: scope(scope_text)?,
            correlation: correlation.into(),
            decided_at,
            traceparent: traceparent.map(Arc::from),
            body: Bytes::copy_from_slice(body),
            claimed_until,
            bundle: Some(bundle),
        });
    }
    Ok(commands)
}
