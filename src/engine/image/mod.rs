//! References, blobs by digest, layers, snapshots and archives.
