//! One suite for everything that implements the port to the database.
//!
//! SQLite needs nothing. PostgreSQL needs `RELINK_TEST_DATABASE_URL`, whose role may create
//! databases: each test makes its own and drops it. Without it those tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]

mod store_suite;

use store_suite::place::{Kind, with_store};

/// Stamps the suite for every store.
macro_rules! stamp {
    ($($module:ident: $($test:ident)*;)*) => {
        stamp!(@kind sqlite_in_memory Kind::SqliteInMemory; $($module: $($test)*;)*);
        stamp!(@kind sqlite_file Kind::SqliteFile; $($module: $($test)*;)*);
        stamp!(@kind postgres Kind::Postgres { prepare: true }; $($module: $($test)*;)*);
        stamp!(@kind postgres_unprepared Kind::Postgres { prepare: false };
            $($module: $($test)*;)*);
    };
    (@kind $name:ident $kind:expr; $($module:ident: $($test:ident)*;)*) => {
        mod $name {
            use super::*;
            $(mod $module {
                use super::*;
                $(#[test]
                fn $test() {
                    with_store($kind, |store| {
                        Box::pin(store_suite::$module::$test(store))
                    });
                })*
            })*
        }
    };
}

stamp! {
    transact:
        what_was_written_is_loaded_again
        an_input_is_seen_once_its_row_is_written
        what_cannot_be_decided_writes_nothing
        what_was_only_locked_leaves_no_row
        an_account_moves_from_its_own_home_to_its_authorization
        an_account_moves_between_authorizations
        an_account_brings_the_homes_it_has_left
        a_home_has_a_row_as_soon_as_it_has_an_account
        relatives_are_found_by_their_holder
        a_timer_looks_at_the_taker_and_may_write_it
        an_account_that_was_not_named_is_not_written
        ids_may_be_long
        a_nul_is_kept_or_refused
        a_panic_undoes_and_reaches_the_caller
        a_row_twice_in_the_ledger_is_refused;
    together:
        no_update_is_lost_and_nothing_deadlocks
        two_accounts_may_enter_a_new_home_at_once
        the_same_new_account_is_made_once
        a_link_and_a_deactivation_of_one_holder_see_each_other
        of_two_twins_one_is_seen;
    outbox:
        commands_are_claimed_in_order_once_their_claim_has_run_out
        two_claimers_never_get_the_same_command
        of_commands_committed_together_only_those_go_that_were_taken
        work_is_claimed_by_one_until_it_runs_out_or_is_given_up
        of_many_claimants_one_gets_the_work
        due_homes_come_earliest_first;
    operator:
        history_comes_latest_first
        what_an_input_did_is_found_in_the_order_of_writing
        cases_keep_their_last_state
        the_ledger_tells_the_verdict
        the_ledger_tells_which_it_holds
        accounts_come_longest_unheard_first
        an_id_is_found_in_every_scope
        authorizations_are_listed_page_by_page
        parts_together_are_the_whole_list
        the_census_counts
        a_probe_passes;
    outlook:
        an_empty_outlook_is_all_zero
        the_outlook_counts_healths_cases_and_parked_messages
        what_is_expected_is_counted_by_week
        outages_are_counted_at_the_institution_with_the_most;
    parked:
        a_message_is_parked
        parked_messages_come_back_as_they_were
        what_is_to_be_put_back_stands_apart
        the_ledger_is_counted_by_day;
    maintain:
        any_date_is_filed
        what_is_old_is_dropped_and_the_rest_is_kept;
}

mod postgres_only {
    mod suite {
        pub(super) use crate::store_suite::postgres_only::*;
        pub(super) use crate::store_suite::postgres_upgrade::*;
    }
    use relink_tests::database::with_database;

    macro_rules! stamp {
        ($($test:ident)*) => {
            $(#[test]
            fn $test() {
                with_database(|url| Box::pin(suite::$test(url)));
            })*
        };
    }

    stamp! {
        migrations_may_run_at_once_and_again
        a_dry_run_changes_nothing
        commands_that_wait_survive_the_step_to_bundles
        a_schema_that_is_missing_or_newer_is_refused
        a_connection_that_was_ended_is_replaced
        days_are_prepared_and_take_what_was_filed_without_them
        no_row_that_was_only_locked_is_left
        a_home_in_the_hands_of_a_batch_is_not_due
        nobody_is_found_by_reading_the_whole_table
        what_waits_is_found_by_index_however_little_it_is
        every_figure_is_read_off_an_index
        the_outlook_tells_how_many_days_are_prepared
        an_error_tells_no_secret
        a_missing_permission_says_what_to_grant
    }
}
