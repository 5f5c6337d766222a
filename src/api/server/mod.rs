//! Routes over the `Engine` handle; no state, no decision.
