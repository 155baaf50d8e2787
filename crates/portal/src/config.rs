//! What the portal is told when it is built.

use std::fmt;

use crate::api::ApiToken;
use crate::texts::Texts;

/// Where Stripe.js comes from. Stripe docs (Stripe.js, "Including Stripe.js"): always from there,
/// never a copy.
pub const STRIPE_JS: &str = "https://js.stripe.com/v3/";

/// The largest logo, in bytes: it is kept in memory and sent with each page that is not cached.
pub const LOGO_BYTES_MAX: usize = 256 * 1024;

/// Everything the portal needs to know.
#[derive(Clone, Debug)]
pub struct PortalConfig {
    /// Its public address, such as `https://relink.example.com`; a path is what a proxy strips.
    pub url: String,
    /// What it looks like.
    pub brand: Brand,
    /// What it says.
    pub texts: Texts,
    /// Where the customer signs in.
    pub mode: UiMode,
    /// Where Stripe.js comes from: [`STRIPE_JS`], or a stand-in's address.
    pub stripe_js: String,
    /// `pk_…`, which Stripe.js wants and anybody may know; not needed for [`UiMode::Hosted`].
    pub publishable_key: Option<String>,
    /// Who may use the API; none: nobody.
    pub api_tokens: Vec<ApiToken>,
}

/// Where the customer signs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UiMode {
    /// In Stripe's window over our page.
    Page,
    /// On Stripe's own page, to which ours forwards; Stripe has to have permitted it.
    Hosted,
}

/// What the page looks like.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The product's name, as customers know it.
    pub name: String,
    /// The colour of the button.
    pub colour: Colour,
    /// The logo, shown above the page instead of the name.
    pub logo: Option<Logo>,
}

/// A colour as red, green and blue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colour([u8; 3]);

impl Colour {
    /// Reads `#0b57d0`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// Black or white, whichever is easier to read on it (WCAG 2.2, relative luminance).
    pub(crate) fn text_on(self) -> &'static str {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        // Where both contrasts are equal: (1.05) / (l + 0.05) = (l + 0.05) / 0.05.
        if luminance > 0.179 { "#000000" } else { "#ffffff" }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A logo.
#[derive(Clone)]
pub struct Logo {
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Logo {
    /// Takes an SVG, PNG, JPEG or WebP by what it starts with.
    ///
    /// # Errors
    /// When it is something else, or larger than [`LOGO_BYTES_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, &'static str> {
        if bytes.len() > LOGO_BYTES_MAX {
            return Err("the logo is larger than 256 KiB");
        }
        let head = bytes.get(..bytes.len().min(512)).unwrap_or_default();
        let is_svg = || std::str::from_utf8(head).is_ok_and(|text| text.contains("<svg"));
        let content_type = match head {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            _ if is_svg() => "image/svg+xml",
            _ => return Err("the logo is neither SVG nor PNG, JPEG or WebP"),
        };
        Ok(Self { content_type, bytes })
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logo").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// Scheme, host and port of a URL; `None` where it is none.
pub fn origin(url: &str) -> Option<&str> {
    let host_at = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.starts_with(scheme).then_some(scheme.len()))?;
    let end = url.get(host_at..)?.find(['/', '?', '#']).map_or(url.len(), |at| host_at + at);
    let host = url.get(host_at..end)?;
    // What would mean something else in a policy or a header is no host.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| url.get(..end)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_a_readable_text() {
        assert_eq!(Colour::parse("#0b57d0").unwrap().text_on(), "#ffffff");
        assert_eq!(Colour::parse("#FFD400").unwrap().text_on(), "#000000");
        assert_eq!(Colour::parse("#FFD400").unwrap().to_string(), "#ffd400");
        for wrong in ["red", "#fff", "#12345g", "#+12345", ""] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://js.stripe.com/v3/"), Some("https://js.stripe.com"));
        assert_eq!(origin("http://127.0.0.1:12111/v3/"), Some("http://127.0.0.1:12111"));
        assert_eq!(origin("https://a.example"), Some("https://a.example"));
        for wrong in ["js.stripe.com", "ftp://a", "https://", "https://a;b/", "https://a b/"] {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_logo_is_known_by_its_bytes() {
        assert_eq!(Logo::new(b"<svg xmlns=''/>".to_vec()).unwrap().content_type, "image/svg+xml");
        assert!(Logo::new(b"<html>".to_vec()).is_err());
        assert!(Logo::new(vec![0x89; LOGO_BYTES_MAX + 1]).is_err());
    }
}
