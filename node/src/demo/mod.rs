//! The main job, for a newcomer to watch: a mesh of real processes runs one command a file, one node is killed with
//! -9 mid-way, and every result is compared with one computed here.

mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

pub use self::report::{Killed, Report, Rerun, Share};
use crate::api::jobs::submit::JobHeader;
use crate::api::result::TaskResult;
use crate::api::submission::{Command, ProgramSpec, show_date};
use crate::api::terms::Terms;
use crate::testnet::{self, Job, Options, Scratch, Testnet, TestnetError, Tracker, length, seeded};

/// What a demonstration does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program that the nodes run.
    pub binary: PathBuf,
    /// At least 3.
    pub nodes: usize,
    /// One task each.
    pub files: usize,
    /// Leave the mesh running.
    pub keep: bool,
}

/// The command. It prints the hash and the name it was given, so that a result tells of which file it is.
const COMMAND: &str = "sha256sum";
/// Who is killed. Not the node that the client talks to: what happens then is for the tests.
const VICTIM: usize = 1;
/// When: of the tasks so many hundredths have ended.
const KILL_AT_PERCENT: usize = 40;

/// Runs it. `say` hears what goes on, and `watch` of each result how many there are.
pub async fn run(
    plan: &Plan,
    say: &dyn Fn(&str),
    watch: &dyn Fn(usize),
) -> Result<(Report, Option<Testnet>), TestnetError> {
    let begun = Instant::now();
    let scratch = Scratch::new(None, "meshd-demo-files")?;
    let files = seeded::files(scratch.path(), plan.files, size_of)?;
    let wanted: Vec<String> = files.iter().map(|(_, text)| hash(text)).collect();
    let named: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .map(|(path, text)| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text))
        .collect();

    let mut options = Options::new(plan.binary.clone());
    options.detached = plan.keep;
    let mut ground = Scratch::new(None, "meshd-demo")?;
    let mut net = Testnet::up(ground.path(), plan.nodes, &options).await?;
    // Nobody would be told of nodes that are left on any other way out than the last.
    net.leave(false);
    let up = begun.elapsed();
    say(&format!("{} nodes are up after {}, each a process of its own", plan.nodes, length(up)));

    let order: Vec<usize> = (0..plan.nodes).collect();
    let mut gateways = net.gateways(&order)?;
    let mut items = testnet::as_items(&gateways, &named).await?;
    for (item, (name, _)) in items.iter_mut().zip(&named) {
        item.argv = Some(vec![COMMAND.into(), name.clone()]);
    }
    say(&format!("{} files are in the mesh; running `{COMMAND}` on each", named.len()));

    let key = format!("demo-{:032x}", rand::random::<u128>());
    let command = Command { argv: vec![COMMAND.into()], ..Command::default() };
    let terms = Terms { born: Some(show_date(crate::api::now())), ..Terms::default() };
    let header = JobHeader {
        name: "demo".into(),
        key: Some(key),
        program: ProgramSpec::Exec(command),
        terms,
        count: Some(items.len() as u64),
        after: Vec::new(),
    };
    let job = Job { header, items, rate: None, placed: false, patience: Duration::from_secs(60) };
    let mut tracker = Tracker::new(job.items.len());
    let (work, mut killed) = (Instant::now(), None);
    job.carry(&mut gateways, &mut tracker, &mut |tracker| {
        watch(tracker.ended);
        if killed.is_none() && tracker.ended * 100 >= plan.files * KILL_AT_PERCENT {
            net.kill(VICTIM)?;
            let at = work.elapsed();
            say(&format!("killed node {VICTIM} with -9 when {} of {} had ended", tracker.ended, plan.files));
            killed = Some(Killed { node: VICTIM, at_ms: ms(at), ended: tracker.ended });
        }
        Ok(())
    })
    .await?;
    let took = work.elapsed();

    let mut report = Report {
        tasks: plan.files,
        up_ms: ms(up),
        work_ms: ms(took),
        total_ms: 0,
        longest_pause_ms: ms(tracker.longest_gap),
        killed,
        nodes: shares(&net, &tracker),
        rerun: reruns(&net, &tracker, &named),
        wrong: wrong(&tracker, &named, &wanted),
        job: tracker.job.clone(),
        kept: plan.keep.then(|| net.dir().to_owned()),
    };
    let left = match plan.keep {
        true => {
            net.leave(true);
            ground.keep();
            Some(net)
        }
        false => {
            net.down()?;
            None
        }
    };
    report.total_ms = ms(begun.elapsed());
    Ok((report, left))
}

/// From a few hundred bytes, which travel within the task, to 64 KiB, which travel as blobs.
fn size_of(index: usize) -> usize {
    200 + (index * 7919) % (64 * 1024)
}

fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn shares(net: &Testnet, tracker: &Tracker) -> Vec<Share> {
    let mut shares: Vec<Share> =
        net.nodes().iter().enumerate().map(|(node, state)| Share { node, id: state.node.clone(), ran: 0 }).collect();
    for told in tracker.told().iter().flatten() {
        if let Some(node) = told.result.node.as_deref().and_then(|node| net.number_of(node)) {
            shares[node].ran += 1;
        }
    }
    shares
}

fn reruns(net: &Testnet, tracker: &Tracker, named: &[(String, Vec<u8>)]) -> Vec<Rerun> {
    let told = tracker.told().iter().zip(named).filter_map(|(told, (name, _))| Some((&told.as_ref()?.result, name)));
    told.filter(|(result, _)| result.failed_attempts > 0)
        .map(|(result, name)| Rerun {
            file: name.clone(),
            failed_attempts: result.failed_attempts,
            node: result.node.as_deref().and_then(|node| net.number_of(node)),
        })
        .collect()
}

/// What is not as a local run would have it.
fn wrong(tracker: &Tracker, named: &[(String, Vec<u8>)], wanted: &[String]) -> Vec<String> {
    let mut wrong = tracker.contradictions.clone();
    for ((told, (name, _)), hash) in tracker.told().iter().zip(named).zip(wanted) {
        let line = format!("{hash}  {name}\n");
        match told.as_ref().map(|told| &told.result) {
            None => wrong.push(format!("{name}: no result")),
            Some(TaskResult { state, exit_code: Some(0), stdout: Some(stdout), .. })
                if state == "done" && *stdout == line => {}
            Some(result) => wrong.push(format!("{name}: {result:?}, and not {line:?}")),
        }
    }
    wrong
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
