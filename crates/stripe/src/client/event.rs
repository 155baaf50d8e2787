//! Events, listed: what Stripe has told, or tried to tell, in the last 30 days.

use relink_core::id::{InputId, Scope};
use relink_core::time::Second;
use serde_json::value::RawValue;

use super::account::Page;
use super::error::{CallError, Malformed, Trace};
use super::{Client, PAGE_SIZE};
use crate::envelope::is_acceptable_id;
use crate::wire::{self, Head, Top};

/// The most types one listing may name (Stripe docs: list all events, `types`).
pub const TYPES_MAX: usize = 20;

/// Which events are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFilter<'a> {
    /// Their types, at most [`TYPES_MAX`]; empty: all.
    pub types: &'a [&'a str],
    /// Whether their delivery succeeded everywhere; `None`: both.
    pub delivery_success: Option<bool>,
    /// Made at this second or later.
    pub created_from: Option<Second>,
}

/// A page of events, newest first: what is new while the pages are read does not move them.
pub struct EventPage {
    /// The events as Stripe answered them, each a body that could have come as a webhook.
    ///
    /// Stripe docs: rendered in the version the event was made in, not that of the call.
    pub events: Vec<Box<RawValue>>,
    /// Where the next page begins; `None`: these were the last.
    pub next: Option<InputId>,
    /// The second of the answer's `Date` header: Stripe's clock.
    pub date_unix_seconds: i64,
}

impl Client {
    /// Lists snapshot events, the page after `after` or the first.
    ///
    /// Page by page, so that the caller can take each one's turn from its budget and need not
    /// hold 30 days of events at once. Thin events are not among them (Stripe docs: they have a
    /// list of their own); each has a snapshot event that tells the same.
    pub async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter<'_>,
        after: Option<&InputId>,
    ) -> Result<EventPage, CallError> {
        if filter.types.len() > TYPES_MAX {
            let what = Malformed::Request;
            return Err(CallError::Malformed { what, trace: Trace::default() });
        }
        let from = filter.created_from.map(|Second(second)| second.to_string());
        let mut query = vec![("limit", PAGE_SIZE)];
        query.extend(filter.types.iter().map(|kind| ("types[]", *kind)));
        let words = |success| if success { "true" } else { "false" };
        query.extend(filter.delivery_success.map(|success| ("delivery_success", words(success))));
        query.extend(from.as_deref().map(|from| ("created[gte]", from)));
        query.extend(after.map(|id| ("starting_after", id.as_str())));
        let answer = self.transport.get(scope, &["events"], &query).await?;
        let malformed = || answer.malformed(Malformed::Page);
        let page: Page = serde_json::from_str(answer.body.get()).map_err(|_| malformed())?;
        let next = match (page.has_more, page.data.last()) {
            (false, _) => None,
            // A page that leads back to itself would never end.
            (true, last) => {
                let next = last.and_then(|event| id_of(event)).filter(|id| Some(id) != after);
                Some(next.ok_or_else(malformed)?)
            }
        };
        Ok(EventPage { events: page.data, next, date_unix_seconds: answer.date_unix_seconds })
    }
}

fn id_of(event: &RawValue) -> Option<InputId> {
    let top: Top<'_, serde::de::IgnoredAny> = wire::object(event.get()).ok()?;
    let (Head { id, .. }, _) = top.into_event();
    let id = id.into_value()?.0;
    is_acceptable_id(&id).then(|| InputId::new(&*id))
}
