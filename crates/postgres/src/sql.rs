//! The statements of a transaction, in the order in which it sends them.
//!
//! All of them look rows up by key. Parameters are arrays, one element per row; their types are
//! given, so that a statement can also be sent unnamed, without a round trip to learn them.

use tokio_postgres::types::Type;

/// A statement and the types of its parameters.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) text: &'static str,
    pub(crate) types: &'static [Type],
}

const TEXTS: Type = Type::TEXT_ARRAY;
const NUMBERS: Type = Type::INT8_ARRAY;
const FLAGS: Type = Type::BOOL_ARRAY;
const DATES: Type = Type::DATE_ARRAY;

/// Begins a transaction that writes. The limits are set here and not when connecting, since a
/// transaction-mode pooler passes neither start-up options nor session settings on.
///
/// `lock_timeout` bounds the wait for other batches, each of which takes milliseconds; the others
/// bound a server or a client that is stuck. Plans by key are forced because a plan made while
/// the tables are still small would otherwise be kept and scan them when they are large.
pub(crate) const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL lock_timeout = '5s'; \
    SET LOCAL statement_timeout = '15s'; \
    SET LOCAL idle_in_transaction_session_timeout = '15s'; \
    SET LOCAL enable_seqscan = off; \
    SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off";

/// Begins a transaction for one statement outside [`BEGIN`]'s world: the planner is free.
pub(crate) const BEGIN_ONE: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL lock_timeout = '5s'; \
    SET LOCAL statement_timeout = '15s'";

/// The same where the server may forget what it said it did, should it crash: what was deleted is
/// there again, what was claimed is free again. Plans by key are forced as in [`BEGIN`]: a plan
/// from when hardly anything waited would read all that is dead of an outbox that was full.
pub(crate) const BEGIN_LIGHTLY: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL synchronous_commit = off; \
    SET LOCAL lock_timeout = '5s'; \
    SET LOCAL statement_timeout = '15s'; \
    SET LOCAL enable_seqscan = off; \
    SET LOCAL enable_hashjoin = off; \
    SET LOCAL enable_mergejoin = off";

/// Rows to lock for accounts that are not there yet: of two transactions that create the same
/// account, the second waits here for the first. The arrays are sorted.
///
/// Nearly all are there, and looking costs a fifth of trying to insert: what the look does not see
/// yet meets ON CONFLICT, and nothing of what it does see can go, but empty provisional homes.
pub(crate) const STUB_ACCOUNTS: Sql = Sql {
    text: "INSERT INTO accounts (scope, id) SELECT * FROM unnest($1, $2) AS w (scope, id) \
           WHERE NOT EXISTS (SELECT FROM accounts a WHERE a.id = w.id AND a.scope = w.scope) \
           ON CONFLICT DO NOTHING RETURNING scope, id",
    types: &[TEXTS, TEXTS],
};

/// Locks the named accounts, in one order everywhere (the sort is below the locking).
pub(crate) const LOCK_ACCOUNTS: Sql = Sql {
    text: "SELECT a.scope, a.id, a.home, a.provisional, a.past_authorizations \
           FROM unnest($1, $2) AS w (scope, id) JOIN accounts a USING (scope, id) \
           ORDER BY a.scope, a.id FOR UPDATE OF a",
    types: &[TEXTS, TEXTS],
};

/// Rows to lock for holders seen for the first time; the arrays are sorted.
pub(crate) const STUB_HOLDERS: Sql = Sql {
    text: "INSERT INTO holders (scope, id) SELECT * FROM unnest($1, $2) AS w (scope, id) \
           WHERE NOT EXISTS (SELECT FROM holders h WHERE h.id = w.id AND h.scope = w.scope) \
           ON CONFLICT DO NOTHING",
    types: &[TEXTS, TEXTS],
};

/// Locks the holders: who holds one sees every account of it that was linked or deactivated.
pub(crate) const LOCK_HOLDERS: Sql = Sql {
    text: "SELECT 1 FROM unnest($1, $2) AS w (scope, id) JOIN holders h USING (scope, id) \
           ORDER BY h.scope, h.id FOR UPDATE OF h",
    types: &[TEXTS, TEXTS],
};

/// The authorizations of the holders.
pub(crate) const RELATIVES: Sql = Sql {
    text: "SELECT h.scope, h.id FROM unnest($1, $2) AS w (scope, holder) \
           JOIN authorizations h USING (scope, holder) WHERE NOT h.provisional",
    types: &[TEXTS, TEXTS],
};

/// Rows to lock for homes that are not there yet, like [`STUB_ACCOUNTS`].
pub(crate) const STUB_HOMES: Sql = Sql {
    text: "INSERT INTO authorizations (scope, id, provisional) \
           SELECT * FROM unnest($1, $2, $3) AS w (scope, id, provisional) \
           WHERE NOT EXISTS ( \
             SELECT FROM authorizations h WHERE h.id = w.id AND h.scope = w.scope) \
           ON CONFLICT DO NOTHING RETURNING scope, id, provisional",
    types: &[TEXTS, TEXTS, FLAGS],
};

/// Locks and loads the homes, in one order everywhere.
pub(crate) const LOCK_HOMES: Sql = Sql {
    text: "SELECT h.scope, h.id, h.provisional, h.state::text \
           FROM unnest($1, $2) AS w (scope, id) JOIN authorizations h USING (scope, id) \
           ORDER BY h.scope, h.id FOR UPDATE OF h",
    types: &[TEXTS, TEXTS],
};

/// Loads homes that are only looked at.
pub(crate) const LOOK_AT_HOMES: Sql = Sql {
    text: "SELECT h.scope, h.id, h.provisional, h.state::text \
           FROM unnest($1, $2) AS w (scope, id) JOIN authorizations h USING (scope, id)",
    types: &[TEXTS, TEXTS],
};

/// Loads the accounts of homes; not locked, see the crate's invariants.
pub(crate) const LOAD_ACCOUNTS: Sql = Sql {
    text: "SELECT a.scope, a.id, a.home, a.provisional, a.state::text \
           FROM unnest($1, $2) AS w (scope, home) JOIN accounts a USING (scope, home)",
    types: &[TEXTS, TEXTS],
};

/// Which inputs of one day are in the ledger: one statement a day, so that only that day's
/// partition is opened.
pub(crate) const SEEN: Sql = Sql {
    text: "SELECT scope, id FROM inbox WHERE day = $1 AND id = ANY ($2)",
    types: &[Type::DATE, TEXTS],
};

/// Removes accounts: rows that were only locked.
pub(crate) const DELETE_ACCOUNTS: Sql = Sql {
    text: "DELETE FROM accounts a USING unnest($1, $2) AS w (scope, id) \
           WHERE a.scope = w.scope AND a.id = w.id",
    types: &[TEXTS, TEXTS],
};

/// Removes homes: rows that were only locked, and provisional homes without an account.
pub(crate) const DELETE_HOMES: Sql = Sql {
    text: "DELETE FROM authorizations h USING unnest($1, $2) AS w (scope, id) \
           WHERE h.scope = w.scope AND h.id = w.id",
    types: &[TEXTS, TEXTS],
};

/// Writes accounts, each of which has a row that is locked; an element of `past` is a list joined
/// by U+001F, because an array of arrays would be flattened.
pub(crate) const WRITE_ACCOUNTS: Sql = Sql {
    text: "UPDATE accounts a SET home = w.home, provisional = w.provisional, status = w.status, \
             cause = w.cause, action = w.action, expected_deactivation_s = w.expected, \
             holder = w.holder, last4 = w.last4, version = w.version, \
             past_authorizations = string_to_array(w.past, U&'\\001F'), \
             state = w.state::json, \
             updated_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
           FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS w (scope, id, \
             home, provisional, status, cause, action, expected, holder, last4, version, past, \
             state) \
           WHERE a.scope = w.scope AND a.id = w.id",
    types: &[
        TEXTS, TEXTS, TEXTS, FLAGS, TEXTS, TEXTS, TEXTS, NUMBERS, TEXTS, TEXTS, NUMBERS, TEXTS,
        TEXTS,
    ],
};

/// Writes homes.
pub(crate) const WRITE_HOMES: Sql = Sql {
    text: "INSERT INTO authorizations (scope, id, provisional, health, holder, \
             institution_name, expected_deactivation_s, next_due_ms, superseded_by, case_open, \
             state, updated_ms) \
           SELECT w.scope, w.id, w.provisional, w.health, w.holder, w.institution, w.expected, \
             w.due, w.superseded_by, w.case_open, w.state::json, \
             (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
           FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS w (scope, id, \
             provisional, health, holder, institution, expected, due, superseded_by, case_open, \
             state) \
           ON CONFLICT (id, scope) DO UPDATE SET provisional = excluded.provisional, \
             health = excluded.health, holder = excluded.holder, \
             institution_name = excluded.institution_name, \
             expected_deactivation_s = excluded.expected_deactivation_s, \
             next_due_ms = excluded.next_due_ms, superseded_by = excluded.superseded_by, \
             case_open = excluded.case_open, state = excluded.state, \
             updated_ms = excluded.updated_ms",
    types: &[TEXTS, TEXTS, FLAGS, TEXTS, TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, FLAGS, TEXTS],
};

/// Writes the ledger. Without ON CONFLICT: a twin that was committed after the look-up has to
/// fail the whole transaction, which is then repeated and finds it.
pub(crate) const WRITE_INBOX: Sql = Sql {
    text: "INSERT INTO inbox (day, id, scope, kind, at_s, verdict, decided_ms) \
           SELECT w.*, (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
           FROM unnest($1, $2, $3, $4, $5, $6) AS w",
    types: &[DATES, TEXTS, TEXTS, TEXTS, NUMBERS, TEXTS],
};

/// Writes history, in the order given; `commands` are joined like `past` in [`WRITE_ACCOUNTS`].
pub(crate) const WRITE_HISTORY: Sql = Sql {
    text: "INSERT INTO history (day, scope, home, provisional, account, input, kind, at_s, \
             decided_ms, verdict, note, commands) \
           SELECT w.day, w.scope, w.home, w.provisional, w.account, w.input, w.kind, w.at_s, \
             w.decided_ms, w.verdict, w.note, string_to_array(w.commands, U&'\\001F') \
           FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS w (day, scope, \
             home, provisional, account, input, kind, at_s, decided_ms, verdict, note, commands)",
    types: &[
        DATES, TEXTS, TEXTS, FLAGS, TEXTS, TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, TEXTS, TEXTS,
    ],
};

/// Writes commands that belong together as one row.
pub(crate) const WRITE_OUTBOX: Sql = Sql {
    text: "INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
             correlations, traceparents, bodies) \
           VALUES ($1, $2, cardinality($3), $3, $4, $5, $6, $7, $8) RETURNING seq",
    types: &[Type::INT8, Type::INT8, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, Type::BYTEA_ARRAY],
};

/// Writes cases; the home changes where a provisional one was resolved.
pub(crate) const WRITE_CASES: Sql = Sql {
    text: "INSERT INTO cases (scope, home, id, reason, opened_ms, closed_ms, outcome, prompts, \
             reminders, state) \
           SELECT w.scope, w.home, w.id, w.reason, w.opened, w.closed, w.outcome, w.prompts, \
             w.reminders, w.state::json \
           FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS w (scope, home, id, reason, \
             opened, closed, outcome, prompts, reminders, state) \
           ON CONFLICT (id, scope) DO UPDATE SET home = excluded.home, \
             reason = excluded.reason, opened_ms = excluded.opened_ms, \
             closed_ms = excluded.closed_ms, outcome = excluded.outcome, \
             prompts = excluded.prompts, reminders = excluded.reminders, \
             state = excluded.state",
    types: &[TEXTS, TEXTS, TEXTS, TEXTS, NUMBERS, NUMBERS, TEXTS, NUMBERS, NUMBERS, TEXTS],
};

/// All statements of a transaction: prepared before it begins, since what is sent without waiting
/// must not wait for a preparation in between.
pub(crate) const ALL: [&Sql; 18] = [
    &STUB_ACCOUNTS,
    &LOCK_ACCOUNTS,
    &STUB_HOLDERS,
    &LOCK_HOLDERS,
    &RELATIVES,
    &STUB_HOMES,
    &LOCK_HOMES,
    &LOOK_AT_HOMES,
    &LOAD_ACCOUNTS,
    &SEEN,
    &DELETE_ACCOUNTS,
    &DELETE_HOMES,
    &WRITE_ACCOUNTS,
    &WRITE_HOMES,
    &WRITE_INBOX,
    &WRITE_HISTORY,
    &WRITE_OUTBOX,
    &WRITE_CASES,
];
