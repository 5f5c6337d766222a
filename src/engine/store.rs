//! Records on disk: plain JSON with a version and a checksum, one writer each, replaced by rename.
