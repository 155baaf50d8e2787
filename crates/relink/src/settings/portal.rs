//! The relink page: what it looks like and where it listens.

use std::net::SocketAddr;

use relink_engine::link::Links;
use relink_portal::{ApiToken, Brand, Colour, Logo, PortalConfig, Texts, UiMode, origin};

use super::{Problems, Stripe, is_https_or_local};
use crate::cli::PortalArgs;

/// The relink page, but for its public address.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) listen: SocketAddr,
    brand: Brand,
    texts: Texts,
    mode: UiMode,
    stripe_js: String,
    publishable_key: Option<String>,
    api_tokens: Vec<ApiToken>,
}

impl Page {
    /// What the portal is built with.
    pub(crate) fn config(self, links: &Links) -> PortalConfig {
        PortalConfig {
            url: links.base().to_owned(),
            brand: self.brand,
            texts: self.texts,
            mode: self.mode,
            stripe_js: self.stripe_js,
            publishable_key: self.publishable_key,
            api_tokens: self.api_tokens,
        }
    }
}

impl Problems {
    /// Whether the page's sessions can be made.
    pub(crate) fn page_needs(&mut self, stripe: Option<&Stripe>) {
        if stripe.is_some_and(|stripe| stripe.client.is_none()) {
            self.add("RELINK_STRIPE_API_KEY is not set; the relink page makes sessions with it");
        }
    }

    /// The relink page of a process that has one.
    pub(crate) fn page(&mut self, args: PortalArgs) -> Option<Page> {
        let listen = self.listen("RELINK_PORTAL_LISTEN", &args.portal_listen);
        let name = args.portal_brand.filter(|name| !name.trim().is_empty());
        if name.is_none() {
            self.add("RELINK_PORTAL_BRAND is not set; the page has to say whose it is");
        }
        let colour = Colour::parse(&args.portal_colour);
        if colour.is_none() {
            let given = &args.portal_colour;
            self.add(format!("RELINK_PORTAL_COLOUR: `{given}` is not a colour such as #0b57d0"));
        }
        let logo = self.logo(args.portal_logo);
        let texts = self.texts(args.portal_texts);
        let mode = match args.portal_ui_mode.as_str() {
            "page" => Some(UiMode::Page),
            "hosted" => Some(UiMode::Hosted),
            other => {
                self.add(format!("RELINK_PORTAL_UI_MODE: `{other}` is neither page nor hosted"));
                None
            }
        };
        let publishable_key = args.stripe_publishable_key.filter(|key| !key.is_empty());
        let plain =
            |key: &String| key.starts_with("pk_") && key.bytes().all(|b| b.is_ascii_graphic());
        match &publishable_key {
            None if mode == Some(UiMode::Page) => self.add(
                "RELINK_STRIPE_PUBLISHABLE_KEY is not set; Stripe's window in the page needs it",
            ),
            Some(key) if !plain(key) => {
                // Not shown: it may be a secret key that was put here by mistake.
                self.add("RELINK_STRIPE_PUBLISHABLE_KEY does not start with pk_");
            }
            _ => {}
        }
        let api_tokens = self.api_tokens(args.api_tokens, args.api_tokens_file);
        if origin(&args.stripe_js_url).is_none() || !is_https_or_local(&args.stripe_js_url) {
            self.add("RELINK_STRIPE_JS_URL must be https://, or http:// on this host");
        }
        Some(Page {
            listen: listen?,
            brand: Brand { name: name?, colour: colour?, logo: logo? },
            texts: texts?,
            mode: mode?,
            stripe_js: args.stripe_js_url,
            publishable_key,
            api_tokens: api_tokens?,
        })
    }

    fn api_tokens(&mut self, value: Option<String>, file: Option<String>) -> Option<Vec<ApiToken>> {
        let name = "RELINK_API_TOKENS";
        let text = self.secret(name, value, file).unwrap_or_default();
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        // Every one is read before the first wrong one ends it: all problems are told.
        let tokens: Vec<Option<ApiToken>> = texts
            .map(|text| {
                let token = ApiToken::parse(text);
                token.map_err(|problem| self.add(format!("{name}: {problem}"))).ok()
            })
            .collect();
        tokens.into_iter().collect()
    }

    fn logo(&mut self, file: Option<String>) -> Option<Option<Logo>> {
        let Some(file) = file.filter(|file| !file.is_empty()) else { return Some(None) };
        let read = std::fs::read(&file).map_err(|error| format!("{file} cannot be read: {error}"));
        match read.and_then(|bytes| Logo::new(bytes).map_err(str::to_owned)) {
            Ok(logo) => Some(Some(logo)),
            Err(problem) => {
                self.add(format!("RELINK_PORTAL_LOGO: {problem}"));
                None
            }
        }
    }

    fn texts(&mut self, file: Option<String>) -> Option<Texts> {
        let read = |text: Option<&str>| text.map_or_else(Texts::shipped, Texts::read);
        self.table("RELINK_PORTAL_TEXTS", file.as_deref(), read)
    }
}
