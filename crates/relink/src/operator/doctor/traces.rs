//! The collector of traces: whether it takes any.

use super::line::{Check, Line};
use crate::otlp::{Probed, probe};
use crate::settings::Collector;

/// All that is told of it.
pub(super) const CHECKS: [Check; 1] = [Check::Traces];

/// Looks.
pub(super) async fn look(collector: Option<&Collector>, lines: &mut Vec<Line>) {
    let Some(collector) = collector else {
        let found = "not configured: RELINK_OTLP_URL is not set";
        return lines.push(Line::not_checked(Check::Traces, found, ""));
    };
    lines.push(match probe(collector).await {
        Probed::Takes(found) => Line::ok(Check::Traces, found),
        Probed::Refuses(found, advice) => Line::warn(Check::Traces, found, advice),
        Probed::NoClient(found, advice) => Line::fail(Check::Traces, found, advice),
    });
}
