//! promtool, as the distribution has it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The server that it comes with.
pub(crate) const SERVER: &str = "/usr/bin/prometheus";
const PROMTOOL: &str = "/usr/bin/promtool";

/// Whether it is installed; says so where it is not.
pub(crate) fn is_there() -> bool {
    let there = Path::new(SERVER).exists() && Path::new(PROMTOOL).exists();
    if !there {
        eprintln!("LEFT OUT: Prometheus is not installed: no query was tried");
    }
    there
}

/// What promtool has against a page of metrics, line by line.
pub(crate) async fn check_metrics(page: &str) -> impl Iterator<Item = String> {
    let mut said = String::new();
    if is_there() {
        let mut promtool = Command::new(PROMTOOL);
        promtool.args(["check", "metrics"]).stdin(Stdio::piped());
        promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = promtool.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(page.as_bytes()).await.unwrap();
        drop(input);
        let output = child.wait_with_output().await.unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), said.is_empty(), "{}: {said}", output.status);
    }
    said.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}
