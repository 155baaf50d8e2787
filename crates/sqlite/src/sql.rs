//! The statements of a transaction. No locks: there is one writer.

/// Where an account lives.
pub(crate) const HOME_OF: &str =
    "SELECT home, provisional FROM accounts WHERE id = ?1 AND scope = ?2";

/// The authorizations of a holder.
pub(crate) const RELATIVES: &str =
    "SELECT id FROM authorizations WHERE holder = ?1 AND scope = ?2 AND NOT provisional";

/// A home's state.
pub(crate) const HOME: &str =
    "SELECT state FROM authorizations WHERE id = ?1 AND scope = ?2 AND provisional = ?3";

/// The accounts of a home.
pub(crate) const ACCOUNTS: &str =
    "SELECT id, state FROM accounts WHERE home = ?1 AND scope = ?2 AND provisional = ?3";

/// Whether an input is in the ledger.
pub(crate) const SEEN: &str = "SELECT 1 FROM inbox WHERE id = ?1 AND scope = ?2 AND day = ?3";

/// Writes an account that is where it was and was heard of today: what is in no index. SQLite
/// writes an entry anew for every column that is set, whether or not it changes.
pub(crate) const UPDATE_ACCOUNT: &str = "\
    UPDATE accounts SET status = ?5, cause = ?6, action = ?7, expected_deactivation_s = ?8, \
      holder = ?9, last4 = ?10, version = ?11, state = ?12, \
      updated_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) \
    WHERE id = ?2 AND scope = ?1 AND home = ?3 AND provisional = ?4 \
      AND heard_day = unixepoch() / 86400";

/// Writes any other account, with the same parameters.
pub(crate) const WRITE_ACCOUNT: &str = "\
    INSERT INTO accounts (scope, id, home, provisional, status, cause, action, \
      expected_deactivation_s, holder, last4, version, state, updated_ms, heard_day) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
      CAST(unixepoch('subsec') * 1000 AS INTEGER), unixepoch() / 86400) \
    ON CONFLICT (id, scope) DO UPDATE SET home = excluded.home, \
      provisional = excluded.provisional, status = excluded.status, cause = excluded.cause, \
      action = excluded.action, expected_deactivation_s = excluded.expected_deactivation_s, \
      holder = excluded.holder, last4 = excluded.last4, version = excluded.version, \
      state = excluded.state, updated_ms = excluded.updated_ms, heard_day = excluded.heard_day";

/// Writes a home of which nothing has changed that is in an index, like [`UPDATE_ACCOUNT`].
pub(crate) const UPDATE_HOME: &str = "\
    UPDATE authorizations SET institution_name = ?6, superseded_by = ?9, case_open = ?10, \
      state = ?11, updated_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) \
    WHERE id = ?2 AND scope = ?1 AND provisional = ?3 AND health = ?4 AND holder IS ?5 \
      AND expected_deactivation_s IS ?7 AND next_due_ms IS ?8";

/// Writes any other home, with the same parameters.
pub(crate) const WRITE_HOME: &str = "\
    INSERT INTO authorizations (scope, id, provisional, health, holder, institution_name, \
      expected_deactivation_s, next_due_ms, superseded_by, case_open, state, updated_ms) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
      CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
    ON CONFLICT (id, scope) DO UPDATE SET provisional = excluded.provisional, \
      health = excluded.health, holder = excluded.holder, \
      institution_name = excluded.institution_name, \
      expected_deactivation_s = excluded.expected_deactivation_s, \
      next_due_ms = excluded.next_due_ms, superseded_by = excluded.superseded_by, \
      case_open = excluded.case_open, state = excluded.state, updated_ms = excluded.updated_ms";

/// Removes a provisional home whose account has moved out.
pub(crate) const DELETE_HOME: &str =
    "DELETE FROM authorizations WHERE id = ?1 AND scope = ?2 AND provisional = ?3";

/// Writes a row of the ledger.
pub(crate) const WRITE_INBOX: &str = "\
    INSERT INTO inbox (day, id, scope, kind, at_s, verdict, decided_ms) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, CAST(unixepoch('subsec') * 1000 AS INTEGER))";

/// Writes a row of history.
pub(crate) const WRITE_HISTORY: &str = "\
    INSERT INTO history (day, scope, home, provisional, account, input, kind, at_s, decided_ms, \
      verdict, note, commands) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// Writes a command.
pub(crate) const WRITE_OUTBOX: &str = "\
    INSERT INTO outbox (id, kind, scope, correlation, decided_ms, traceparent, body, \
      claimed_until_ms) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Writes a case; the home changes where a provisional one was resolved.
pub(crate) const WRITE_CASE: &str = "\
    INSERT INTO cases (scope, home, id, reason, opened_ms, closed_ms, outcome, prompts, \
      reminders, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
    ON CONFLICT (id, scope) DO UPDATE SET home = excluded.home, reason = excluded.reason, \
      opened_ms = excluded.opened_ms, closed_ms = excluded.closed_ms, \
      outcome = excluded.outcome, prompts = excluded.prompts, reminders = excluded.reminders, \
      state = excluded.state";
