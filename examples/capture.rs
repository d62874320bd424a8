//! Measures captures out of the stand-in cluster, with the program itself as a process of its own.
//!
//! ```text
//! capture stream SFARC [GIGABYTES]   a stream stored, against the same client that only reads it
//! capture builds SFARC [BUILDS]      a Software Factory, and again after 500 more builds
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use sfarc::env::Cancel;
use sfarc::k8s::{Place, PodChoice, PodPlace};
use sfarc::source::pod::{self, Bounds, PodCommand, Run};
use sfarc::testing::cluster::{Cluster, Container, Rule};
use sfarc::testing::corpus::DumpModel;
use sfarc::testing::factory::{self, Factory};

const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |usual| arguments.get(2).map_or(Ok(usual), |text| text.parse());
    match arguments.first().map(String::as_str) {
        Some("stream") => stream(&arguments[1], number(1)?),
        Some("builds") => builds(&arguments[1], number(100_000)?),
        Some("read") => read(Path::new(&arguments[1]), &arguments[2]),
        _ => Err("say `stream SFARC` or `builds SFARC`".into()),
    }
}

/// What the same client does without storing: the whole exec session, proof and all.
fn read(kubeconfig: &Path, command: &str) -> Result<(), Box<dyn Error>> {
    let place = Place { kubeconfig: Some(kubeconfig.to_owned()), context: None };
    let pod = PodPlace { namespace: "sf".into(), pod: PodChoice::Named("db-0".into()), container: Some("db".into()) };
    let (command, bounds) = (PodCommand::Shell(command.to_owned()), Bounds::default());
    let run = Run { place: &place, pod: &pod, command: &command, bounds: &bounds, tolerated: &[] };
    let mut bytes = 0;
    let random = std::array::from_fn(|place| place as u8);
    pod::run(&run, &random, &Cancel::default(), |arriving| {
        arriving.copy_to(|part| {
            bytes += part.len() as u64;
            Ok(())
        })
    })?;
    Ok(())
}

/// What a process took.
#[derive(Clone, Copy, Default)]
struct Cost {
    seconds: f64,
    /// Of processor time, in user and kernel.
    core_seconds: f64,
    /// Peak memory.
    mib: f64,
}

/// Runs a process that must succeed.
fn measure(command: &mut Command) -> Result<Cost, Box<dyn Error>> {
    let usage = tempfile::NamedTempFile::new()?;
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%M %U %S", "-o"]).arg(usage.path()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        timed.env(name, value.unwrap_or_default());
    }
    let started = Instant::now();
    let status = timed.status()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() || status.signal().is_some() {
        return Err(format!("{command:?} failed").into());
    }
    let text = std::fs::read_to_string(usage.path())?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    Ok(Cost { seconds, core_seconds: numbers[1] + numbers[2], mib: numbers[0] / 1024.0 })
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn sfarc(program: &str, repository: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("SFARC_REPO", repository).env("SFARC_PASSWORD", "only for measuring").env("HOME", repository);
    command.arg("--quiet");
    command
}

/// Sends a file at the speed at which a real cluster (Kubernetes 1.32 on one machine) was seen to send: 135 MB/s.
const PACED: &str = r#"exec python3 -c '
import sys, time
data, sent, began = sys.stdin.buffer, 0, time.monotonic()
while piece := data.read(1 << 18):
    sys.stdout.buffer.write(piece)
    sent += len(piece)
    time.sleep(max(0, began + sent / 135e6 - time.monotonic()))
' <"$1""#;

fn stream(program: &str, gigabytes: u64) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let dump = folder.path().join("dump.sql");
    let builds = usize::try_from(gigabytes)? * 3_049_000;
    DumpModel::new(1, builds).write_to(&mut File::create(&dump)?)?;
    let megabytes = std::fs::metadata(&dump)?.len() as f64 / 1e6;
    let cluster = Cluster::start(|setup| {
        setup.namespace("sf");
        setup.token("backup", [Rule::all()]);
        setup.pod("sf", "db-0", [Container::new("db").folder(folder.path()).program("paced", PACED)]);
    });
    let kubeconfig = folder.path().join("kubeconfig");
    File::create(&kubeconfig)?.write_all(cluster.kubeconfig("backup").as_bytes())?;
    println!("{megabytes:.0} MB out of a pod, medians of {ROUNDS} rounds, whole processes");
    for (title, command) in [("as fast as it goes", "cat dump.sql"), ("at 135 MB/s", "paced dump.sql")] {
        println!("{title}");
        compare(program, folder.path(), &kubeconfig, command, megabytes)?;
    }
    Ok(())
}

/// Reads a stream, stores it, and stores it again.
fn compare(
    program: &str,
    folder: &Path,
    kubeconfig: &Path,
    command: &str,
    megabytes: f64,
) -> Result<(), Box<dyn Error>> {
    let repository = folder.join("repository");
    let (mut reads, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let reading = measure(Command::new(std::env::current_exe()?).arg("read").arg(kubeconfig).arg(command))?;
        measure(sfarc(program, &repository).arg("init"))?;
        let mut snapshot = sfarc(program, &repository);
        snapshot.arg("snapshot").arg("--kubeconfig").arg(kubeconfig).args(["-n", "sf"]);
        snapshot.args(["--pod", &format!("dump.sql=db-0/db:{command}")]);
        let (new, known) = (measure(&mut snapshot)?, measure(&mut snapshot)?);
        std::fs::remove_dir_all(&repository)?;
        // The first round warms caches.
        if round > 0 {
            reads.push(reading);
            first.push(new);
            again.push(known);
        }
    }
    let reading = median(&reads, |cost| cost.seconds);
    for (what, costs) in [("read only", &reads), ("stored, first", &first), ("stored, again", &again)] {
        let (seconds, cores) = (median(costs, |cost| cost.seconds), median(costs, |cost| cost.core_seconds));
        let (speed, ratio) = (megabytes / seconds, reading / seconds);
        let peak = costs.iter().map(|cost| cost.mib).fold(0.0, f64::max);
        println!(
            "  {what:14} {seconds:.2} s  {speed:.0} MB/s  {ratio:.2} x of reading  {cores:.2} core-s  {peak:.0} MiB"
        );
    }
    Ok(())
}

fn stored(repository: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in walkdir::WalkDir::new(repository) {
        let data = entry?.metadata()?;
        sum += if data.is_file() { data.len() } else { 0 };
    }
    Ok(sum)
}

fn builds(program: &str, builds: u64) -> Result<(), Box<dyn Error>> {
    let mut factory = Factory::start(factory::Options { builds, real: true, ..factory::Options::default() });
    println!("real database: {}, real keys: {}", factory.has_real_database(), factory.has_real_keys());
    let folder = tempfile::tempdir()?;
    let repository = folder.path().join("repository");
    let kubeconfig = factory.kubeconfig("admin");
    measure(sfarc(program, &repository).arg("init"))?;
    let mut last = stored(&repository)?;
    for (round, more) in [0, 0, 500, 500, 500].into_iter().enumerate() {
        factory.add_builds(more);
        let mut snapshot = sfarc(program, &repository);
        snapshot.args(["snapshot", "-n", "sf"]).arg("--cr").arg(factory.cr_file()).arg("--kubeconfig").arg(&kubeconfig);
        let Cost { seconds, mib, .. } = measure(&mut snapshot)?;
        let now = stored(&repository)?;
        let added = (now - last) as f64 / 1000.0;
        println!("snapshot {round}, {more} more builds: {added:.1} KB added, {seconds:.2} s, {mib:.0} MiB");
        last = now;
    }
    Ok(())
}
