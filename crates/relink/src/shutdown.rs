//! Signals: the first one drains, the second one ends at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Cancels the token at SIGTERM or SIGINT; at a second one the process ends where it stands,
/// which is as safe as any crash. SIGHUP asks to read files again and ends nothing, also where
/// there are none.
pub(crate) fn on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let handler =
        |kind| signal(kind).map_err(|error| Failure::software(format!("signals: {error}")));
    let (mut terminate, mut interrupt) =
        (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    let mut hangup = handler(SignalKind::hangup())?;
    let token = stop.clone();
    tokio::spawn(async move {
        let mut draining = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => continue,
            }
            if draining {
                end_at_once();
            }
            tracing::info!("draining; a second signal ends at once");
            token.cancel();
            draining = true;
        }
    });
    Ok(stop)
}

#[expect(clippy::disallowed_methods, reason = "the operator insists: nothing may hold it up")]
pub(crate) fn end_at_once() -> ! {
    std::process::exit(130)
}

/// How long work that is let go may hold up the end: between two of its steps it is over at once,
/// so that it writes to a reader that has stopped to read, or computes.
const LET_GO: Duration = Duration::from_secs(1);

/// How work ends once somebody asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heeds {
    /// It is let go where it stands.
    LetGo,
    /// It comes to a good end by itself, however long that takes.
    ByItself,
}

/// Ctrl-C before a command that somebody looks on: the first one asks the work under way to end;
/// where none is under way that heeds it, and at the second one, the process ends where it stands.
#[derive(Default)]
pub(crate) struct Interrupts {
    asked: CancellationToken,
    under_way: Mutex<Option<Heeds>>,
}

impl Interrupts {
    /// Watches from now on, until the process ends: who has once asked for signals gets them for
    /// good. `leave` is done before the process ends at a first one, as far as that is soon.
    pub(crate) fn watched(leave: fn()) -> Arc<Self> {
        let watched = Arc::<Self>::default();
        let Ok(mut interrupt) = signal(SignalKind::interrupt()) else { return watched };
        let interrupts = Arc::clone(&watched);
        tokio::spawn(async move {
            interrupt.recv().await;
            let heeds = interrupts.under_way();
            interrupts.asked.cancel();
            let mut sentence = None;
            match heeds {
                None => {}
                Some(Heeds::ByItself) => _ = interrupt.recv().await,
                Some(Heeds::LetGo) => {
                    let again = tokio::time::timeout(LET_GO, interrupt.recv()).await;
                    if again.is_err() && interrupts.under_way().is_none() {
                        interrupt.recv().await;
                    } else if again.is_err() {
                        sentence = Some("it did not end by itself; what was done stays done");
                    }
                }
            }
            if heeds.is_none() || sentence.is_some() {
                leave();
            }
            sentence.map(|sentence| Failure::interrupted(sentence).report());
            end_at_once();
        });
        watched
    }

    fn under_way(&self) -> Option<Heeds> {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does work that heeds an interruption so.
    pub(crate) async fn heeding<T>(&self, heeds: Heeds, work: impl Future<Output = T>) -> T {
        let set = |now| *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = now;
        set(Some(heeds));
        let done = work.await;
        set(None);
        done
    }

    /// Once somebody has asked for it.
    pub(crate) async fn asked(&self) {
        self.asked.cancelled().await;
    }
}

/// Runs the work to its end; once told to stop it has `drain` left. Returns what is left of that.
pub(crate) async fn within<T>(
    stop: &CancellationToken,
    drain: Duration,
    work: impl Future<Output = T>,
) -> (Result<T, Failure>, Duration) {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return (Ok(done), drain),
        () = stop.cancelled() => {}
    }
    let end = Instant::now() + drain;
    let done = tokio::time::timeout_at(end, work).await.map_err(|_| {
        Failure::software(format!(
            "not drained within {} s; what was in hand is handed out again",
            drain.as_secs()
        ))
    });
    (done, end.saturating_duration_since(Instant::now()))
}
