//! Waiting for something to hold.

use std::time::{Duration, Instant};

/// How long anything may take before it counts as a hang: far above what two busy cores need.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// How often it is asked.
const STEP: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`; at the deadline the test ends with the last `Err`.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(missing) if started.elapsed() > DEADLINE => {
                panic!("not within {} s: {missing}", DEADLINE.as_secs());
            }
            Err(_) => tokio::time::sleep(STEP).await,
        }
    }
}
