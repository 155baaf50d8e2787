//! Processes beside each other that differ, or do the same.

use relink_tests::stage::Stage;

use crate::row::{Plan, play};

pub(crate) async fn two_schedulers(stage: &Stage) {
    play(stage, Plan::named("two schedulers, one killed", 801), None, async |row| {
        row.begin().await;
        row.start("scheduler-2", &["scheduler"], &[]).await;
        for percent in [20, 40, 60] {
            row.arrived(percent).await;
            let victim = row.roles.remove("scheduler-2").unwrap();
            row.suffer(victim.process.kill()).await;
            row.start("scheduler-2", &["scheduler"], &[]).await;
        }
        row.consumes_again().await;
    })
    .await;
}
