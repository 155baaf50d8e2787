//! Where traces go.

use clap::Args;

/// All of them, unless somebody has too many.
pub(crate) const TRACE_RATIO: &str = "1";

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Where traces go by OTLP, as JSON over HTTP: http://collector:4318, to which /v1/traces is
    /// added; nowhere where unset
    #[arg(long, env = "RELINK_OTLP_URL")]
    pub(crate) otlp_url: Option<String>,
    /// Which part of the traces that begin here is told, 0 to 1; others go by their `traceparent`
    #[arg(long, env = "RELINK_TRACE_RATIO", default_value = TRACE_RATIO)]
    pub(crate) trace_ratio: String,
}
