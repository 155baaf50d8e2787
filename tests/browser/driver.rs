//! Chromium, driven through WebDriver (W3C WebDriver 2, and ChromeDriver's own `goog/cdp`).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relink_tests::process::free_address;
use relink_tests::wait::until;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The programs of Debian's packages `chromium-driver` and `chromium`; `None` where one is
/// missing.
pub(crate) fn programs() -> Option<(PathBuf, PathBuf)> {
    let driver = Path::new("/usr/bin/chromedriver");
    let browser = Path::new("/usr/bin/chromium");
    (driver.exists() && browser.exists()).then(|| (driver.into(), browser.into()))
}

/// How a page is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    pub(crate) dark: bool,
    pub(crate) phone: bool,
}

impl Look {
    pub(crate) const ALL: [Self; 4] = [
        Self { dark: false, phone: false },
        Self { dark: true, phone: false },
        Self { dark: false, phone: true },
        Self { dark: true, phone: true },
    ];

    pub(crate) fn name(self) -> String {
        let colours = if self.dark { "dark" } else { "light" };
        let device = if self.phone { "phone" } else { "desktop" };
        format!("{device}-{colours}")
    }
}

/// A browser with one session; both end when it is dropped.
pub(crate) struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Child,
}

impl Browser {
    pub(crate) async fn start(profile: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (driver, chromium) = programs().expect("the programs are there");
        let address = free_address();
        let driver = Command::new(driver)
            .arg(format!("--port={}", address.port()))
            .env_clear()
            .env("HOME", profile)
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(COMMAND_TIMEOUT).build().unwrap();
        let base = format!("http://{address}");
        until(async || {
            let status = http.get(format!("{base}/status")).send().await;
            status.map(drop).map_err(|error| error.to_string())
        })
        .await;
        let options = json!({
            "binary": chromium,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--window-size=1100,900", "--no-first-run",
                format!("--user-data-dir={}", profile.join("chromium").display()),
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let answer = http.post(format!("{base}/session")).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Self { http, session: format!("{base}/session/{id}"), _driver: driver }
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.http.post(format!("{}/{path}", self.session)).json(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_done = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        if is_done { Ok(value) } else { Err(format!("{path}: {}", value["message"])) }
    }

    async fn must(&self, path: &str, body: &Value) -> Value {
        self.call(path, body).await.unwrap()
    }

    pub(crate) async fn open(&self, url: &str) {
        self.must("url", &json!({ "url": url })).await;
    }

    pub(crate) async fn reload(&self) {
        self.must("refresh", &json!({})).await;
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        self.must("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// A script that calls its last argument when it is done.
    pub(crate) async fn script_until_done(&self, script: &str) -> Value {
        self.must("execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// All that can be read on the page.
    pub(crate) async fn text(&self) -> String {
        let text = self.script("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until this is true of the page.
    pub(crate) async fn holds(&self, expression: &str) {
        until(async || match self.script(&format!("return !!({expression})")).await {
            Value::Bool(true) => Ok(()),
            other => Err(format!("{expression} is {other}")),
        })
        .await;
    }

    /// Waits until the page says this.
    pub(crate) async fn says(&self, wanted: &str) {
        until(async || {
            let text = self.text().await;
            if text.contains(wanted) {
                Ok(())
            } else {
                Err(format!("{wanted:?} is not in: {text}"))
            }
        })
        .await;
    }

    /// Waits for an element and clicks it as a person would: it has to be there and uncovered.
    pub(crate) async fn click(&self, css: &str) {
        until(async || {
            let found =
                self.call("element", &json!({ "using": "css selector", "value": css })).await?;
            let id = found[ELEMENT].as_str().ok_or("no element")?;
            let enabled = format!("return !document.querySelector({css:?}).disabled");
            if self.script(&enabled).await != json!(true) {
                return Err(format!("{css} is disabled"));
            }
            self.call(&format!("element/{id}/click"), &json!({})).await.map(drop)
        })
        .await;
    }

    /// Presses keys wherever the focus is.
    pub(crate) async fn press(&self, keys: &[&str]) {
        let presses = keys.iter().flat_map(|key| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let presses: Vec<Value> = presses.collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": presses });
        self.must("actions", &json!({ "actions": [keyboard] })).await;
    }

    /// Opens a tab and goes there; the name of the tab that was left.
    pub(crate) async fn new_tab(&self) -> String {
        let left = self.http.get(format!("{}/window", self.session)).send().await.unwrap();
        let left: Value = left.json().await.unwrap();
        let made = self.must("window/new", &json!({ "type": "tab" })).await;
        self.must("window", &json!({ "handle": made["handle"] })).await;
        left["value"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn switch_to(&self, tab: &str) {
        self.must("window", &json!({ "handle": tab })).await;
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.must("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    pub(crate) async fn look(&self, look: Look) {
        let value = if look.dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features })).await;
        let (width, height) = if look.phone { (390, 844) } else { (1100, 900) };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": look.phone,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
    }

    /// What is seen, as a PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        let answer = self.http.get(format!("{}/screenshot", self.session)).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        STANDARD.decode(answer["value"].as_str().unwrap()).unwrap()
    }

    /// What the console has said since it was asked last: errors and violations of the policy.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.must("se/log", &json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let grave = |entry: &&Value| ["SEVERE", "WARNING"].iter().any(|one| entry["level"] == *one);
        entries.iter().filter(grave).map(|entry| entry["message"].to_string()).collect()
    }

    /// Ends the browser, so that everything it keeps is on the disk.
    pub(crate) async fn end(self) {
        let _ = self.http.delete(&self.session).send().await;
    }
}
