//! Content-addressed blobs: the local verified store and their transfer between nodes.
