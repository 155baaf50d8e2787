//! The stand-in for Stripe.

use relink_ingress::{ServeLimits, serve};
use relink_sim::{Sim, SimConfig};
use tokio::net::TcpListener;

use crate::cli::SimArgs;
use crate::failure::Failure;
use crate::settings::Problems;
use crate::shutdown;
use crate::telemetry::{bind, start_logging};

/// What is expected of whoever asks, and what webhooks are signed with, where nothing is said.
const API_KEY: &str = "sk_test_sim";
const WEBHOOK_SECRET: &str = "whsec_sim";

pub(crate) async fn run(args: SimArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let listen = problems.listen("RELINK_SIM_LISTEN", &args.sim_listen);
    let seed = problems.number("RELINK_SIM_SEED", &args.sim_seed);
    let duplicate = problems.chance("RELINK_SIM_DUPLICATE", &args.sim_duplicate);
    let reorder = problems.chance("RELINK_SIM_REORDER", &args.sim_reorder);
    let lose = problems.chance("RELINK_SIM_LOSE", &args.sim_lose);
    let api_key = problems.secret("RELINK_SIM_API_KEY", args.sim_api_key, args.sim_api_key_file);
    let (secret, file) = (args.sim_webhook_secret, args.sim_webhook_secret_file);
    let webhook_secret = problems.secret("RELINK_SIM_WEBHOOK_SECRET", secret, file);
    problems.done()?;
    let (Some(listen), Some(seed), Some(duplicate), Some(reorder), Some(lose)) =
        (listen, seed, duplicate, reorder, lose)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let mut config = SimConfig {
        seed,
        api_key: api_key.unwrap_or_else(|| API_KEY.to_owned()),
        webhook_url: args.sim_webhook_url,
        webhook_secret: webhook_secret.unwrap_or_else(|| WEBHOOK_SECRET.to_owned()),
        webhook_version: args.sim_webhook_version,
        ..SimConfig::default()
    };
    config.delivery.duplicate = duplicate;
    config.delivery.reorder = reorder;
    config.delivery.lose = lose;
    let stop = shutdown::on_signal()?;
    let listener = bind("RELINK_SIM_LISTEN", listen).await?;
    tracing::info!(%listen, "simulator: the API under /v1, controls under /control");
    simulate(&Sim::new(config), listener, stop.cancelled()).await
}

/// Serves the simulator like every other listener, and delivers its webhooks.
pub(super) async fn simulate(
    sim: &Sim,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    tokio::select! {
        () = serve(listener, sim.router(), ServeLimits::default(), stop) => Ok(()),
        failed = sim.deliver() => failed.map_err(Failure::unavailable),
    }
}
