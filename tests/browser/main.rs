//! The relink page in a real browser: everything a customer can meet, clicked through.
//!
//! It needs Debian's `chromium` and `chromium-driver`, which `tests/run` installs; without them
//! each test says that it is left out. `RELINK_TEST_SCREENSHOTS` names a folder for screenshots,
//! `RELINK_TEST_AXE` the file with axe-core that `tests/run` fetches. At the end of each test the
//! console has to be without a complaint, and no secret may be in the log, the metrics, the
//! database or the browser's own files.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stderr, reason = "a test tells what is left out")]

mod accessibility;
mod driver;
mod scene;

use relink_sim::TestBank;
use relink_tests::process::Process;
use relink_tests::wait::{DEADLINE, until};
use serde_json::json;

use crate::scene::{play, play_demo, play_in};

/// The button of the page.
const START: &str = "[data-start]";
/// The buttons of the simulated bank.
const RELINK: &str = "[data-outcome=succeeded]";
const LEFT_OUT: &str = "[data-outcome=left_out]";
const ANOTHER: &str = "[data-outcome=another_authorization]";

#[tokio::test]
async fn a_customer_relinks_all_accounts() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 3).await;
        browser.open(&link).await;
        browser.says("Reconnect Harbor Federal Bank").await;
        scene.look_at("ask").await;
        assert_eq!(scene.sim.state()["sessions"], json!([]), "opening makes no session");
        browser.click(START).await;
        browser.click(RELINK).await;
        browser.says("Harbor Federal Bank is connected again").await;
        for account in ["1001", "1002", "1003"] {
            browser.says(&format!("ending in {account}")).await;
        }
        let focus = "return document.activeElement.tagName";
        assert_eq!(browser.script(focus).await, "H1", "a screen reader is told");
        scene.look_at("done").await;
        browser.reload().await;
        browser.says("All is well").await;
        scene.look_at("closed").await;
        let kept = "return localStorage.length + sessionStorage.length + document.cookie.length";
        assert_eq!(browser.script(kept).await, 0, "nothing is kept in the browser");
    })
    .await;
}

#[tokio::test]
async fn in_hosted_mode_a_customer_goes_to_stripes_page_and_comes_back() {
    play_in("hosted", async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 2).await;
        browser.open(&link).await;
        browser.click("button[type=submit]").await;
        browser.says("Simulated bank").await;
        browser.click(RELINK).await;
        browser.says("Thank you").await;
        scene.look_at("returned").await;
        assert!(scene.sim.flush(DEADLINE).await, "every webhook is answered");
        let closed = async || {
            browser.open(&link).await;
            let said = browser.text().await;
            if said.contains("All is well") { Ok(()) } else { Err(said) }
        };
        until(closed).await;
    })
    .await;
}

#[tokio::test]
async fn an_account_that_was_left_out_is_named_and_follows() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 2).await;
        browser.open(&link).await;
        browser.click(START).await;
        browser.click(LEFT_OUT).await;
        browser.says("Almost done").await;
        browser.says("Connect the remaining accounts").await;
        scene.look_at("left-out").await;
        browser.click(START).await;
        browser.click(RELINK).await;
        browser.says("is connected again").await;
        browser.says("ending in 1002").await;
    })
    .await;
}

#[tokio::test]
async fn another_authorization_is_explained() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 2).await;
        browser.open(&link).await;
        browser.click(START).await;
        browser.click(ANOTHER).await;
        browser.says("Your bank made a new connection").await;
        scene.look_at("another").await;
        browser.reload().await;
        browser.says("All is well").await;
    })
    .await;
}

#[tokio::test]
async fn what_does_not_work_out_is_told_and_can_be_tried_again() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 2).await;
        browser.open(&link).await;
        for (outcome, said) in [
            ("no_account", "That was not the account we need"),
            ("no_authorization", "Signing in did not work"),
            ("pending", "Nothing was changed"),
            ("failed", "It did not work this time"),
        ] {
            browser.click(START).await;
            browser.click(&format!("[data-outcome={outcome}]")).await;
            browser.says(said).await;
        }
        scene.look_at("failed").await;
        browser.click(START).await;
        browser.click("[data-outcome=account_closed]").await;
        browser.says("cannot be reconnected").await;
        scene.look_at("account-closed").await;
    })
    .await;
}

#[tokio::test]
async fn accounts_that_are_linked_inactive_are_prompted_for() {
    play(async |scene| {
        let browser = &scene.browser;
        // Any page that Stripe.js is on will do for a first link.
        browser.open(&scene.outage("cus_Ada", 1).await).await;
        browser.says("Reconnect Harbor Federal Bank").await;
        scene.link_in_the_browser("cus_Ben").await;
        let bank = TestBank::InactiveAccounts.name();
        browser.click(&format!("[data-institution='{bank}']")).await;
        let authorization = scene.authorization_of("cus_Ben").await;
        browser.open(&scene.prompt(&authorization).await).await;
        browser.says(&format!("Reconnect {bank}")).await;
        browser.click(START).await;
        browser.click(RELINK).await;
        browser.says(&format!("{bank} is connected again")).await;
    })
    .await;
}

#[tokio::test]
async fn the_link_that_the_demo_opens_with_works_to_the_end() {
    play_demo(async |browser, demo| {
        let link = until(async || first_link(&demo.out()).ok_or("no link".into())).await;
        until(async || told(demo, "Everything keeps running")).await;
        browser.open(&link).await;
        browser.says("Reconnect Tide Savings Bank").await;
        browser.click(START).await;
        browser.click(RELINK).await;
        browser.says("Tide Savings Bank is connected again").await;
        until(async || told(demo, "stop asking Cleo")).await;
        browser.reload().await;
        browser.says("All is well").await;
    })
    .await;
}

fn first_link(out: &str) -> Option<String> {
    out.lines().map(str::trim).find(|line| line.starts_with("http://")).map(str::to_owned)
}

fn told(demo: &Process, wanted: &str) -> Result<(), String> {
    let out = demo.out();
    if out.contains(wanted) { Ok(()) } else { Err(format!("{wanted} is not in {out}")) }
}

#[tokio::test]
async fn whoever_cancels_can_try_again_with_the_keyboard_alone() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 1).await;
        browser.open(&link).await;
        browser.says("Reconnect Harbor Federal Bank").await;
        // WebDriver's key codes for Tab, Enter and Escape.
        let (tab, enter, escape) = ("\u{e004}", "\u{e007}", "\u{e00c}");
        browser.press(&[tab, enter]).await;
        browser.says("simulated bank").await;
        browser.press(&[escape]).await;
        browser.says("Nothing was changed").await;
        scene.look_at("cancelled").await;
        browser.press(&[tab, enter]).await;
        browser.says("simulated bank").await;
        browser.press(&[enter]).await;
        browser.says("is connected again").await;
    })
    .await;
}

#[tokio::test]
async fn two_tabs_do_not_get_in_each_others_way() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 2).await;
        browser.open(&link).await;
        browser.says("Reconnect").await;
        let first = browser.new_tab().await;
        browser.open(&link).await;
        browser.click(START).await;
        browser.click(RELINK).await;
        browser.says("is connected again").await;
        assert!(scene.sim.flush(relink_tests::wait::DEADLINE).await);
        browser.switch_to(&first).await;
        browser.click(START).await;
        browser.says("All is well").await;
    })
    .await;
}

#[tokio::test]
async fn links_that_do_not_work_say_why() {
    play(async |scene| {
        let browser = &scene.browser;
        let link = scene.outage("cus_Ada", 1).await;
        browser.open(&scene.expired_link()).await;
        browser.says("This link has expired").await;
        scene.look_at("expired").await;
        browser.open(&link[..link.len() - 1]).await;
        browser.says("This link does not work").await;
        scene.look_at("broken").await;
        // The browser reports the statuses 410 and 404 of the pages themselves.
        let complaints = browser.complaints().await;
        assert!(complaints.iter().all(|one| one.contains("the server responded")));
        let off = json!({ "value": true });
        browser.devtools("Emulation.setScriptExecutionDisabled", &off).await;
        browser.open(&link).await;
        let shot = browser.screenshot().await;
        if let Some(folder) = std::env::var_os("RELINK_TEST_SCREENSHOTS") {
            std::fs::write(std::path::Path::new(&folder).join("no-script.png"), shot).unwrap();
        }
        let on = json!({ "value": false });
        browser.devtools("Emulation.setScriptExecutionDisabled", &on).await;
        browser.says("This page needs JavaScript").await;
    })
    .await;
}
