//! Against a registry in this process.
