//! worker-upcoming.
