//! `relink forecast`: what Stripe says and what banks are known for, side by side.

use relink_sim::{Link, Sim, SimConfig};
use relink_tests::api::Api;
use relink_tests::process::{free_address, run};
use relink_tests::role::{WEBHOOK_SECRET, start};
use relink_tests::stage::Stage;
use relink_tests::wait::DEADLINE;
use serde_json::{Value, json};

const DAY_S: i64 = 86_400;

pub(crate) async fn the_forecast_tells_stripes_dates_from_ours(stage: &Stage) {
    let listen = free_address();
    let sim = Sim::new(SimConfig {
        webhook_url: Some(format!("http://{listen}/webhooks/stripe")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        ..SimConfig::default()
    });
    let api = Api::serve(&sim).await;
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    let mut settings = api.settings();
    settings.extend([
        ("RELINK_DATABASE_URL", database),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ]);
    let role = start(stage.folder(), "standalone", &["standalone"], settings.clone()).await;
    let link = |bank: &str, accounts: usize| {
        sim.link(Link::of("cus_1", bank, accounts)).unwrap().authorization.unwrap()
    };
    link("Bank of America", 2);
    sim.expire(&link("Cedar Valley Bank", 1)).unwrap();
    sim.warn(&link("Harbor Federal Bank", 3), sim.now_unix_s() + 20 * DAY_S, None).unwrap();
    link("Quiet Bank", 1);
    assert!(sim.flush(DEADLINE).await, "every webhook is answered");

    let output = run(&["forecast", "--json"], &settings).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = told["lines"].as_array().unwrap();
    let of = |bank: &str| {
        let line = lines.iter().find(|line| line["bank"] == bank);
        line.map(|one| json!([one["when"], one["accounts"], one["authorizations"], one["says"]]))
    };
    assert_eq!(of("Cedar Valley Bank"), Some(json!(["now", 1, 1, "stripe"])), "{told}");
    assert_eq!(of("Harbor Federal Bank"), Some(json!(["week", 3, 1, "stripe"])), "{told}");
    assert_eq!(of("Bank of America"), Some(json!(["week", 2, 1, "bank_table"])), "{told}");
    assert_eq!(of("Quiet Bank"), None, "{told}");
    let prompts = role.process.out();
    let prompts = prompts.lines().filter(|line| line.contains("relink.prompt_relink.v1"));
    assert!(!prompts.collect::<String>().contains("Bank of America"), "no reason to prompt");

    let table = stage.folder().join("banks.toml");
    let own = "[[bank]]\nnames = [\"quiet bank\"]\n[[bank.rule]]\nany_time = true\nwhy = \"x\"";
    std::fs::write(&table, own).unwrap();
    settings.push(("RELINK_BANKS", table.display().to_string()));
    let output = run(&["forecast"], &settings).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("any time    Quiet Bank") && !told.contains("America"), "{told}");
    std::fs::write(&table, "[[bank]]\nname = \"Quiet Bank\"").unwrap();
    let output = run(&["forecast"], &settings).await;
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("RELINK_BANKS") && said.contains("names"), "{said}");
    role.process.stop().await;
}
