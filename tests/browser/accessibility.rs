//! What a screen reader and weak eyes need: axe where it is at hand, and always the basics.

use serde_json::{Value, json};

use crate::driver::Browser;

/// The basics, in the words of WCAG 2.2: language, title, one main heading, names of buttons, and
/// contrast of all text (1.4.3).
const BASICS: &str = r#"
const problems = [];
if (!document.documentElement.lang) problems.push("no language");
if (!document.title) problems.push("no title");
if (document.querySelectorAll("main").length !== 1) problems.push("not one main");
if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1");
for (const button of document.querySelectorAll("button"))
  if (!button.textContent.trim()) problems.push("a button without a name");
for (const image of document.images) if (!image.alt) problems.push("an image without words");
const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
const luminance = ([r, g, b]) => {
  const linear = [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
for (const element of document.querySelectorAll("h1, h2, p, li, button")) {
  if (!element.textContent.trim() || element.disabled) continue;
  const one = luminance(channels(getComputedStyle(element).color));
  const other = luminance(behind(element));
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(2)}: ${element.textContent}`);
}
return problems;
"#;

/// Runs axe and answers what is serious or worse.
const AXE: &str = r#"
const done = arguments[arguments.length - 1];
axe.run().then((found) => done(found.violations
  .filter((one) => one.impact === "serious" || one.impact === "critical")
  .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`)));
"#;

/// Fails where something serious is found on the page that is open.
pub(crate) async fn examine(browser: &Browser, what: &str) {
    let problems = browser.script(BASICS).await;
    assert_eq!(problems, json!([]), "{what}");
    let Some(axe) = std::env::var_os("RELINK_TEST_AXE") else {
        return;
    };
    let axe = std::fs::read_to_string(axe).unwrap();
    browser.script(&format!("{axe}; return null")).await;
    let serious: Value = browser.script_until_done(AXE).await;
    assert_eq!(serious, json!([]), "{what}");
}
