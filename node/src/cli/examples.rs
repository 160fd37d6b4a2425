//! An example for the help of each verb. A test has each parsed, and finds the verb that lacks one.

/// Each verb and how it is used.
const EXAMPLES: &[(&str, &str)] = &[
    ("init", "meshd init --name lab"),
    ("invite", "meshd invite --role full --address /ip4/192.0.2.7/tcp/7440"),
    ("run", "meshd run --allow gzip --allow sha256sum"),
    ("join", "meshd join - < token"),
    ("submit", "meshd submit --exec --file data.csv --out sorted.csv -- sort -o sorted.csv data.csv"),
    ("map", "meshd map --exec --out-dir out -- sha256sum {} ::: *.txt"),
    ("flow", "meshd flow report.toml --out-dir out"),
    ("task list", "meshd task list --state running"),
    ("task show", "meshd task show 4f1d0c2b"),
    ("task explain", "meshd task explain 4f1d0c2b"),
    ("task retry", "meshd task retry 4f1d0c2b"),
    ("auction show", "meshd auction show 4f1d0c2b"),
    ("task logs", "meshd task logs -f 4f1d0c2b"),
    ("task cancel", "meshd task cancel 4f1d0c2b"),
    ("task result", "meshd task result 4f1d0c2b --wait --out-dir out"),
    ("job list", "meshd job list --output json"),
    ("job show", "meshd job show 9a70e2c1"),
    ("job attach", "meshd job attach 9a70e2c1"),
    ("job cancel", "meshd job cancel 9a70e2c1"),
    ("job result", "meshd job result 9a70e2c1 --out-dir out"),
    ("status", "meshd status --api http://127.0.0.1:7441"),
    ("health", "meshd health --live"),
    ("peer list", "meshd peer list"),
    ("member list", "meshd member list --output json"),
    ("member show", "meshd member show 28JLW4ecA"),
    ("member forget", "meshd member forget 12D3KooWEyTePfrbr79Ra3BfEnMEFfzhPydtZwLqQB628JLW4ecA"),
    ("member revoke", "meshd member revoke 28JLW4ecA"),
    ("inviter list", "meshd inviter list"),
    ("inviter add", "meshd inviter add 12D3KooWEyTePfrbr79Ra3BfEnMEFfzhPydtZwLqQB628JLW4ecA --uses 10"),
    ("inviter remove", "meshd inviter remove 12D3KooWEyTePfrbr79Ra3BfEnMEFfzhPydtZwLqQB628JLW4ecA"),
    ("worker list", "meshd worker list --output json"),
    ("blob add", "meshd blob add data.tar"),
    ("blob get", "meshd blob get 4f1d0c2b --out data.tar"),
    ("blob ls", "meshd blob ls"),
    ("blob rm", "meshd blob rm 4f1d0c2b"),
    ("memory put", "meshd memory put --namespace app leader node-7 --ttl 1h"),
    ("memory get", "meshd memory get --namespace app leader"),
    ("memory list", "meshd memory list --namespace app --prefix jobs/"),
    ("memory delete", "meshd memory delete --namespace app leader"),
    ("memory cas", "meshd memory cas --namespace app leader --expect absent node-7"),
    ("memory search", "meshd memory search --namespace app node-*"),
    ("aggregate count", "meshd aggregate count loss"),
    ("aggregate sum", "meshd aggregate sum mesh_tasks_running --output json"),
    ("aggregate mean", "meshd aggregate mean weights --vector"),
    ("aggregate min", "meshd aggregate min loss --value 0.25"),
    ("aggregate max", "meshd aggregate max mesh_tasks_queued"),
    ("aggregate quantile", "meshd aggregate quantile loss --at 0.95"),
    ("aggregate histogram", "meshd aggregate histogram loss --buckets 8"),
    ("aggregate set", "meshd aggregate set weights [0.5,-1.25] --ttl 1h"),
    ("aggregate unset", "meshd aggregate unset weights"),
    ("aggregate list", "meshd aggregate list"),
    ("propose", "meshd propose --title upgrade --body {\"version\":\"0.2.0\"} --deadline 10m"),
    ("vote", "meshd vote 4f1d0c2b approve"),
    ("proposal list", "meshd proposal list --output json"),
    ("proposal show", "meshd proposal show 4f1d0c2b"),
    ("proposal watch", "meshd proposal watch 4f1d0c2b"),
    ("proposal close", "meshd proposal close 4f1d0c2b"),
    ("lock", "meshd lock nightly --lease 30s -- ./backup.sh"),
    ("committee list", "meshd committee list"),
    ("committee add", "meshd committee add W4ecA628J"),
    ("committee remove", "meshd committee remove W4ecA628J"),
    ("committee auto", "meshd committee auto on --max 7"),
    ("consensus status", "meshd consensus status --output json"),
    ("ledger verify", "meshd ledger verify --proof decision.cbor --output json"),
    ("drain", "meshd drain --deadline 10m"),
    ("undrain", "meshd undrain"),
    ("demo", "meshd demo --keep"),
    ("testnet up", "meshd testnet up --nodes 3"),
    ("testnet down", "meshd testnet down"),
    ("testnet status", "meshd testnet status"),
    ("testnet kill", "meshd testnet kill 1"),
    ("testnet stop", "meshd testnet stop 1"),
    ("testnet cont", "meshd testnet cont 1"),
    ("testnet restart", "meshd testnet restart 1"),
    ("bench tasks", "meshd bench tasks --program true --count 2000"),
    ("bench map", "meshd bench map --in-place"),
    ("bench consensus", "meshd bench consensus --replicas 4 --payload 128 --rate max"),
    ("bench gateway", "meshd bench gateway"),
    ("config show", "meshd config show"),
    ("config check", "meshd config check meshd.toml"),
    ("completions", "meshd completions bash > ~/.local/share/bash-completion/completions/meshd"),
];

/// The tree of verbs with an example behind the help of each.
pub(super) fn add(command: clap::Command) -> clap::Command {
    add_below(command, "")
}

fn add_below(mut command: clap::Command, above: &str) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
    for name in names {
        let verb = format!("{above} {name}").trim_start().to_owned();
        command = command.mut_subcommand(name, |child| match EXAMPLES.iter().find(|(known, _)| *known == verb) {
            Some((_, example)) => child.after_help(format!("Example: {example}")),
            None => add_below(child, &verb),
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_an_example_that_is_understood() {
        let mut open = vec![(super::super::command(), String::new())];
        while let Some((command, verb)) = open.pop() {
            let children: Vec<_> = command.get_subcommands().filter(|child| child.get_name() != "help").collect();
            for child in &children {
                open.push(((*child).clone(), format!("{verb} {}", child.get_name()).trim_start().to_owned()));
            }
            if children.is_empty() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with(&format!("Example: meshd {verb}")), "{verb}: {help:?}");
            }
        }
        for (_, example) in EXAMPLES {
            let words = example.split(' ').take_while(|word| !["<", ">", "|"].contains(word));
            let parsed = super::super::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }
}
