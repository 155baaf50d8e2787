//! The page around a view, and the headers of every answer.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::config::{PortalConfig, STRIPE_JS, UiMode, origin};
use crate::html::{Html, attribute};
use crate::trouble::Trouble;
use crate::view::{View, Words};

/// How soon to come back when something is away, in seconds.
const RETRY_AFTER_SECONDS: u16 = 30;

/// What Stripe.js needs (Stripe docs, security guide, "Content security policy").
const STRIPE_SCRIPTS: &str = "https://js.stripe.com https://*.js.stripe.com";
const STRIPE_CALLS: &str = "https://api.stripe.com";
const STRIPE_FRAMES: &str =
    "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com";
/// Where Stripe's own relink page is.
const STRIPE_PAGES: &str = "https://*.stripe.com";

/// Writes whole pages; made once.
#[derive(Debug)]
pub(crate) struct Layout {
    policy: HeaderValue,
    head: String,
    header: Html,
    foot: Html,
    stripe_js: String,
}

/// What the script on the page needs to know.
pub(crate) struct Script<'a> {
    /// Where the page posts to.
    pub(crate) base: &'a str,
    /// `pk_…`
    pub(crate) key: &'a str,
    /// The Connect account, where there is one.
    pub(crate) stripe_account: Option<&'a str>,
}

impl Layout {
    /// Prepares what all pages share.
    ///
    /// # Errors
    /// When the address of Stripe.js is none.
    pub(crate) fn new(config: &PortalConfig) -> Result<Self, &'static str> {
        let policy = policy(config).ok_or("the address of Stripe.js is not a URL")?;
        let policy = HeaderValue::from_str(&policy).map_err(|_| "no policy can be made")?;
        let prefix = prefix(&config.url);
        let brand = &config.brand;
        let header = match &brand.logo {
            Some(_) => {
                let alt = attribute("alt", &brand.name);
                let source = attribute("src", &format!("{prefix}/relink/assets/logo"));
                Html::raw(&format!("<img {source} {alt} height=\"40\">"))
            }
            None => Html::default().element("p", "class=\"brand\"", &brand.name),
        };
        let texts = &config.texts;
        let language = attribute("lang", &texts.language);
        let style = attribute("href", &format!("{prefix}/relink/assets/page.css"));
        let icon = attribute("href", &format!("{prefix}/relink/assets/icon.svg"));
        let head = format!(
            "<!doctype html>\n<html {language} dir=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"robots\" content=\"noindex, nofollow\">\n\
             <link rel=\"stylesheet\" {style}>\n<link rel=\"icon\" {icon}>\n",
            texts.direction.as_str(),
        );
        let script = attribute("src", &format!("{prefix}/relink/assets/page.js"));
        let foot = Html::raw(&format!("<script {script} defer></script>\n"));
        Ok(Self { policy, head, header, foot, stripe_js: config.stripe_js.clone() })
    }

    /// A page on which nothing can be started.
    pub(crate) fn page(&self, status: StatusCode, view: &View) -> Response {
        let main = Html::default().nest("main", "", &view.body);
        self.html(status, self.whole(view, &main))
    }

    /// The page on which a relink is started, with what its script needs.
    pub(crate) fn page_with_script(
        &self,
        view: &View,
        words: &Words<'_>,
        config: &PortalConfig,
        script: &Script<'_>,
    ) -> Response {
        let progress = &config.texts.progress;
        let mut attributes = vec![
            attribute("data-base", script.base),
            attribute("data-key", script.key),
            attribute("data-opening", &progress.opening),
            attribute("data-waiting", &progress.waiting),
            attribute("data-checking", &progress.checking),
        ];
        let account = script.stripe_account.map(|id| attribute("data-stripe-account", id));
        attributes.extend(account);
        let main = Html::default().nest("main", &attributes.join(" "), &view.body);
        let mut body = main.element("p", "id=\"progress\" role=\"status\"", "");
        for trouble in [Trouble::Unavailable, Trouble::Script] {
            let id = format!("id=\"{}\"", trouble.as_str());
            body = body.nest("template", &id, &words.trouble_with_button(trouble).body);
        }
        body = body.nest("template", "id=\"returned\"", &words.returned().body);
        // Deferred scripts run in their order: ours first, so that it sees how the other fares.
        let source = attribute("src", &self.stripe_js);
        let stripe = Html::raw(&format!("<script id=\"stripe\" {source} defer></script>\n"));
        self.html(StatusCode::OK, self.whole(view, &body.then(&self.foot).then(&stripe)))
    }

    /// A piece that replaces what stands in the middle of the page.
    pub(crate) fn piece(&self, status: StatusCode, view: &View) -> Response {
        self.html(status, view.body.clone().into_string())
    }

    fn whole(&self, view: &View, body: &Html) -> String {
        let title = Html::default().element("title", "", &view.title).into_string();
        let body = Html::default().nest("header", "", &self.header).then(body).into_string();
        format!("{}{title}</head>\n<body>\n{body}</body>\n</html>\n", self.head)
    }

    fn html(&self, status: StatusCode, html: String) -> Response {
        let mut response = Response::new(Body::from(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }

    /// Puts on what every answer of the portal carries.
    pub(crate) fn protect(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in [
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), display-capture=(), geolocation=(), microphone=()",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// The path of the public address, which a proxy in front strips.
pub(crate) fn prefix(url: &str) -> &str {
    let path = origin(url).and_then(|origin| url.get(origin.len()..)).unwrap_or_default();
    path.trim_end_matches('/')
}

fn policy(config: &PortalConfig) -> Option<String> {
    let own = origin(&config.stripe_js)?;
    let (scripts, calls, frames, forms) = match config.mode {
        UiMode::Page if Some(own) == origin(STRIPE_JS) => {
            (STRIPE_SCRIPTS, STRIPE_CALLS, STRIPE_FRAMES, "'none'".to_owned())
        }
        UiMode::Page => (own, own, own, "'none'".to_owned()),
        // Browsers hold a form's redirect against the policy as well.
        UiMode::Hosted if Some(own) == origin(STRIPE_JS) => {
            ("", "", "", format!("'self' {STRIPE_PAGES}"))
        }
        UiMode::Hosted => ("", "", "", format!("'self' {own}")),
    };
    let frames = if frames.is_empty() { "'none'" } else { frames };
    Some(format!(
        "default-src 'none'; script-src 'self' {scripts}; style-src 'self'; img-src 'self'; \
         connect-src 'self' {calls}; frame-src {frames}; form-action {forms}; base-uri 'none'; \
         frame-ancestors 'none'"
    ))
}
