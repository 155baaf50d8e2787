//! A collector that is not as it should be.

use relink_tests::feed::Feed;
use relink_tests::process::{Settings, free_address, run};
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use tokio::net::TcpListener;

use crate::collector::Collector;
use crate::webhook;

const DROPPED: &str = "relink_trace_spans_total{result=\"dropped\"}";
const EXPORTED: &str = "relink_trace_spans_total{result=\"exported\"}";

/// What is logged when spans are lost, and when that is over.
const LOST: &str = "spans for the collector of RELINK_OTLP_URL are dropped";
const BACK: &str = "the collector of RELINK_OTLP_URL takes all spans again";

async fn standalone(stage: &Stage, collector: &str, more: &[(&'static str, &str)]) -> Role {
    let mut settings: Settings = vec![
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("db").display())),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_OTLP_URL", collector.to_owned()),
    ];
    settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    start(stage.folder(), "standalone", &["standalone"], settings).await
}

async fn until_more(role: &Role, metric: &str, than: f64) -> f64 {
    until(async || match role.metric(metric).await {
        value if value > than => Ok(value),
        value => Err(format!("{metric} is {value}")),
    })
    .await
}

pub(crate) async fn work_goes_on_while_the_collector_is_away(stage: &Stage) {
    let feed = Feed::new(4320, 2, 8);
    let address = free_address();
    let role = standalone(stage, &format!("http://{address}/"), &[]).await;
    webhook(role.listen, &feed.events[0].body, None).await;
    let dropped = until_more(&role, DROPPED, 0.0).await;
    assert!(role.process.log().contains("it cannot be reached"), "{}", role.process.log());
    webhook(role.listen, &feed.events[1].body, None).await;
    until_more(&role, DROPPED, dropped).await;
    assert!(role.process.log().contains(LOST), "{}", role.process.log());
    assert_eq!(role.metric(EXPORTED).await, 0.0);

    let collector = Collector::start(address).await;
    webhook(role.listen, &feed.events[2].body, None).await;
    let processed = collector.named("process relink.lifecycle", 1).await.remove(0);
    let sent = collector.named("send relink.events", 1).await.remove(0);
    assert_eq!((&processed.trace, processed.parent.as_ref()), (&sent.trace, Some(&sent.id)));
    assert_eq!(sent.attribute("messaging.system"), Some("relink"));
    until_more(&role, EXPORTED, 1.0).await;
    until(async || match role.process.log() {
        log if log.contains(BACK) => Ok(()),
        log => Err(log),
    })
    .await;

    role.process.stop().await;
}

pub(crate) async fn what_a_collector_refuses_is_sent_again_only_where_that_may_help(stage: &Stage) {
    let feed = Feed::new(4322, 2, 8);
    let collector = Collector::start(free_address()).await;
    let role = standalone(stage, &collector.url(), &[]).await;
    collector.answers(400);
    webhook(role.listen, &feed.events[0].body, None).await;
    until_more(&role, DROPPED, 1.0).await;
    assert_eq!(collector.repeated(), 0);
    assert!(role.process.log().contains("it answers 400"), "{}", role.process.log());
    let dropped = role.metric(DROPPED).await;
    collector.answers(503);
    webhook(role.listen, &feed.events[1].body, None).await;
    until(async || match collector.repeated() {
        0 => Err("nothing was sent again".to_owned()),
        _ => Ok(()),
    })
    .await;
    collector.answers(200);
    collector.named("send relink.events", 1).await;
    assert_eq!(role.metric(DROPPED).await, dropped);
    role.process.stop().await;
}

pub(crate) async fn a_collector_that_never_answers_holds_up_no_shutdown(stage: &Stage) {
    let feed = Feed::new(4321, 1, 2);
    // Connections are accepted by the machine and by nobody else.
    let deaf = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", deaf.local_addr().unwrap());
    let role = standalone(stage, &url, &[("RELINK_DRAIN_SECONDS", "1")]).await;
    webhook(role.listen, &feed.events[0].body, None).await;
    let mut process = role.process;
    process.terminate().await;
    assert!(process.wait().await.success(), "{}", process.log());
    assert!(process.log().contains("the last spans were not sent in time"), "{}", process.log());
}

pub(crate) async fn what_cannot_be_a_collector_is_told_before_anything_starts(_stage: &Stage) {
    for role in [&["ingress"][..], &["worker"], &["scheduler"], &["portal"], &["standalone"]] {
        let settings = vec![
            ("RELINK_OTLP_URL", "http://me:s3cret@collector:4318".to_owned()),
            ("RELINK_TRACE_RATIO", "2".to_owned()),
        ];
        let output = run(role, &settings).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        for part in ["RELINK_OTLP_URL must be scheme, host, port and path", "RELINK_TRACE_RATIO: "]
        {
            assert!(said.contains(part), "{role:?}: {part}\n{said}");
        }
        assert!(!said.contains("s3cret"), "{said}");
    }
}
