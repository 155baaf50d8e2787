//! Whether the collector takes traces, before there are any.

use std::time::Duration;

use bytes::Bytes;

use super::delivery::attempt;
use super::{GET_AUTHORITIES, NO_AUTHORITIES};
use crate::settings::Collector;
use crate::wiring;

/// How long a person waits for it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A request without any span.
const EMPTY: &[u8] = br#"{"resourceSpans":[]}"#;

/// What to do about a collector that does not take traces.
const MEND: &str = "start it, or correct RELINK_OTLP_URL; until then spans are dropped, and \
                    nothing else is affected";

/// What became of an empty request.
#[derive(Debug)]
pub(crate) enum Probed {
    /// It is taken; says how.
    Takes(String),
    /// It is not; says why and what to do.
    Refuses(String, &'static str),
    /// No role would start.
    NoClient(&'static str, &'static str),
}

/// Sends the collector a request without any span.
pub(crate) async fn probe(collector: &Collector) -> Probed {
    let url = &collector.url;
    let Ok(client) = wiring::http_client(url).timeout(ANSWER_TIMEOUT).build() else {
        return Probed::NoClient(NO_AUTHORITIES, GET_AUTHORITIES);
    };
    match attempt(&client, url, Bytes::from_static(EMPTY)).await {
        Ok(taken) => Probed::Takes(format!(
            "the collector at {url} answers {} to an empty request",
            taken.status.as_u16()
        )),
        Err(refusal) => Probed::Refuses(format!("the collector at {url}: {}", refusal.why), MEND),
    }
}
