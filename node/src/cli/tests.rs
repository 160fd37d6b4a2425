use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_tree_of_verbs_is_consistent() {
    command().debug_assert();
}

#[test]
fn what_people_type_is_understood() {
    for line in [
        "meshd submit --exec -- sha256sum x",
        "meshd submit --exec --stdin f --file a --file b=c --out o --env A=B --retries 2 --deadline 1h -- cat a b",
        "meshd submit --echo hi --output json",
        "meshd submit --sleep 2s --detach --idempotency-key k",
        "meshd map --echo --idempotency-key k --key-born 2026-11-26T09:30:00Z -- ::: a",
        "meshd submit --sha256 f --priority critical --api http://127.0.0.1:1 --token-file t",
        "meshd map --exec --out-dir out/ -- sha256sum {} ::: a b",
        "meshd map --exec --in-place --fail-fast -- gzip -9 -c {} :::: list",
        "meshd map --sha256 -- ::: a",
        "meshd map --echo --detach",
        "meshd flow f.toml --out-dir out",
        "meshd submit --echo x --unique",
        "meshd task list --state running --limit 5",
        "meshd task logs abcdef01 -f",
        "meshd task result abcdef01 --wait --out-dir x",
        "meshd job result abcdef01 --out-dir x",
        "meshd member forget 12D3KooWX",
        "meshd blob get abcdef01 --out x",
        "meshd memory put --namespace n k v --ttl 90s --wait 5s --idempotency-key x",
        "meshd memory put --namespace n k --file f",
        "meshd memory put --namespace n k -",
        "meshd memory get --namespace n k --stale",
        "meshd memory cas --namespace n k --expect 7 v",
        "meshd memory cas --namespace n k --expect absent --file f",
        "meshd memory cas --namespace n k --expect 7 --delete",
        "meshd memory search --namespace n a*b --limit 5",
        "meshd propose --title t --body {\"a\":1} --electorate all --threshold 0.5 --deadline 10m --rounds 3",
        "meshd vote abcdef01 abstain",
        "meshd proposal watch abcdef01 --timeout 1h",
        "meshd committee add 12D3KooWX --wait 2m",
        "meshd committee auto off",
        "meshd lock a/b --lease 2s --wait 0s -- sh -c true",
        "meshd consensus status",
        "meshd bench consensus --replicas 31 --payload 128 --rate 5000 --seconds 60 --gateways 2",
        "meshd bench consensus --rate one --kill-primary-at 5",
        "meshd bench consensus --idle --replicas 7",
        "meshd status --output json --data-dir d",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
    }
}

#[test]
fn what_other_tools_call_it_is_understood_and_shown() {
    for (typed, verb) in [
        ("blob put f", "blob add"),
        ("blob list", "blob ls"),
        ("task ls", "task list"),
        ("job ls", "job list"),
        ("peer ls", "peer list"),
        ("member ls", "member list"),
    ] {
        let matches = command().try_get_matches_from(format!("meshd {typed}").split(' ')).unwrap();
        let (noun, below) = matches.subcommand().unwrap();
        assert_eq!(format!("{noun} {}", below.subcommand_name().unwrap()), verb);
        let alias = typed.split(' ').nth(1).unwrap();
        assert!(command().find_subcommand_mut(noun).unwrap().render_help().to_string().contains(alias), "{typed}");
    }
}

#[test]
fn the_flags_of_every_verb_stand_apart_in_its_help() {
    let mut tree = command();
    tree.build();
    let mut open = vec![tree];
    while let Some(mut command) = open.pop() {
        let help = command.render_long_help().to_string();
        open.extend(command.get_subcommands().filter(|child| child.get_name() != "help").cloned());
        let (own, global) = help.split_once("\nGlobal options:\n").expect(&help);
        for flag in ["--data-dir <DIR>", "--config <FILE>", "--api <URL>", "--token-file <FILE>", "--output <FORMAT>"] {
            assert!(global.contains(flag) && !own.contains(flag), "{flag}: {help}");
        }
        assert!(own.contains("--help") && !global.contains("--help"), "{help}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "meshd submit",
        "meshd submit --exec",
        "meshd submit --exec --echo x -- y",
        "meshd submit --echo x --stdin f",
        "meshd submit --sleep soon",
        "meshd map -- sha256sum {} ::: a",
        "meshd map --exec --stdin --in-place -- x ::: a",
        "meshd map --exec --detach --fail-fast -- x ::: a",
        "meshd map --exec --detach --out-dir out -- x ::: a",
        "meshd flow f.toml --detach --out-dir out",
        "meshd submit --echo x --redundancy 3 --unique",
        "meshd submit --echo x --retries 300",
        "meshd submit --echo x --key-born 2026-11-26T09:30:00Z",
        "meshd submit --echo x --idempotency-key k --key-born yesterday",
        "meshd task show",
        "meshd blob add",
        "meshd memory get k",
        "meshd memory put --namespace n k",
        "meshd memory put --namespace n k v --file f",
        "meshd memory cas --namespace n k v",
        "meshd memory cas --namespace n k --expect 7",
        "meshd memory cas --namespace n k --expect 7 v --delete",
        "meshd memory cas --namespace n k --expect 7 --delete --ttl 1s",
        "meshd propose --title t",
        "meshd propose --title t --body {} --threshold half",
        "meshd vote abcdef01",
        "meshd vote abcdef01 maybe",
        "meshd committee auto",
        "meshd lock a",
        "meshd lock -- true",
        "meshd bench consensus --rate fast",
        "meshd bench consensus --rate 0",
        "meshd bench consensus --idle --one-down",
        "meshd bench consensus --replicas 32",
        "meshd bench consensus --replicas 1 --idle",
        "meshd bench consensus --rate 1e12",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
