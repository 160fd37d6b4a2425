//! What this node says that it has: the plain things that it finds out, and what its operator declares.

use crate::config::Config;
use crate::executor::{WASM_BUILT_IN, WASM_CAPABILITY};
use mesh_proto::capability::{Capabilities, CapabilityError, Name, Value};
use std::{collections::BTreeMap, path::Path};

/// For as long as the process lives, with what commands say of their versions. What does not fit is left out, commands
/// first, and told to the log.
pub fn capabilities(config: &Config, versions: &BTreeMap<String, Value>) -> Capabilities {
    // What is no capability was refused with the rest of the configuration.
    let mut all = Capabilities::parse(config.capabilities.declare.iter().map(String::as_str)).unwrap_or_default();
    let commands: Vec<&str> = config.exec.allow.iter().filter_map(|command| last_part(command)).collect();
    for (name, _) in all.iter().filter(|(name, _)| name.is_tool()) {
        if !commands.iter().any(|command| Name::tool(command).as_ref() == Ok(name)) {
            tracing::warn!(
                "capabilities.declare has {name}, which exec.allow does not: tasks that ask for it come, and fail"
            );
        }
    }
    let zone = config.node.zone.as_ref().map(|zone| ("zone", zone.clone()));
    for (name, value) in plain(config).into_iter().chain(zone) {
        if let Err(error) =
            name.parse::<Name>().map_err(CapabilityError::from).and_then(|name| add_text(&mut all, name, &value))
        {
            tracing::warn!("this node does not tell the mesh its {name}, {value}: {error}");
        }
    }
    if WASM_BUILT_IN
        && config.wasm.enabled
        && let Err(error) =
            WASM_CAPABILITY.parse().map_err(CapabilityError::from).and_then(|name| add(&mut all, name, None))
    {
        tracing::warn!("this node does not tell the mesh that it runs WebAssembly: {error}");
    }
    let mut told = |command: &&str| {
        let name = Name::tool(command).map_err(CapabilityError::from)?;
        add(&mut all, name, versions.get(*command).cloned())
    };
    let left_out: Vec<CapabilityError> = commands.iter().filter_map(|command| told(command).err()).collect();
    if let Some(error) = left_out.last() {
        tracing::warn!("this node does not tell the mesh of {} commands that it allows: {error}", left_out.len());
    }
    all
}

/// Unless the operator says otherwise.
fn add(all: &mut Capabilities, name: Name, value: Option<Value>) -> Result<(), CapabilityError> {
    if all.get(&name).is_some() { Ok(()) } else { all.set(name, value) }
}

fn add_text(all: &mut Capabilities, name: Name, value: &str) -> Result<(), CapabilityError> {
    let value = Value::parse(&name, value)?;
    add(all, name, Some(value))
}

/// What every machine has. Of memory, as much as one task may use.
fn plain(config: &Config) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut plain = vec![
        ("cores", cores.to_string()),
        ("mem", format!("{}MiB", config.exec.memory.bytes() >> 20)),
        ("arch", std::env::consts::ARCH.to_owned()),
        ("os", std::env::consts::OS.to_owned()),
    ];
    plain.extend(sysinfo::System::kernel_version().and_then(|text| release(&text)).map(|release| ("kernel", release)));
    plain
}

/// `6.1.0-18-amd64` is 6.1.0: what distributions put behind it comes before nothing.
fn release(kernel: &str) -> Option<String> {
    let numbers: Vec<&str> = kernel.split(|letter: char| !letter.is_ascii_digit()).take(3).collect();
    let numbers: Vec<&str> = numbers.into_iter().take_while(|number| !number.is_empty()).collect();
    (!numbers.is_empty()).then(|| numbers.join("."))
}

/// A command is known by its file's name.
fn last_part(command: &str) -> Option<&str> {
    Path::new(command).file_name().and_then(|name| name.to_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FileSource, Sources, load};

    fn of(text: &str) -> Capabilities {
        let file = Some(FileSource { path: "meshd.toml".into(), text: text.into() });
        let versions = BTreeMap::from([("env".to_owned(), Value::parse(&"tool:env".parse().unwrap(), "9.4").unwrap())]);
        capabilities(&load(&Sources { file, ..Sources::default() }).unwrap().config, &versions)
    }

    #[test]
    fn a_node_has_the_plain_things_its_commands_and_what_is_declared() {
        let has = of("[node]\nzone = \"eu\"\n[exec]\nallow = [\"sort\", \"/usr/bin/env\"]\nmemory = \"2GiB\"\n\
             [capabilities]\ndeclare = [\"gpu=1\", \"cores=3\", \"tool:sort=9.1\", \"ssd\"]");
        let texts: Vec<String> = has.texts().collect();
        for expected in ["cores=3", "gpu=1", "mem=2GiB", "ssd", "tool:env=9.4", "tool:sort=9.1", "wasm", "zone=eu"] {
            assert!(texts.iter().any(|text| text == expected), "{expected} in {texts:?}");
        }
        assert!(of("[wasm]\nenabled = false").get(&WASM_CAPABILITY.parse().unwrap()).is_none());
        for name in ["arch", "os"] {
            assert!(has.get(&name.parse().unwrap()).flatten().is_some(), "{name}");
        }
        assert_eq!(of("").iter().filter(|(name, _)| name.is_tool()).count(), 0);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let commands: Vec<String> = (0..400).map(|n| format!("\"/bin/command-{n}\"")).collect();
        let has = of(&format!("[exec]\nallow = [{}]\n[capabilities]\ndeclare = [\"gpu=1\"]", commands.join(", ")));
        let names: Vec<&str> = has.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.len() > 200 && names.contains(&"gpu") && names.contains(&"cores"), "{}", names.len());
    }

    #[test]
    fn a_kernel_is_known_by_its_numbers() {
        for (text, expected) in [
            ("6.1.0-18-amd64", Some("6.1.0")),
            ("5.15.153.1-microsoft-standard-WSL2", Some("5.15.153")),
            ("6.8", Some("6.8")),
            ("rolling", None),
        ] {
            assert_eq!(release(text).as_deref(), expected, "{text}");
        }
    }
}
