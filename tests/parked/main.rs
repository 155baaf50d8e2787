//! One suite for everything that keeps parked messages: the bus of a single process over a
//! database, and RabbitMQ.
//!
//! The half of RabbitMQ needs the servers of `tests/servers/with`; without them it says so and
//! passes. Start reading at [`world`]: what a test sees of either.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod suite;
mod world;

use relink_tests::stage::{on_stage, without_servers};
use world::World;

/// Stamps the suite for both.
macro_rules! stamp {
    ($($test:ident)*) => {
        mod embedded {
            $(#[test]
            fn $test() {
                super::without_servers(async |_| {
                    super::suite::$test(super::World::embedded()).await;
                });
            })*
        }
        mod rabbitmq {
            $(#[test]
            fn $test() {
                super::on_stage(async |stage| {
                    super::suite::$test(super::World::rabbitmq(stage).await).await;
                });
            })*
        }
    };
}

stamp! {
    looking_changes_nothing
    what_is_put_back_comes_again_and_counts
    a_filter_chooses
    many_are_met_once_each
    a_limit_stops
    a_drop_is_recorded_and_then_gone
    a_drop_of_what_nobody_can_read_is_recorded_under_its_name
    a_dropped_event_stays_dropped
    a_walk_that_is_given_up_loses_nothing
    two_who_look_at_once_see_everything
    two_who_put_back_at_once_count_each_message_once
    what_was_parked_during_a_walk_is_not_met_by_it
    the_books_balance
}
