//! worker-followup.
