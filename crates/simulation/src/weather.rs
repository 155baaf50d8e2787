//! Trouble that lasts for a while: servers that are away, clocks that are wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::host::Hosts;
use crate::plan::Deployment;
use crate::stage::Stage;

/// How often it may turn.
const TURN: Duration = Duration::from_secs(60);

/// How far a clock jumps at the most, in seconds. Within the age that webhooks may have: beyond
/// it every webhook is refused until the clock is right, which is what the setting is for.
const JUMP_SECONDS: i64 = 240;

/// Lets it turn until the faults stop.
pub(crate) fn begin(stage: &Arc<Stage>, hosts: &Arc<Hosts>) {
    let (stage, hosts) = (Arc::clone(stage), Arc::clone(hosts));
    tokio::spawn(async move {
        let chance = Chance::of(stage.plan.seed, "weather");
        let has_broker = stage.plan.deployment != Deployment::Standalone;
        while !stage.is_calm() {
            tokio::time::sleep(TURN).await;
            let span = Duration::from_millis(chance.between(300, 45_000));
            let (pick, jump) =
                (chance.below(1 << 16), chance.below(2 * JUMP_SECONDS.unsigned_abs()));
            if stage.strikes(&chance, Fault::ClockJump) {
                let seconds = i64::try_from(jump).unwrap_or(0) - JUMP_SECONDS;
                hosts.set_clock(pick, seconds * 1000);
            }
            if stage.strikes(&chance, Fault::DatabaseAway) {
                stage.note("database", format_args!("is away for {} ms", span.as_millis()));
                stage.database_away.store(true, Ordering::Relaxed);
                tokio::time::sleep(span).await;
                stage.database_away.store(false, Ordering::Relaxed);
                stage.note("database", format_args!("is back"));
            }
            if stage.strikes(&chance, Fault::BrokerAway) && has_broker {
                stage.note("broker", format_args!("is away for {} ms", span.as_millis()));
                stage.broker.set_away(true);
                tokio::time::sleep(span).await;
                stage.broker.set_away(false);
                stage.note("broker", format_args!("is back"));
            }
        }
    });
}
