//! The settings of the relink page and the API.

use clap::Args;

use super::{
    AdminArgs, AmqpArgs, DatabaseArgs, LinkArgs, ListenerTlsArgs, LogArgs, StripeArgs, TraceArgs,
};

#[derive(Debug, Args)]
pub(crate) struct PortalArgs {
    /// Where the relink page listens; customers have to reach it by https
    #[arg(long, env = "RELINK_PORTAL_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) portal_listen: String,
    /// The name of your product, as customers know it
    #[arg(long, env = "RELINK_PORTAL_BRAND")]
    pub(crate) portal_brand: Option<String>,
    /// The colour of the page's button
    #[arg(long, env = "RELINK_PORTAL_COLOUR", default_value = "#0b57d0")]
    pub(crate) portal_colour: String,
    /// A file with the logo: SVG, PNG, JPEG or WebP; the name stands there where unset
    #[arg(long, env = "RELINK_PORTAL_LOGO")]
    pub(crate) portal_logo: Option<String>,
    /// A file with the page's texts, to change or translate them
    #[arg(long, env = "RELINK_PORTAL_TEXTS")]
    pub(crate) portal_texts: Option<String>,
    /// Where customers sign in: page (Stripe's window over ours) or hosted (Stripe's own page)
    #[arg(long, env = "RELINK_PORTAL_UI_MODE", default_value = "page")]
    pub(crate) portal_ui_mode: String,
    /// The key (pk_…) with which the page opens Stripe's window
    #[arg(long, env = "RELINK_STRIPE_PUBLISHABLE_KEY")]
    pub(crate) stripe_publishable_key: Option<String>,
    /// SHA-256 of the API's tokens, comma separated: read:<hex>,write:<hex>; nobody where unset
    #[arg(long, env = "RELINK_API_TOKENS", hide_env_values = true)]
    pub(crate) api_tokens: Option<String>,
    /// A file that holds them instead
    #[arg(long, env = "RELINK_API_TOKENS_FILE")]
    pub(crate) api_tokens_file: Option<String>,
    /// Where Stripe.js comes from
    #[arg(long, env = "RELINK_STRIPE_JS_URL", default_value = "https://js.stripe.com/v3/")]
    pub(crate) stripe_js_url: String,
}

#[derive(Debug, Args)]
pub(crate) struct PortalRoleArgs {
    #[command(flatten)]
    pub(crate) amqp: AmqpArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) stripe: StripeArgs,
    #[command(flatten)]
    pub(crate) link: LinkArgs,
    #[command(flatten)]
    pub(crate) page: PortalArgs,
    #[command(flatten)]
    pub(crate) tls: ListenerTlsArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}
