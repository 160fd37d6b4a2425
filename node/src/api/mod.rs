//! The HTTP API, one route family a file.
