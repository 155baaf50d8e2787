//! HTML as text, with one way in for foreign text: escaped.

use std::fmt::Write as _;

/// HTML that is complete and safe to send.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// What this program wrote itself.
    pub(crate) fn raw(html: &str) -> Self {
        Self(html.to_owned())
    }

    /// An element with text; `attributes` are ours, the text anybody's.
    pub(crate) fn element(mut self, name: &str, attributes: &str, text: &str) -> Self {
        self.open(name, attributes);
        escape(text, &mut self.0);
        self.close(name);
        self
    }

    /// An element with what another piece says.
    pub(crate) fn nest(mut self, name: &str, attributes: &str, inner: &Self) -> Self {
        self.open(name, attributes);
        self.0.push_str(&inner.0);
        self.close(name);
        self
    }

    /// One piece after another.
    pub(crate) fn then(mut self, next: &Self) -> Self {
        self.0.push_str(&next.0);
        self
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str, attributes: &str) {
        let blank = if attributes.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "<{name}{blank}{attributes}>");
    }

    fn close(&mut self, name: &str) {
        let _ = writeln!(self.0, "</{name}>");
    }
}

/// An attribute with anybody's value.
pub(crate) fn attribute(name: &str, value: &str) -> String {
    let mut text = format!("{name}=\"");
    escape(value, &mut text);
    text.push('"');
    text
}

/// The five characters that mean something in HTML's text and quoted attributes.
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            // A control character is no text; a line break is a blank.
            other if other.is_control() => into.push(' '),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let hostile = "<script>\"'&\0</script>";
        let html = Html::default().element("p", &attribute("title", hostile), hostile);
        let safe = "&lt;script&gt;&quot;&#39;&amp; &lt;/script&gt;";
        assert_eq!(html.into_string(), format!("<p title=\"{safe}\">{safe}</p>\n"));
    }

    #[test]
    fn pieces_nest() {
        let list = Html::default().element("li", "", "a").element("li", "", "b");
        let html = Html::default().nest("ul", "class=\"x\"", &list);
        let expected = "<ul class=\"x\"><li>a</li>\n<li>b</li>\n</ul>\n";
        assert_eq!(html.into_string(), expected);
    }
}
