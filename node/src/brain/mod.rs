//! The brain's thread and the commit pipeline behind it.
