//! What the stand-in for Stripe takes.

use clap::Args;

use super::LogArgs;

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// Where the API and its controls are served
    #[arg(long, env = "RELINK_SIM_LISTEN", default_value = "127.0.0.1:12111")]
    pub(crate) sim_listen: String,
    /// Where webhooks are sent; nowhere where unset
    #[arg(long, env = "RELINK_SIM_WEBHOOK_URL")]
    pub(crate) sim_webhook_url: Option<String>,
    /// What they are signed with; `whsec_sim` where unset
    #[arg(long, env = "RELINK_SIM_WEBHOOK_SECRET", hide_env_values = true)]
    pub(crate) sim_webhook_secret: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_SIM_WEBHOOK_SECRET_FILE")]
    pub(crate) sim_webhook_secret_file: Option<String>,
    /// The version that shapes their bodies
    #[arg(long, env = "RELINK_SIM_WEBHOOK_VERSION", default_value = "2026-09-30.preview")]
    pub(crate) sim_webhook_version: String,
    /// The API key that is accepted; `sk_test_sim` where unset
    #[arg(long, env = "RELINK_SIM_API_KEY", hide_env_values = true)]
    pub(crate) sim_api_key: Option<String>,
    /// A file that holds it instead
    #[arg(long, env = "RELINK_SIM_API_KEY_FILE")]
    pub(crate) sim_api_key_file: Option<String>,
    /// Decides every id and every chance
    #[arg(long, env = "RELINK_SIM_SEED", default_value = "1")]
    pub(crate) sim_seed: String,
    /// The chance that an event is delivered twice, 0 to 1
    #[arg(long, env = "RELINK_SIM_DUPLICATE", default_value = "0")]
    pub(crate) sim_duplicate: String,
    /// The chance that an event is overtaken by later ones, 0 to 1
    #[arg(long, env = "RELINK_SIM_REORDER", default_value = "0")]
    pub(crate) sim_reorder: String,
    /// The chance that an event is never delivered, 0 to 1
    #[arg(long, env = "RELINK_SIM_LOSE", default_value = "0")]
    pub(crate) sim_lose: String,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}
