//! What is said to the commands that other programs call: health checks, shells, packagers.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// Ask whether it runs (/healthz), not whether it can work (/readyz)
    #[arg(long)]
    pub(crate) live: bool,
    /// Where /metrics, /healthz and /readyz are served; `off` for nowhere
    #[arg(long, env = "RELINK_ADMIN_LISTEN", default_value = "127.0.0.1:9090")]
    pub(crate) admin_listen: String,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// An existing folder, such as /usr/local/share/man/man1
    pub(crate) folder: PathBuf,
}
