//! How far a command has come, shown to a person on a terminal once it takes more than a second.
//!
//! It stands on standard error, so that what is on standard output can be piped, and only where
//! that is a terminal. It draws no colour. While it is there, whatever else is written to the
//! terminal – answers, logs – has to go past it: see [`above`].

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::failure::Failure;
use crate::shutdown::{Heeds, Interrupts};

/// What ends sooner needs no bar: it would only flash.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is drawn while nothing happens, so that it is seen to be alive.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Where the end is known.
const COUNTED: &str =
    "{spinner} {human_pos} of {human_len} {prefix}  [{wide_bar}]  {rate}  {left}{msg}";
/// Where only the number is.
const UNCOUNTED: &str = "{spinner} {human_pos} {prefix}  {rate}  {elapsed}{msg}";
/// Where nothing is.
const WAITING: &str = "{spinner} {prefix}  {elapsed}{msg}";

/// The one that is shown, for whoever else writes to the terminal.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How far it has come; gone from the screen with the value.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Ends the wait for [`PATIENCE`] when it goes, and the thread that waits.
    waiting: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
    is_for_somebody: bool,
    /// Watched from the first work that can be interrupted.
    interrupts: OnceLock<Arc<Interrupts>>,
}

impl Progress {
    /// So many of what is named, of `total` where that is known: `accounts`, `events`.
    pub(crate) fn of(json: bool, named: &str, total: Option<u64>) -> Self {
        let template = if total.is_some() { COUNTED } else { UNCOUNTED };
        Self::styled(json, template, named, total)
    }

    /// Something that takes its time in one piece, and that cannot be counted.
    pub(crate) fn waiting(json: bool, named: &str) -> Self {
        Self::styled(json, WAITING, named, None)
    }

    fn styled(json: bool, template: &str, named: &str, total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        bar.set_style(style(template));
        bar.set_prefix(named.to_owned());
        let is_for_somebody = !json && is_wanted();
        let waiting = is_for_somebody.then(|| {
            let (ended, end) = channel::<()>();
            let shown = bar.clone();
            let thread = std::thread::spawn(move || {
                if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    show(shown);
                }
            });
            (ended, thread)
        });
        let (waiting, interrupts) = (Mutex::new(waiting), OnceLock::new());
        Self { bar, waiting, is_for_somebody, interrupts }
    }

    /// So many are done.
    pub(crate) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// One more is done.
    pub(crate) fn one_more(&self) {
        self.bar.inc(1);
    }

    /// So many more are done.
    pub(crate) fn more(&self, count: u64) {
        self.bar.inc(count);
    }

    /// A count begins, of so many where that is known.
    pub(crate) fn anew(&self, named: &str, total: Option<u64>) {
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.set_style(style(if total.is_some() { COUNTED } else { UNCOUNTED }));
        self.bar.set_prefix(named.to_owned());
        self.bar.reset();
    }

    /// What there is to say besides.
    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(format!("  {text}"));
    }

    /// Another part of the work begins.
    pub(crate) fn now(&self, named: &str) {
        self.bar.set_prefix(named.to_owned());
    }

    /// Whether somebody may see it, now or when it takes longer.
    pub(crate) fn is_for_somebody(&self) -> bool {
        self.is_for_somebody
    }

    /// Does work that only looks; where somebody looks on and interrupts it, the screen is left
    /// tidy. Elsewhere the signal ends the process by itself, as whoever runs it in a script
    /// expects.
    pub(crate) async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.during_or(work, Failure::interrupted_looking).await
    }

    /// The same of other work, which says how far it was.
    pub(crate) async fn during_or<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        interrupted: impl FnOnce() -> Failure,
    ) -> Result<T, Failure> {
        let done = match self.interrupts() {
            None => work.await,
            Some(interrupts) => {
                let either = async {
                    tokio::select! {
                        biased;
                        done = work => done,
                        () = interrupts.asked() => Err(interrupted()),
                    }
                };
                interrupts.heeding(Heeds::LetGo, either).await
            }
        };
        done.inspect_err(|_| self.end())
    }

    /// Does work that heeds signals by itself.
    pub(crate) async fn heeding<T>(&self, work: impl Future<Output = T>) -> T {
        match self.interrupts() {
            None => work.await,
            Some(interrupts) => interrupts.heeding(Heeds::ByItself, work).await,
        }
    }

    fn interrupts(&self) -> Option<&Interrupts> {
        let watched = || self.interrupts.get_or_init(|| Interrupts::watched(leave_the_screen));
        self.is_for_somebody.then(watched).map(|watched| &**watched)
    }

    /// Takes it off the screen.
    pub(crate) fn end(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((ended, thread)) = waiting else { return };
        drop(ended);
        // It shows the bar or does not, and then ends: what is cleared here stays cleared.
        let _ = thread.join();
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
        if shown.is_some() {
            self.bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether there is a terminal that can move its cursor, and somebody before it.
fn is_wanted() -> bool {
    let can_move = std::env::var_os("TERM").is_some_and(|kind| !kind.is_empty() && kind != "dumb");
    std::io::stderr().is_terminal() && can_move
}

fn show(bar: ProgressBar) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(TICK);
    *shown = Some(bar);
}

fn style(template: &str) -> ProgressStyle {
    // Templates are constants, which tests look at.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .tick_strings(&["-", "\\", "|", "/", " "])
        .progress_chars("=> ")
        .with_key("rate", rate)
        .with_key("left", left)
}

/// How long it will take; nobody knows before something is done.
fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // What is shown for a moment may as well be missing.
    let _ = match state.pos() {
        0 => write!(out, "? left"),
        _ => write!(out, "{:#} left", HumanDuration(state.eta())),
    };
}

/// By the second, or by the minute where that is slow.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // What is shown for a moment may as well be missing.
    let _ = write_rate(state.per_sec(), out);
}

fn write_rate(by_second: f64, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
    if by_second >= 10.0 {
        write!(out, "{by_second:.0}/s")
    } else if by_second >= 0.1 || by_second == 0.0 {
        write!(out, "{by_second:.1}/s")
    } else {
        write!(out, "{:.1}/min", by_second * 60.0)
    }
}

/// Takes off the screen what is there, unless that takes its time: whoever writes to a terminal
/// that is held up has the bar.
fn leave_the_screen() {
    let (ended, end) = channel::<()>();
    std::thread::spawn(move || {
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
        shown.inspect(ProgressBar::finish_and_clear);
        drop(ended);
    });
    let _ = end.recv_timeout(TICK);
}

/// Writes something else to the terminal, past what is shown of the progress.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    // Not held while it is written: a terminal may be stopped for as long as somebody likes.
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Writes to standard output: past the progress where that is a terminal, too. Else nothing is in
/// its way, and a reader that has stopped to read holds up neither what is shown nor any log.
pub(crate) fn beside<T>(out: &impl IsTerminal, write: impl FnOnce() -> T) -> T {
    if out.is_terminal() { above(write) } else { write() }
}

/// Standard error for logs, a line at a time.
pub(crate) fn stderr() -> impl Write {
    Above
}

struct Above;

impl Write for Above {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        above(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for template in [COUNTED, UNCOUNTED, WAITING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_rate_has_as_many_places_as_it_needs() {
        let told = |by_second| {
            let mut text = String::new();
            write_rate(by_second, &mut text).unwrap();
            text
        };
        assert_eq!(
            [0.0, 0.05, 0.1, 3.25, 1234.5].map(told),
            ["0.0/s", "3.0/min", "0.1/s", "3.2/s", "1234/s"]
        );
    }

    #[test]
    fn whoever_is_held_up_in_writing_holds_up_nobody_else() {
        let (begun, has_begun) = channel::<()>();
        let (go_on, gone_on) = channel::<()>();
        *SHOWN.lock().unwrap() = Some(ProgressBar::hidden());
        let held_up = move || {
            begun.send(()).unwrap();
            gone_on.recv().unwrap();
        };
        let terminal = std::thread::spawn(|| above(held_up));
        has_begun.recv().unwrap();
        // An interruption takes it off the screen, and the end of the work does.
        let (took, taken) = channel::<bool>();
        let taking = move || took.send(SHOWN.lock().unwrap().take().is_some());
        std::thread::spawn(taking);
        assert_eq!(taken.recv_timeout(Duration::from_secs(20)), Ok(true));
        go_on.send(()).unwrap();
        terminal.join().unwrap();

        // A pipe has nothing to do with what is shown.
        let bar = ProgressBar::hidden();
        *SHOWN.lock().unwrap() = Some(bar.clone());
        let pipe = std::fs::File::open("/dev/null").unwrap();
        let position = beside(&pipe, || {
            bar.inc(7);
            bar.position()
        });
        assert_eq!(position, 7);
        *SHOWN.lock().unwrap() = None;
    }

    #[test]
    fn nothing_is_in_the_way_where_nothing_is_shown() {
        let progress = Progress::of(true, "events", Some(3));
        progress.one_more();
        assert!(!progress.is_for_somebody());
        assert_eq!(above(|| 7), 7);
        progress.anew("others", None);
        progress.end();
        progress.end();
    }
}
