//! The engines, what makes code for them, and what can be started of it.

use super::complaint;
use super::sandbox::State;
use crate::executor::outcome::Failure;
use wasmtime::component::{Component, Linker as ComponentLinker};
use wasmtime::{Config, Engine, InstancePre, Linker, Module, OptLevel, OutOfMemory, Precompiled, Store};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};

/// One for programs as they are, one for those whose results are compared: the difference is compiled in.
pub struct Engines {
    plain: Host,
    deterministic: Host,
}

/// An engine, and what programs have of this node.
struct Host {
    engine: Engine,
    modules: Linker<State>,
    components: ComponentLinker<State>,
}

/// A program that can be started.
pub enum Compiled {
    Module(InstancePre<State>),
    Component(CommandPre<State>),
}

/// One that was started, and not called yet.
pub enum Started {
    Module(wasmtime::TypedFunc<(), ()>),
    Component(Command),
}

/// Frames of compiled code, below which a program traps. The fiber has four times as much, for what the host does.
const STACK_BYTES: usize = 512 << 10;
const FIBER_BYTES: usize = 4 * STACK_BYTES;

/// What a compiler made of a program, for this machine and this version of the engine, which runs it as it is: whoever makes
/// one must have it from [`compile`].
pub struct Code(Vec<u8>);

impl Code {
    /// Bytes that [`compile`] made, in this process or in one that this one started for it and nobody else could write to.
    pub fn from_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes code of a program. `None`: there is not enough memory for it. Takes as long, and as much memory, as whoever wrote the
/// program wants: for a process that can be ended.
pub fn compile(bytes: &[u8], is_deterministic: bool) -> Result<Option<Code>, Failure> {
    let compile = || {
        let engine = Engine::new(&config(is_deterministic))?;
        match Kind::of(bytes) {
            Some(Kind::Module) => engine.precompile_module(bytes).map(Some),
            Some(Kind::Component) => engine.precompile_component(bytes).map(Some),
            None => Ok(None),
        }
    };
    match compile() {
        Ok(Some(code)) => Ok(Some(Code(code))),
        Ok(None) => Err(Failure::NotAProgram { why: "it does not begin as one".into() }),
        Err(error) if error.is::<OutOfMemory>() => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// The same wherever there is an engine: code that was made under another is refused by it.
fn config(is_deterministic: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(FIBER_BYTES)
        // Of the component model's concurrency there is nothing here, and each call would pay for it.
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(is_deterministic)
        .relaxed_simd_deterministic(is_deterministic);
    config
}

impl Engines {
    pub fn new() -> wasmtime::Result<Self> {
        Ok(Self { plain: Host::new(false)?, deterministic: Host::new(true)? })
    }

    pub fn all(&self) -> [&Engine; 2] {
        [&self.plain.engine, &self.deterministic.engine]
    }

    /// What can be started, of code that was made for this engine.
    pub fn load(&self, code: &Code, is_deterministic: bool) -> Result<Compiled, Failure> {
        let host = if is_deterministic { &self.deterministic } else { &self.plain };
        host.load(code)
    }
}

impl Host {
    fn new(is_deterministic: bool) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(is_deterministic))?;
        let mut modules = Linker::new(&engine);
        wasmtime_wasi::p1::add_to_linker_async(&mut modules, State::first_preview)?;
        let mut components = ComponentLinker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut components)?;
        Ok(Self { engine, modules, components })
    }

    fn load(&self, code: &Code) -> Result<Compiled, Failure> {
        let unfit =
            |error: wasmtime::Error| Failure::Prepare { what: "program".into(), error: complaint::in_short(&error) };
        match Engine::detect_precompiled(&code.0) {
            Some(Precompiled::Module) => {
                // SAFETY: a `Code` is what `compile` made, and nothing has changed it since. What was made by another version
                // of the engine, for another machine or under another configuration is refused before it is used.
                let module = unsafe { Module::deserialize(&self.engine, &code.0) }.map_err(unfit)?;
                if module.get_export("_start").is_none_or(|export| export.func().is_none()) {
                    return Err(Failure::NotAProgram { why: "it exports no function `_start`".into() });
                }
                Ok(Compiled::Module(self.modules.instantiate_pre(&module).map_err(refused)?))
            }
            Some(Precompiled::Component) => {
                // SAFETY: as above.
                let component = unsafe { Component::deserialize(&self.engine, &code.0) }.map_err(unfit)?;
                let linked = self.components.instantiate_pre(&component).map_err(refused)?;
                Ok(Compiled::Component(CommandPre::new(linked).map_err(refused)?))
            }
            None => Err(Failure::Prepare { what: "program".into(), error: "what the compiler made is no code".into() }),
        }
    }
}

fn refused(error: wasmtime::Error) -> Failure {
    Failure::NotAProgram { why: complaint::in_short(&error) }
}

enum Kind {
    Module,
    Component,
}

impl Kind {
    /// By the magic, the version and the layer. Text is not taken: whoever sends it would have each node assemble it.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first_chunk::<8>()? {
            [0, b'a', b's', b'm', 1, 0, 0, 0] => Some(Self::Module),
            [0, b'a', b's', b'm', _, _, 1, 0] => Some(Self::Component),
            _ => None,
        }
    }
}

impl Compiled {
    /// Bytes of its code and its data in memory.
    pub fn size(&self) -> u64 {
        let range = match self {
            Self::Module(linked) => linked.module().image_range(),
            Self::Component(command) => command.instance_pre().component().image_range(),
        };
        (range.end as usize).saturating_sub(range.start as usize) as u64
    }

    pub fn engine(&self) -> &Engine {
        match self {
            Self::Module(linked) => linked.module().engine(),
            Self::Component(command) => command.engine(),
        }
    }

    /// Makes an instance; what a module says is to be done at its start is done here.
    pub async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<Started> {
        match self {
            Self::Module(linked) => {
                let instance = linked.instantiate_async(&mut *store).await?;
                Ok(Started::Module(instance.get_typed_func(&mut *store, "_start")?))
            }
            Self::Component(command) => Ok(Started::Component(command.instantiate_async(store).await?)),
        }
    }
}

impl Started {
    /// Until it returns, or ends itself by an error. The exit code that it returns.
    pub async fn call(self, store: &mut Store<State>) -> wasmtime::Result<i32> {
        match self {
            Self::Module(start) => start.call_async(store, ()).await.map(|()| 0),
            Self::Component(command) => {
                let ended = command.wasi_cli_run().call_run(store).await?;
                Ok(i32::from(ended.is_err()))
            }
        }
    }
}
