//! A thread that works off what it is sent.

use std::thread::{Builder, JoinHandle};

use relink_engine::store::StoreError;

/// The thread, and what sends to it. Dropping the value waits until all that was sent is done,
/// milliseconds, and the thread has ended.
#[derive(Debug)]
pub(crate) struct Thread<S> {
    sender: Option<S>,
    handle: Option<JoinHandle<()>>,
}

impl<S> Thread<S> {
    /// `work` goes on until the sender is dropped.
    pub(crate) fn start(
        name: &str,
        sender: S,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StoreError> {
        let handle = Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(|error| StoreError::Transient(format!("no thread to be had: {error}")))?;
        Ok(Self { sender: Some(sender), handle: Some(handle) })
    }

    /// What sends to it; `None` only while it is being dropped.
    pub(crate) fn sender(&self) -> Option<&S> {
        self.sender.as_ref()
    }
}

impl<S> Drop for Thread<S> {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(handle) = self.handle.take() {
            _ = handle.join();
        }
    }
}
