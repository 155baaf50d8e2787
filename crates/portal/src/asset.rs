//! The script, the style and the pictures of the page, served from here and from nowhere else.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;

use crate::config::Brand;

/// How long a browser may keep them: an hour, so that a new version is soon everywhere.
const KEEP: &str = "public, max-age=3600";

/// The files, made once.
#[derive(Debug)]
pub(crate) struct Assets {
    style: Bytes,
    icon: Bytes,
    logo: Option<(&'static str, Bytes)>,
}

impl Assets {
    pub(crate) fn new(brand: &Brand) -> Self {
        let (colour, on_colour) = (brand.colour, brand.colour.text_on());
        let style = format!(
            ":root {{ --brand: {colour}; --on-brand: {on_colour}; }}\n{}",
            include_str!("assets/page.css")
        );
        let icon = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">\
             <rect width=\"16\" height=\"16\" rx=\"4\" fill=\"{colour}\"/>\
             <path d=\"M5 8h6M8 5v6\" stroke=\"{on_colour}\" stroke-width=\"2\"/></svg>\n"
        );
        let logo = brand.logo.clone().map(|logo| (logo.content_type, Bytes::from(logo.bytes)));
        Self { style: style.into(), icon: icon.into(), logo }
    }

    /// A file by its name.
    pub(crate) fn answer(&self, name: &str) -> Option<Response> {
        let (content_type, bytes) = match name {
            "page.js" => (
                "text/javascript; charset=utf-8",
                Bytes::from_static(include_bytes!("assets/page.js")),
            ),
            "page.css" => ("text/css; charset=utf-8", self.style.clone()),
            "icon.svg" => ("image/svg+xml", self.icon.clone()),
            "logo" => self.logo.clone()?,
            _ => return None,
        };
        let mut response = Response::new(Body::from(bytes));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(KEEP));
        Some(response)
    }
}
