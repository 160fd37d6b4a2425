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
        "meshd task list --state running --limit 5",
        "meshd task logs abcdef01 -f",
        "meshd task result abcdef01 --wait --out-dir x",
        "meshd job result abcdef01 --out-dir x",
        "meshd member forget 12D3KooWX",
        "meshd blob get abcdef01 --out x",
        "meshd status --output json --data-dir d",
    ] {
        assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
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
        "meshd submit --echo x --retries 300",
        "meshd submit --echo x --key-born 2026-11-26T09:30:00Z",
        "meshd submit --echo x --idempotency-key k --key-born yesterday",
        "meshd task show",
        "meshd blob add",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
