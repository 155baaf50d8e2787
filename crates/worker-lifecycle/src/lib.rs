//! worker-lifecycle.
