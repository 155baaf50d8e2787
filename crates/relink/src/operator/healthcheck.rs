//! `relink healthcheck`: asks the role beside it, for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::cli::HealthcheckArgs;
use crate::failure::Failure;
use crate::settings::Problems;

/// Below the least timeout that runtimes give a health check.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: HealthcheckArgs) -> Result<(), Failure> {
    let address = address(args.admin_listen.trim())?;
    let path = if args.live { "healthz" } else { "readyz" };
    let url = format!("http://{}/{path}", reachable(address));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let asked = client.map_err(Failure::software)?.get(&url).send().await;
    let answer = asked.map_err(|_| Failure::no(format!("nobody answers at {url}")))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    Err(Failure::no(format!("{url} answers {status}: {}", said.trim())))
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let mut problems = Problems::default();
    if text == "off" {
        problems.add("RELINK_ADMIN_LISTEN is off: there is nothing to ask");
    } else if let Some(address) = problems.listen("RELINK_ADMIN_LISTEN", text) {
        return Ok(address);
    }
    Err(Failure::usage(&problems.told()))
}

/// What listens on every address is asked on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn a_wildcard_is_asked_on_this_machine() {
        let asked = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(asked("[::]:9090"), "[::1]:9090");
        assert_eq!(asked("10.0.0.1:9090"), "10.0.0.1:9090");
    }
}
