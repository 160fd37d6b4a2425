//! The segment log: what must be durable before it is spoken of.
