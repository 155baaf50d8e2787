//! Prometheus itself, as a private server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use relink_tests::http::get;
use relink_tests::process::free_address;
use relink_tests::wait::until;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::promtool::SERVER;

/// A server of its own on loopback; killed when dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    _process: Child,
}

impl Prometheus {
    /// Starts it with a configuration and waits until it answers.
    pub(crate) async fn start(folder: &Path, configuration: &Path) -> Self {
        let address = free_address();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let process = Command::new(SERVER)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--log.level=warn"])
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let server = Self { address, _process: process };
        until(async || match get(address, "/-/ready").await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(answer.body),
            Err(error) => Err(format!("Prometheus: {error}")),
        })
        .await;
        server
    }

    /// What its API answers.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        answered(reqwest::Client::new().get(self.url(path))).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.address)
    }

    /// The values that a query has now; an error is told as the reason.
    pub(crate) async fn values(&self, query: &str) -> Result<Vec<f64>, String> {
        let asked = reqwest::Client::new().post(self.url("query"));
        let answer = answered(asked.form(&[("query", query)])).await;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let result = &answer["data"]["result"];
        if answer["data"]["resultType"] == "scalar" {
            return Ok(vec![result[1].as_str().unwrap().parse().unwrap()]);
        }
        let of = |series: &Value| series["value"][1].as_str().unwrap().parse::<f64>().unwrap();
        Ok(result.as_array().unwrap().iter().map(of).collect())
    }
}

async fn answered(asked: reqwest::RequestBuilder) -> Value {
    let answer = asked.timeout(Duration::from_secs(30)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("Prometheus: {text}"))
}
