//! Processes beside each other that differ, or do the same.

use std::path::PathBuf;

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

/// Turns the clock of a process, and lets its stopwatch run as it does.
fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let paths = libraries.map(|one| one.path().join("faketime/libfaketimeMT.so.1"));
    paths.into_iter().find(|path| path.exists())
}

/// What it decides is stamped, and what it commits is claimed, by a clock that is minutes off.
pub(crate) async fn clocks_minutes_apart(stage: &Stage) {
    let Some(library) = faketime() else {
        eprintln!("LEFT OUT: libfaketime is not installed, so no clock was turned");
        return;
    };
    play(stage, Plan::named("one worker's clock 3 minutes off", 802), None, async |row| {
        row.begin().await;
        for (percent, offset) in [(20, "+180"), (50, "-180")] {
            row.arrived(percent).await;
            let right = row.roles.remove("worker-2").unwrap();
            right.process.stop().await;
            let turned = [
                ("LD_PRELOAD", library.display().to_string()),
                ("FAKETIME", offset.to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ];
            row.start("worker-2", &["worker"], &turned).await;
            row.consumes_again().await;
        }
    })
    .await;
}
