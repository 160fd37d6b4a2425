//! Runs the simulator over many seeds, or one seed with its trace.

use clap::{Parser, Subcommand};
use mesh_tests::sim::{
    self,
    boundary::{Cut, cut_everywhere},
    campaign::{Summary, run_all},
    options::Wanted,
    scale::command::Scale,
    trace::{Reader, Trace},
};
use std::{
    io::{BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

/// Meshes in a deterministic world, in which everything goes wrong.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
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
    /// New tasks a virtual second.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    tasks_per_second: u64,
    /// Every frame through the codec.
    #[arg(long)]
    wire: bool,
    /// All kinds of faults in every world; otherwise each seed's own.
    #[arg(long)]
    all_faults: bool,
    /// Ended records are forgotten in every world; otherwise in some.
    #[arg(long)]
    forgetful: bool,
    /// Operators have nodes drain, and take work again.
    #[arg(long)]
    drains: bool,
    /// Known limits of the protocol fail, too: see `task.two_homes`.
    #[arg(long)]
    strict: bool,
    /// With one seed: every input and effect, a line each.
    #[arg(long)]
    trace: bool,
    /// Instead of many faults one crash, at each write of a member of the committee in turn, in each of four ways.
    #[arg(long)]
    boundaries: bool,
    /// Do not stop at the first failure.
    #[arg(long)]
    go_on: bool,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Append the results to `docs/campaigns.jsonl`, a line for every 250 seeds; what stands there already for this
    /// commit and these options is not run again.
    #[arg(long)]
    campaign: bool,
}

#[derive(Subcommand)]
enum Verb {
    Scale(Scale),
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Verb::Scale(scale)) = &arguments.verb {
        return Ok(if scale.run(|text| println!("{text}")) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let wanted = Wanted {
        virtual_time: Some(Duration::from_secs_f64(arguments.virtual_minutes * 60.0)),
        nodes: arguments.nodes,
        tasks_per_second: Some(arguments.tasks_per_second),
        wire: arguments.wire,
        all_faults: arguments.all_faults,
        forgetful: arguments.forgetful,
        drains: arguments.drains,
        strict: arguments.strict,
        boundary: None,
    };
    if arguments.boundaries {
        return Ok(at_boundaries(&arguments, &wanted));
    }
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

fn at_boundaries(arguments: &Arguments, wanted: &Wanted) -> ExitCode {
    let seeds = arguments.seed.map_or(arguments.seeds.clone(), |seed| seed..seed + 1);
    for seed in seeds {
        match cut_everywhere(seed, wanted, |_| &Cut::ALL) {
            None => {}
            Some(Ok((runs, _))) => println!("seed {seed}: {runs} crashes"),
            Some(Err(report)) => {
                let what = report.violation.map_or_else(String::new, |violation| violation.to_string());
                println!("seed {seed} failed at {:?}: {what}\ndrawn: {:?}", report.options.boundary, report.options);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn many(arguments: &Arguments, wanted: &Wanted) -> anyhow::Result<ExitCode> {
    let mut summary = Summary::default();
    for part in parts(arguments) {
        if arguments.campaign && is_recorded(arguments, &part)? {
            println!("{part:?}: already in {CAMPAIGNS}");
            continue;
        }
        let done = run_all(part.clone(), wanted, arguments.threads, arguments.go_on, |report, violation| {
            let (seed, after) = (report.options.seed, report.virtual_time as f64 / 1e6);
            println!("seed {seed} failed after {after:.1} s: {violation}");
        });
        if arguments.campaign {
            record(arguments, &part, &done)?;
        }
        let stops = done.failed > 0 && !arguments.go_on;
        summary.merge(done);
        if stops {
            break;
        }
    }
    println!("{}", summary.counts);
    let (real, virtually) = (summary.real_time.as_secs_f64(), summary.virtual_time as f64 / 1e6);
    let cpu = summary.cpu_time.as_secs_f64();
    println!(
        "{} seeds in {real:.1} s: {:.2} seeds/s, {:.0} x real time, {:.0} events/s, {} tasks",
        summary.seeds,
        summary.seeds as f64 / real,
        virtually / real,
        summary.events as f64 / real,
        summary.tasks,
    );
    println!(
        "{cpu:.1} CPU s: {:.3} a virtual minute, {:.0} x real time on two cores",
        cpu * 60.0 / virtually,
        2.0 * virtually / cpu
    );
    let missing = summary.counts.missing();
    if !missing.is_empty() {
        println!("never happened: {}", missing.iter().map(|count| count.name()).collect::<Vec<_>>().join(" "));
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

/// What is run, and in a campaign recorded, at a time.
fn parts(arguments: &Arguments) -> Vec<Range<u64>> {
    let Range { start, end } = arguments.seeds;
    let step = if arguments.campaign { PART } else { usize::MAX };
    (start..end).step_by(step).map(|from| from..end.min(from.saturating_add(step as u64))).collect()
}

const PART: usize = 250;
const CAMPAIGNS: &str = "docs/campaigns.jsonl";

fn campaigns() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CAMPAIGNS)
}

fn replay(arguments: &Arguments, seed: u64) -> String {
    let mut command = format!(
        "cargo run --release -p mesh-tests --bin sim -- --seed {seed} --virtual-minutes {} --trace",
        arguments.virtual_minutes
    );
    if let Some(nodes) = arguments.nodes {
        command += &format!(" --nodes {nodes}");
    }
    for (set, flag) in [
        (arguments.wire, " --wire"),
        (arguments.all_faults, " --all-faults"),
        (arguments.forgetful, " --forgetful"),
        (arguments.drains, " --drains"),
        (arguments.strict, " --strict"),
    ] {
        command += if set { flag } else { "" };
    }
    command
}

/// What a line says of how it came about.
fn settings(arguments: &Arguments, part: &Range<u64>) -> serde_json::Map<String, serde_json::Value> {
    let settings = serde_json::json!({
        "campaign": "sim",
        "commit": commit(),
        "seeds": [part.start, part.end],
        "virtual_minutes": arguments.virtual_minutes,
        "nodes": arguments.nodes,
        "tasks_per_second": arguments.tasks_per_second,
        "wire": arguments.wire,
        "all_faults": arguments.all_faults,
        "forgetful": arguments.forgetful,
        "drains": arguments.drains,
        "strict": arguments.strict,
    });
    settings.as_object().cloned().unwrap_or_default()
}

fn is_recorded(arguments: &Arguments, part: &Range<u64>) -> anyhow::Result<bool> {
    let text = match std::fs::read_to_string(campaigns()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    let wanted = settings(arguments, part);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if wanted.iter().all(|(key, value)| line.get(key) == Some(value)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn record(arguments: &Arguments, part: &Range<u64>, summary: &Summary) -> anyhow::Result<()> {
    let counts: serde_json::Map<String, serde_json::Value> =
        summary.counts.iter().map(|(count, times)| (count.name().to_owned(), times.into())).collect();
    let mut line = settings(arguments, part);
    let results = serde_json::json!({
        "run": summary.seeds,
        "failures": summary.failed,
        "failed_seeds": summary.failures.keys().collect::<Vec<_>>(),
        "cpu_seconds": summary.cpu_time.as_secs_f64(),
        "virtual_seconds": summary.virtual_time / 1_000_000,
        "tasks": summary.tasks,
        "counts": counts,
    });
    line.extend(results.as_object().cloned().unwrap_or_default());
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(campaigns())?;
    writeln!(file, "{}", serde_json::Value::from(line))?;
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
