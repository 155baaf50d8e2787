//! The stand-in for Stripe.

use relink_sim::{Sim, SimConfig};

use crate::cli::SimArgs;
use crate::failure::Failure;
use crate::settings::Problems;
use crate::shutdown;
use crate::telemetry::{bind, start_logging};

pub(crate) async fn run(args: SimArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let listen = problems.listen("RELINK_SIM_LISTEN", &args.sim_listen);
    let seed = problems.number("RELINK_SIM_SEED", &args.sim_seed);
    let duplicate = problems.chance("RELINK_SIM_DUPLICATE", &args.sim_duplicate);
    let reorder = problems.chance("RELINK_SIM_REORDER", &args.sim_reorder);
    let lose = problems.chance("RELINK_SIM_LOSE", &args.sim_lose);
    problems.one_word("RELINK_SIM_API_KEY", &args.sim_api_key);
    problems.one_word("RELINK_SIM_WEBHOOK_SECRET", &args.sim_webhook_secret);
    problems.done()?;
    let (Some(listen), Some(seed), Some(duplicate), Some(reorder), Some(lose)) =
        (listen, seed, duplicate, reorder, lose)
    else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let mut config = SimConfig {
        seed,
        api_key: args.sim_api_key,
        webhook_url: args.sim_webhook_url,
        webhook_secret: args.sim_webhook_secret,
        webhook_version: args.sim_webhook_version,
        ..SimConfig::default()
    };
    config.delivery.duplicate = duplicate;
    config.delivery.reorder = reorder;
    config.delivery.lose = lose;
    let stop = shutdown::on_signal()?;
    let listener = bind("RELINK_SIM_LISTEN", listen).await?;
    tracing::info!(%listen, "simulator: the API under /v1, controls under /control");
    let serving = Sim::new(config);
    serving.serve(listener, stop.cancelled_owned()).await.map_err(Failure::unavailable)
}
