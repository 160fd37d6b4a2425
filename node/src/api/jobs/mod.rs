//! `/v1/jobs`: many tasks of one program, in and out as streams of lines.
//!
//! ```text
//! request ─ lines ─ header, items ─┐ 256 at a time                    ┌─ lines of results ─ response
//!                                  └─ batch ─ brain ─ answers ─ batch ─┘
//! ```
//! A window bounds what is placed and has not ended: beyond it the request is not read on, and the client's sending
//! stalls. A client must read while it writes; one that cannot submits with `?follow=false` and attaches afterwards.

mod batch;
pub mod cancel;
mod lines;
pub mod list;
pub mod lookup;
mod output;
pub mod results;
pub mod show;
mod submissions;
pub mod submit;
mod tally;

pub use lines::Lines;
pub use output::Line;
pub use submissions::Submissions;
pub use tally::Progress;
