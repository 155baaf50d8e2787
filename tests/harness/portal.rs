//! What a relink page and its API are told.

use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use crate::process::Settings;

/// Of the API, with the right to write.
pub const API_TOKEN: &str = "a-token-of-a-test";

/// For a page on this address; the keys are of live mode, like those of [`crate::feed`].
pub fn page_settings(page: SocketAddr) -> Settings {
    let hash: String = Sha256::digest(API_TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("RELINK_PORTAL_LISTEN", page.to_string()),
        ("RELINK_PORTAL_URL", format!("http://{page}")),
        ("RELINK_PORTAL_BRAND", "Northwind".to_owned()),
        ("RELINK_LINK_KEY", "a-key-of-thirty-two-bytes-or-more".to_owned()),
        ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_live_end_to_end".to_owned()),
        ("RELINK_API_TOKENS", format!("write:{hash}")),
    ]
}
