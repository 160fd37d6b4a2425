//! Why a program ended, in few words.

use crate::executor::outcome::{Failure, Status};
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Of the callers, from the inside out.
const MOST_FRAMES: usize = 3;
/// Of a function's name, and of a message: the record has room for some 170 letters.
const NAME_LETTERS: usize = 32;
const MESSAGE_LETTERS: usize = 110;
/// Of what is written below the program's standard error.
const WHOLE_LETTERS: usize = 4_000;

/// How a program ended whose call came back with an error.
pub fn status(error: &Error) -> Status {
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(code)) => Status::Exit(*code),
        None => Status::Failed(Failure::Trap { what: trap(error) }),
    }
}

fn trap(error: &Error) -> String {
    let why = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    let mut text = shorten(&why, MESSAGE_LETTERS);
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    for (at, frame) in frames.iter().take(MOST_FRAMES).enumerate() {
        let name = match frame.func_name() {
            Some(name) => shorten(name, NAME_LETTERS),
            None => format!("function {}", frame.func_index()),
        };
        text.push_str(if at == 0 { ", in " } else { " < " });
        text.push_str(&name);
    }
    if frames.len() > MOST_FRAMES {
        text.push_str(" < …");
    }
    text
}

/// Of what is wrong with a program's bytes: the last of the reasons, which names the place.
pub fn in_short(error: &Error) -> String {
    shorten(&error.root_cause().to_string(), MESSAGE_LETTERS)
}

/// With all callers, for who looks at what the program wrote.
pub fn in_full(error: &Error) -> String {
    let mut text = shorten(&format!("{error:?}"), WHOLE_LETTERS);
    text.push('\n');
    text
}

fn shorten(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
