//! The relink page: what it looks like and where it listens.

use std::net::SocketAddr;

use relink_engine::link::Links;
use relink_portal::{ApiToken, Brand, Colour, Logo, PortalConfig, Texts, UiMode, origin};

use super::stripe::mode_of;
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
    /// That nothing is set for a page that is not there, since it has no address.
    pub(crate) fn no_page(&mut self, args: &PortalArgs) {
        let settings = [
            ("RELINK_PORTAL_BRAND", &args.portal_brand),
            ("RELINK_PORTAL_LOGO", &args.portal_logo),
            ("RELINK_PORTAL_TEXTS", &args.portal_texts),
            ("RELINK_STRIPE_PUBLISHABLE_KEY", &args.stripe_publishable_key),
            ("RELINK_API_TOKENS", &args.api_tokens),
            ("RELINK_API_TOKENS_FILE", &args.api_tokens_file),
        ];
        for (name, value) in settings {
            if value.as_ref().is_some_and(|value| !value.is_empty()) {
                self.add(format!(
                    "{name} is set without RELINK_PORTAL_URL; the relink page and the HTTP API \
                     are there once they have an address"
                ));
            }
        }
    }

    /// The relink page of a process that has one.
    pub(crate) fn page(&mut self, args: PortalArgs, stripe: Option<&Stripe>) -> Option<Page> {
        if stripe.is_some_and(|stripe| stripe.client.is_none()) {
            self.add("RELINK_STRIPE_API_KEY is not set; the relink page makes sessions with it");
        }
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
        let livemode = stripe.and_then(|stripe| stripe.livemode);
        self.check_publishable_key(publishable_key.as_deref(), mode, livemode);
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

    /// Whether the page can open Stripe's window; `livemode`: the mode of the API key.
    fn check_publishable_key(
        &mut self,
        key: Option<&str>,
        mode: Option<UiMode>,
        livemode: Option<bool>,
    ) {
        let name = "RELINK_STRIPE_PUBLISHABLE_KEY";
        let Some(key) = key else {
            if mode == Some(UiMode::Page) {
                self.add(format!("{name} is not set; Stripe's window in the page needs it"));
            }
            return;
        };
        if !key.starts_with("pk_") || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            // Not shown: it may be a secret key that was put here by mistake.
            self.add(format!("{name} does not start with pk_"));
        } else if let (Some(own), Some(other)) = (mode_of(key), livemode)
            && own != other
        {
            let word = |livemode| if livemode { "live" } else { "test" };
            let (own, other) = (word(own), word(other));
            self.add(format!(
                "{name} is of {own} mode and RELINK_STRIPE_API_KEY of {other} mode; Stripe's \
                 window opens no session of the other mode"
            ));
        }
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
