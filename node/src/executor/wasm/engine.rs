//! The compilers, and what they make of a program.

use super::complaint;
use super::sandbox::State;
use crate::executor::outcome::Failure;
use wasmtime::component::{Component, Linker as ComponentLinker};
use wasmtime::{Config, Engine, InstancePre, Linker, Module, OptLevel, Store};
use wasmtime_wasi::p2::bindings::{Command, CommandPre};

/// One for programs as they are, one for those whose results are compared: the difference is compiled in.
pub struct Engines {
    plain: Compiler,
    deterministic: Compiler,
}

struct Compiler {
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

impl Engines {
    pub fn new() -> wasmtime::Result<Self> {
        Ok(Self { plain: Compiler::new(false)?, deterministic: Compiler::new(true)? })
    }

    pub fn all(&self) -> [&Engine; 2] {
        [&self.plain.engine, &self.deterministic.engine]
    }

    pub fn compile(&self, bytes: &[u8], is_deterministic: bool) -> Result<Compiled, Failure> {
        let compiler = if is_deterministic { &self.deterministic } else { &self.plain };
        compiler.compile(bytes)
    }
}

impl Compiler {
    fn new(is_deterministic: bool) -> wasmtime::Result<Self> {
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
        let engine = Engine::new(&config)?;
        let mut modules = Linker::new(&engine);
        wasmtime_wasi::p1::add_to_linker_async(&mut modules, State::first_preview)?;
        let mut components = ComponentLinker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut components)?;
        Ok(Self { engine, modules, components })
    }

    fn compile(&self, bytes: &[u8]) -> Result<Compiled, Failure> {
        let refused = |error: wasmtime::Error| Failure::NotAProgram { why: complaint::in_short(&error) };
        match Kind::of(bytes) {
            Some(Kind::Module) => {
                let module = Module::from_binary(&self.engine, bytes).map_err(refused)?;
                if module.get_export("_start").is_none_or(|export| export.func().is_none()) {
                    return Err(Failure::NotAProgram { why: "it exports no function `_start`".into() });
                }
                Ok(Compiled::Module(self.modules.instantiate_pre(&module).map_err(refused)?))
            }
            Some(Kind::Component) => {
                let component = Component::from_binary(&self.engine, bytes).map_err(refused)?;
                let linked = self.components.instantiate_pre(&component).map_err(refused)?;
                Ok(Compiled::Component(CommandPre::new(linked).map_err(refused)?))
            }
            None => Err(Failure::NotAProgram { why: "it does not begin as one".into() }),
        }
    }
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
