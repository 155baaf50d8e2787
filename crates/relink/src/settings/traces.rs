//! Where traces go.

use reqwest::Url;

use super::Problems;
use crate::cli::{TRACE_RATIO, TraceArgs};

/// A collector that takes traces.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Where requests go.
    pub(crate) url: Url,
    /// Which part of the traces that begin here is told.
    pub(crate) ratio: f64,
}

impl Problems {
    /// The collector; `None` inside where traces are not told.
    pub(crate) fn traces(&mut self, args: TraceArgs) -> Option<Option<Collector>> {
        let ratio = Some(args.trace_ratio.trim()).filter(|ratio| !ratio.is_empty());
        let ratio = self.chance("RELINK_TRACE_RATIO", ratio.unwrap_or(TRACE_RATIO));
        let Some(url) = args.otlp_url.filter(|url| !url.is_empty()) else {
            return ratio.map(|_| None);
        };
        let url = self.collector(&url);
        Some(Some(Collector { url: url?, ratio: ratio? }))
    }

    fn collector(&mut self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut url) = url else {
            // Not shown: it may hold a password.
            self.add("RELINK_OTLP_URL is of another form; write http://host:4318 or https://host");
            return None;
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !is_plain || url.query().is_some() || url.fragment().is_some() {
            self.add(
                "RELINK_OTLP_URL must be scheme, host, port and path only; what a service wants \
                 beside is the business of a collector in between",
            );
            return None;
        }
        let base = url.path().trim_end_matches('/');
        if base.ends_with("/v1/traces") {
            self.add("RELINK_OTLP_URL must end before /v1/traces, which is added to it");
            return None;
        }
        let path = format!("{base}/v1/traces");
        url.set_path(&path);
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, ratio: &str) -> Result<Option<String>, Vec<String>> {
        let args = TraceArgs { otlp_url: Some(url.to_owned()), trace_ratio: ratio.to_owned() };
        let mut problems = Problems::default();
        let collector = problems.traces(args);
        let problems = problems.told();
        if problems.is_empty() {
            Ok(collector.unwrap().map(|collector| collector.url.to_string()))
        } else {
            assert!(collector.is_none());
            Err(problems)
        }
    }

    #[test]
    fn the_path_for_traces_is_added_to_the_base() {
        let check = |url: &str, is: &str| {
            assert_eq!(read(url, "0.5").unwrap().as_deref(), Some(is));
        };
        check("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
        check("http://collector:4318/", "http://collector:4318/v1/traces");
        check("https://otlp.example.com/here//", "https://otlp.example.com/here/v1/traces");
        assert_eq!(read("", "1").unwrap(), None);
    }

    #[test]
    fn an_empty_ratio_is_not_set() {
        let url = Some("http://collector:4318".to_owned());
        let args = TraceArgs { otlp_url: url, trace_ratio: " ".to_owned() };
        let mut problems = Problems::default();
        let collector = problems.traces(args).unwrap().unwrap();
        assert_eq!((problems.told(), collector.ratio), (vec![], 1.0));
    }

    #[test]
    fn what_cannot_be_a_collector_is_refused_without_being_shown() {
        for url in [
            "collector:4318",
            "127.0.0.1:4318",
            "grpc://collector:4317",
            "http://",
            "http://me:s3cret@collector:4318",
            "http://collector:4318?key=s3cret",
            "http://collector:4318#s3cret",
            "http://collector:4318/v1/traces",
        ] {
            let problems = read(url, "1").unwrap_err();
            assert!(problems[0].starts_with("RELINK_OTLP_URL "), "{problems:?}");
            assert!(!problems[0].contains("s3cret"), "{problems:?}");
        }
        for ratio in ["-0.1", "1.1", "NaN", "half"] {
            assert_eq!(read("", ratio).unwrap_err().len(), 1, "{ratio}");
        }
    }
}
