//! Reads all authorizations by several readers, each a part of them: most of the time goes into
//! reading states, on either side of the connection.

use std::sync::{Arc, Mutex, PoisonError};

use relink_core::aggregate::Aggregate;
use relink_core::bank::Bank;
use relink_core::id::{AuthorizationId, Scope};
use relink_core::time::Time;
use relink_engine::store::{Selection, Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Outlook;
use crate::failure::Failure;
use crate::progress::Progress;

/// So many read at once: enough to keep a database and a few cores busy, and few beside its other
/// connections.
const READERS: usize = 4;

/// Authorizations of a part.
const PART: usize = 20_000;

/// Authorizations read at a time: what a reader holds in memory.
const PAGE: usize = 500;

type Key = (AuthorizationId, Scope);

/// Behind the first and up to the second, where there is one.
type Part = (Option<Key>, Option<Key>);

/// What shall be known of all authorizations.
pub(super) async fn outlook(
    store: Arc<dyn Store>,
    banks: Vec<Bank>,
    now: Time,
    progress: &Progress,
) -> Result<Outlook, Failure> {
    let ends = store.part_ends(PART).await.map_err(Failure::unavailable)?;
    let mut parts: Vec<Part> = Vec::new();
    let mut after = None;
    for end in ends {
        parts.push((after, Some(end.clone())));
        after = Some(end);
    }
    parts.push((after, None));
    let parts = Arc::new(Mutex::new(parts.into_iter()));
    let banks = Arc::<[Bank]>::from(banks);
    let (counts, mut counted) = mpsc::unbounded_channel();
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (store, banks) = (Arc::clone(&store), Arc::clone(&banks));
        let (parts, counts) = (Arc::clone(&parts), counts.clone());
        readers.spawn(async move {
            let mut outlook = Outlook::default();
            let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(part) = next() {
                let add = |one: &Aggregate| outlook.add(one, &banks, now);
                read(&*store, part, &counts, add).await?;
            }
            Ok::<_, StoreError>(outlook)
        });
    }
    drop(counts);
    while let Some(count) = counted.recv().await {
        progress.more(count);
    }
    let mut all = Outlook::default();
    while let Some(read) = readers.join_next().await {
        all.merge(read.map_err(Failure::software)?.map_err(Failure::unavailable)?);
    }
    Ok(all)
}

/// Reads a part, a page at a time; what came or went since it was cut is no trouble.
async fn read(
    store: &dyn Store,
    (after, end): Part,
    counts: &mpsc::UnboundedSender<u64>,
    mut add: impl FnMut(&Aggregate),
) -> Result<(), StoreError> {
    let end = end.map(|(id, scope)| (id.as_str().to_owned(), scope.to_string()));
    let mut wanted = Selection { holder: None, health: None, after, limit: PAGE };
    loop {
        let page = store.list(&wanted).await?;
        let is_within = |one: &&Aggregate| {
            end.as_ref().is_none_or(|(id, scope)| {
                (one.key.home.as_str(), one.key.scope.to_string()) <= (id, scope.clone())
            })
        };
        let within = page.iter().take_while(is_within).inspect(|one| add(one)).count();
        // Nobody counts any more where another reader has failed.
        let _ = counts.send(within as u64);
        let last = page.last().filter(|_| within == PAGE);
        let Some(last) = last.and_then(|last| Some((last.key.home.authorization()?, last))) else {
            return Ok(());
        };
        wanted.after = Some((last.0.clone(), last.1.key.scope.clone()));
    }
}
