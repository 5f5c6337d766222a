//! Speaks to an engine over its socket, and starts ours when none listens.
