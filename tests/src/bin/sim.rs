//! Runs the simulator over many seeds, or one seed with its trace.

use clap::Parser;
use mesh_tests::sim::{
    self,
    campaign::{Summary, run_all},
    options::Wanted,
    trace::{Reader, Trace},
};
use std::{
    io::{BufWriter, Write},
    ops::Range,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

/// Meshes in a deterministic world, in which everything goes wrong.
#[derive(Parser)]
struct Arguments {
    /// Seeds to run, `from..to`.
    #[arg(long, default_value = "0..1000", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Virtual time of each world; the last 100 seconds of it, or less, are for healing.
    #[arg(long, default_value_t = 5.0)]
    virtual_minutes: f64,
    /// Members at the beginning; otherwise the seed's own.
    #[arg(long)]
    nodes: Option<usize>,
    /// Every frame through the codec.
    #[arg(long)]
    wire: bool,
    /// All kinds of faults in every world; otherwise each seed's own.
    #[arg(long)]
    all_faults: bool,
    /// Known limits of the protocol fail, too: see `task.two_homes`.
    #[arg(long)]
    strict: bool,
    /// With one seed: every input and effect, a line each.
    #[arg(long)]
    trace: bool,
    /// Do not stop at the first failure.
    #[arg(long)]
    go_on: bool,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Append the result to `docs/campaigns.jsonl`.
    #[arg(long)]
    campaign: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted = Wanted {
        virtual_time: Some(Duration::from_secs_f64(arguments.virtual_minutes * 60.0)),
        nodes: arguments.nodes,
        wire: arguments.wire,
        all_faults: arguments.all_faults,
        strict: arguments.strict,
    };
    match arguments.seed {
        Some(seed) => one(seed, &wanted, arguments.trace),
        None => many(&arguments, &wanted),
    }
}

fn one(seed: u64, wanted: &Wanted, trace: bool) -> anyhow::Result<ExitCode> {
    let text: Option<Reader> = match trace {
        false => None,
        true => {
            let mut out = BufWriter::new(std::io::stdout());
            // A reader that has seen enough is no failure.
            Some(Box::new(move |line| writeln!(out, "{line}").unwrap_or_default()))
        }
    };
    let report = sim::run(seed, wanted, Trace::new(text));
    println!("{:#?}", report.options);
    println!("{}", report.counts);
    println!(
        "seed {seed}: {} events, {} tasks, {:.1} virtual s, trace hash {:016x}",
        report.events,
        report.tasks,
        report.virtual_time as f64 / 1e6,
        report.hash
    );
    Ok(match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("FAILED {violation}");
            ExitCode::FAILURE
        }
    })
}

fn many(arguments: &Arguments, wanted: &Wanted) -> anyhow::Result<ExitCode> {
    let summary = run_all(arguments.seeds.clone(), wanted, arguments.threads, arguments.go_on);
    println!("{}", summary.counts);
    let (real, virtually) = (summary.real_time.as_secs_f64(), summary.virtual_time as f64 / 1e6);
    println!(
        "{} seeds in {real:.1} s: {:.2} seeds/s, {:.0} x real time, {:.0} events/s, {} tasks",
        summary.seeds,
        summary.seeds as f64 / real,
        virtually / real,
        summary.events as f64 / real,
        summary.tasks,
    );
    let missing = summary.counts.missing();
    if !missing.is_empty() {
        println!("never happened: {}", missing.iter().map(|count| count.name()).collect::<Vec<_>>().join(" "));
    }
    if arguments.campaign {
        record(arguments, &summary)?;
    }
    if arguments.go_on {
        for (seed, report) in &summary.failures {
            let what = report.violation.as_ref().map_or_else(String::new, ToString::to_string);
            println!("seed {seed} after {:.1} s: {what}", report.virtual_time as f64 / 1e6);
        }
    }
    if let Some(failure) = summary.first_failure()
        && let Some(violation) = &failure.violation
    {
        let seed = failure.options.seed;
        println!("{} seeds failed; seed {seed} at commit {}: {violation}", summary.failed, commit());
        println!("drawn: {:?}", failure.options);
        println!("again: {}", replay(arguments, seed));
        return Ok(ExitCode::FAILURE);
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay(arguments: &Arguments, seed: u64) -> String {
    let mut command = format!(
        "cargo run --release -p mesh-tests --bin sim -- --seed {seed} --virtual-minutes {} --trace",
        arguments.virtual_minutes
    );
    if let Some(nodes) = arguments.nodes {
        command += &format!(" --nodes {nodes}");
    }
    for (set, flag) in
        [(arguments.wire, " --wire"), (arguments.all_faults, " --all-faults"), (arguments.strict, " --strict")]
    {
        command += if set { flag } else { "" };
    }
    command
}

fn record(arguments: &Arguments, summary: &Summary) -> anyhow::Result<()> {
    let counts: serde_json::Map<String, serde_json::Value> =
        summary.counts.iter().map(|(count, times)| (count.name().to_owned(), times.into())).collect();
    let line = serde_json::json!({
        "campaign": "sim",
        "commit": commit(),
        "seeds": [arguments.seeds.start, arguments.seeds.end],
        "virtual_minutes": arguments.virtual_minutes,
        "nodes": arguments.nodes,
        "wire": arguments.wire,
        "all_faults": arguments.all_faults,
        "run": summary.seeds,
        "failures": summary.failed,
        "first_failure": summary.first_failure().map(|failure| failure.options.seed),
        "seconds": summary.real_time.as_secs_f64(),
        "virtual_seconds": summary.virtual_time / 1_000_000,
        "tasks": summary.tasks,
        "counts": counts,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/campaigns.jsonl");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{line}")?;
    Ok(())
}

/// Of the working tree; `unknown` outside of one.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".into(),
    }
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match bounds {
        Some((from, to)) if from < to => Ok(from..to),
        _ => Err("expected from..to, such as 0..1000".into()),
    }
}
