//! What is seen on the terminal.

use std::cell::Cell;
use std::io::{Error, IsTerminal as _};
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};

use super::commands::Told;
use crate::failure::Failure;
use crate::output::{Colours, unless_read_enough, write_line};

/// The widest line.
const WIDTH: usize = 100;
/// Where the words begin, behind who says it and what it is.
const INDENT: usize = 44;

/// A person reads along: time to take in a scene, and a line.
const SCENE_BREATH: Duration = Duration::from_millis(1200);
const LINE_BREATH: Duration = Duration::from_millis(180);

const DIM: Style = AnsiColor::BrightBlack.on_default();
const STRONG: Style = Style::new().effects(Effects::BOLD);

/// One thing that happens.
pub(super) struct Line {
    /// Who tells whom: `Stripe → Relink`.
    pub(super) who: &'static str,
    /// What it is called.
    pub(super) what: String,
    /// In plain words.
    pub(super) words: String,
    pub(super) style: Style,
}

impl Line {
    /// Something that is not a command.
    pub(super) fn dim(who: &'static str, what: &str, words: impl Into<String>) -> Self {
        Self { who, what: what.to_owned(), words: words.into(), style: DIM }
    }
}

/// Tells the story, or prints commands alone.
pub(super) struct Narrator {
    json: bool,
    colours: Colours,
    breathes: bool,
    scenes: Cell<u32>,
    /// The first line that could not be written.
    unwritten: OnceLock<Error>,
}

impl Narrator {
    pub(super) fn new(once: bool, json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self {
            json,
            colours: Colours::on(&std::io::stdout()),
            breathes: terminal && !once && !json,
            scenes: Cell::new(0),
            unwritten: OnceLock::new(),
        }
    }

    /// Whether all that was told could be written. A reader that has gone (`| head`) does not
    /// stop the story: its end is an exit code.
    pub(super) fn is_heard(&self) -> Result<(), Failure> {
        self.unwritten.get().map_or(Ok(()), |error| Err(Failure::output(error)))
    }

    /// A scene begins.
    pub(super) async fn scene(&self, title: &str) {
        if self.breathes && self.scenes.get() > 0 {
            tokio::time::sleep(SCENE_BREATH).await;
        }
        self.scenes.set(self.scenes.get() + 1);
        let text = format!("{}. {title}", self.scenes.get());
        self.say("");
        self.say(&self.paint(&text, STRONG));
    }

    /// Something that happens.
    pub(super) async fn line(&self, line: &Line) {
        if self.json {
            return;
        }
        if self.breathes {
            tokio::time::sleep(LINE_BREATH).await;
        }
        let mut rows = wrap(&line.words, WIDTH - INDENT).into_iter();
        let first = rows.next().unwrap_or_default();
        let head = format!("  {:<18}", line.who);
        let what = format!("{:<22}  ", line.what);
        let (head, words) = (self.paint(&head, DIM), self.paint(&first, quiet(line.style)));
        self.say(format!("{head}{}{words}", self.paint(&what, line.style)).trim_end());
        for row in rows {
            let row = self.paint(&row, quiet(line.style));
            self.say(&format!("{:INDENT$}{row}", ""));
        }
    }

    /// A remark of the narrator's.
    pub(super) fn remark(&self, text: &str) {
        for row in wrap(text, WIDTH - 2) {
            self.say(&format!("  {}", self.paint(&row, DIM.italic())));
        }
    }

    /// Plain text, as it is.
    pub(super) fn text(&self, text: &str) {
        self.say(text);
    }

    /// A headline.
    pub(super) fn headline(&self, text: &str) {
        self.say(&self.paint(text, STRONG));
    }

    /// A command alone, as JSON.
    pub(super) fn command_json(&self, told: &Told) {
        if self.json {
            self.write(&told.body);
        }
    }

    fn say(&self, text: &str) {
        if !self.json {
            self.write(text.as_bytes());
        }
    }

    fn write(&self, line: &[u8]) {
        if let Err(error) = unless_read_enough(write_line(line)) {
            // Only the first counts.
            let _ = self.unwritten.set(error);
        }
    }

    fn paint(&self, text: &str, style: Style) -> String {
        self.colours.paint(text, style)
    }
}

/// How a command stands out.
pub(super) fn command_style(name: &str) -> Style {
    let colour = match name {
        "prompt_relink" | "remind_relink" | "escalate_relink" => AnsiColor::Yellow,
        "withdraw_relink" | "resume_data" | "refresh_data" => AnsiColor::Green,
        "pause_data" | "replace_account" => AnsiColor::Red,
        _ => AnsiColor::Cyan,
    };
    colour.on_default().bold()
}

/// The words of a line are dim where its name is, and plain beside a bold one.
fn quiet(style: Style) -> Style {
    if style == DIM { DIM } else { Style::new() }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let Some(row) = rows.last_mut() else { break };
        if row.is_empty() {
            row.push_str(word);
        } else if row.chars().count() + 1 + word.chars().count() <= width {
            row.push(' ');
            row.push_str(word);
        } else {
            rows.push(word.to_owned());
        }
    }
    rows
}
