//! Parked messages that are looked at while somebody sees how far it is.

use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::parked::{
    Depth, Fate, ParkedError, ParkedMessage, ParkedMessages, Visitor, Walked,
};
use relink_bus::topology::WorkQueue;

use crate::progress::Progress;

/// The same messages; each that is looked at is counted.
pub(super) struct Watched {
    pub(super) lot: Arc<dyn ParkedMessages>,
    pub(super) progress: Arc<Progress>,
}

#[async_trait]
impl ParkedMessages for Watched {
    async fn walk(&self, queue: WorkQueue, visitor: &mut dyn Visitor) -> Walked {
        self.lot.walk(queue, &mut Counted { visitor, progress: &self.progress }).await
    }

    async fn depths(&self) -> Result<Vec<Depth>, ParkedError> {
        self.lot.depths().await
    }
}

struct Counted<'a> {
    visitor: &'a mut dyn Visitor,
    progress: &'a Progress,
}

#[async_trait]
impl Visitor for Counted<'_> {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        let fate = self.visitor.visit(message).await;
        self.progress.one_more();
        fate
    }
}
