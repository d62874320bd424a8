//! Whether a plan can be followed: each thing that it needs is tried, in the order in which it would fail.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::env::{Clock, UnixNanos};
use crate::format::manifest::Proof;
use crate::k8s::exec::{self, Answer, Target, Verdict};
use crate::k8s::{Cluster, ClusterError, Place, PodPlace};
use crate::plan::{LeftOut, Plan, Planned};
use crate::source::cluster::Take;
use crate::source::pod::PodCommand;

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Longest answer that is expected, in bytes.
const MOST: usize = 16 << 10;

/// A clock that is further off makes times of snapshots misleading, and tokens invalid.
const CLOCK_OFF: i64 = 60;

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// A snapshot can be taken, but something is not as good as it could be.
    Poor,
    /// No snapshot can be taken.
    Bad,
}

/// One look, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// At what.
    pub what: String,
    /// How it is.
    pub health: Health,
    /// What was seen.
    pub seen: String,
    /// What to do about it; empty where nothing needs to be done.
    pub cure: String,
}

impl Look {
    /// Something that is as it should be.
    pub fn good(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { what: what.into(), health: Health::Good, seen: seen.into(), cure: String::new() }
    }

    /// Something that is not, and what to do about it.
    pub fn bad(what: impl Into<String>, seen: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), health: Health::Bad, seen: seen.into(), cure: cure.into() }
    }

    fn poor(self) -> Self {
        Self { health: Health::Poor, ..self }
    }
}

/// Looks at everything that a plan needs of the cluster. `look` hears of each as it is known.
pub fn examine(place: &Place, plan: &Plan, clock: &dyn Clock, look: &mut dyn FnMut(Look)) -> Result<(), ClusterError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ClusterError::Config(Box::new(error)))?;
    runtime.block_on(async {
        let cluster = Cluster::connect(place).await?;
        match cluster.version().await {
            Ok(version) => look(Look::good("connection", format!("the API server answers, version {version}"))),
            Err(error) => {
                look(Look::bad("connection", crate::event::chain(&error), cure(&error)));
                return Ok(());
            }
        }
        permissions(&cluster, plan, look).await?;
        plan.left_out.iter().filter(|left_out| left_out.forbidden).for_each(|left_out| look(forbidden(left_out)));
        containers(&cluster, plan, clock, look).await;
        Ok(())
    })
}

/// What to do about a cluster that does not do what is asked.
pub fn cure(error: &ClusterError) -> &'static str {
    match error {
        ClusterError::Forbidden { .. } => GRANT,
        ClusterError::Refused { code: 401, .. } => {
            "the token is wrong or has expired: get a new one for the kubeconfig"
        }
        _ => "check the address, the certificate and the token in the kubeconfig, and that the server can be reached",
    }
}

const GRANT: &str =
    "grant it: deploy/rbac.yaml has a Role for backups, and `sfarc plan --role` prints the least one for this plan";

/// A snapshot goes without what the account may not look at.
fn forbidden(left_out: &LeftOut) -> Look {
    Look::bad(format!("{} are left out", left_out.what), &left_out.why, GRANT).poor()
}

async fn permissions(cluster: &Cluster, plan: &Plan, look: &mut dyn FnMut(Look)) -> Result<(), ClusterError> {
    for (namespace, permissions) in plan.permissions() {
        let mut granted = 0;
        for permission in &permissions {
            if cluster.may(permission, &namespace).await? {
                granted += 1;
            } else {
                look(Look::bad(format!("permission in {namespace}"), format!("the account lacks {permission}"), GRANT));
            }
        }
        if granted == permissions.len() {
            look(Look::good(format!("permissions in {namespace}"), format!("all {granted} are granted")));
        }
    }
    Ok(())
}

/// Asks for programs, then behind `--` for those of which the version matters, and for the time. One line for each.
const TOOLS: &str = r#"
while [ "$1" != -- ]; do command -v "$1" >/dev/null 2>&1 && echo "has $1"; shift; done
shift
for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || continue
    echo "version $tool: $("$tool" --version 2>/dev/null </dev/null | { IFS= read -r line; echo "$line"; })"
done
echo "time $(date +%s)"
"#;

async fn containers(cluster: &Cluster, plan: &Plan, clock: &dyn Clock, look: &mut dyn FnMut(Look)) {
    let mut seen = BTreeSet::new();
    for planned in &plan.streams {
        let Some((pod, tools)) = needs(planned) else { continue };
        if !seen.insert((pod.to_string(), tools.clone())) {
            continue;
        }
        match cluster.find(pod).await {
            Ok(target) => container(cluster, planned, &target, &tools, clock, look).await,
            Err(error) => {
                let cure = "start the workload, or leave the stream out with --skip";
                look(Look::bad(format!("stream {}", planned.name), crate::event::chain(&error), cure));
            }
        }
    }
}

/// The container of a stream, and groups of programs of which it needs one each.
fn needs(planned: &Planned) -> Option<(&PodPlace, Vec<&'static [&'static str]>)> {
    Some(match &planned.take {
        Take::Objects(_) => return None,
        Take::Command(pod, ..) => (pod, vec![]),
        Take::Folder(pod, _) => (pod, vec![&["tar"]]),
        Take::Database(pod, _) => (pod, vec![&["mariadb-dump", "mysqldump"], &["mariadb", "mysql"]]),
        Take::ZuulKeys(_, Some(_)) => return None,
        Take::ZuulKeys(pod, None) => (pod, vec![&["zuul-admin"]]),
    })
}

/// Programs that prove a stream, in the order in which they are looked for.
const PROVING: [&str; 4] = ["tee", "openssl", "sha256sum", "wc"];

/// How well a stream can be proven by what a container has, and what is missing for the rest.
fn provable(has: impl Fn(&str) -> bool) -> (Proof, &'static str) {
    match () {
        () if !has("tee") => (Proof::P0, "no `tee`"),
        () if has("openssl") || has("sha256sum") => (Proof::P2, ""),
        () if has("wc") => (Proof::P1, "neither `openssl` nor `sha256sum`"),
        () => (Proof::P0, "none of `openssl`, `sha256sum` and `wc`"),
    }
}

async fn container(
    cluster: &Cluster,
    planned: &Planned,
    target: &Target,
    tools: &[&[&str]],
    clock: &dyn Clock,
    look: &mut dyn FnMut(Look),
) {
    let what = format!("stream {} in {target}", planned.name);
    let wanted: Vec<&str> = tools.iter().copied().flatten().copied().collect();
    let argv = ["sh", "-c", TOOLS, "sh"].into_iter().chain(wanted.iter().copied()).chain(PROVING);
    let argv: Vec<String> = argv.chain(["--"]).chain(wanted.iter().copied()).map(str::to_owned).collect();
    let (before, answer) = (clock.now(), exec::answer(cluster, target, &argv, MOST, LIMIT).await);
    let said = match answer {
        Ok(Answer { stdout, verdict: Verdict::Success, .. }) => String::from_utf8_lossy(&stdout).into_owned(),
        Ok(Answer { verdict, .. }) => return look(no_shell(&what, &verdict, planned)),
        Err(error) => {
            let cure = "see that the pod runs and has this container; `kubectl exec` must work for the same account";
            return look(Look::bad(what, crate::event::chain(&error), cure));
        }
    };
    let has = |tool: &str| said.lines().any(|line| line.strip_prefix("has ") == Some(tool));
    for group in tools.iter().filter(|group| !group.iter().any(|tool| has(tool))) {
        let cure = "use an image that has it, or describe the stream in a sfarc.toml with a command that the image has";
        look(Look::bad(what.clone(), format!("the container has no `{}`", group.join("` or `")), cure));
    }
    look(match provable(has) {
        (Proof::P2, _) => Look::good(what.clone(), present(&said)),
        (reached, lacks) => unproven(&what, reached, lacks, planned),
    });
    let time = said.lines().find_map(|line| line.strip_prefix("time ")?.parse::<i64>().ok());
    if let Some(off) = time.and_then(|time| clock_off(time, before, clock.now())) {
        let cure = "set the clocks of this machine and of the cluster's nodes (NTP)";
        look(Look::bad(what, format!("the clock there differs by {off} s"), cure).poor());
    }
}

/// That the tools are there, and the versions of those that say one.
fn present(said: &str) -> String {
    let versions = said.lines().filter_map(|line| line.strip_prefix("version ")).filter(|line| !line.ends_with(": "));
    let versions: Vec<&str> = versions.collect();
    let present = "a command ran there and its tools are present";
    if versions.is_empty() { present.to_owned() } else { format!("{present} ({})", versions.join("; ")) }
}

fn unproven(what: &str, reached: Proof, lacks: &str, planned: &Planned) -> Look {
    let seen = format!("the container has {lacks}: its streams can have proof {reached} only");
    let cure = format!("use an image with the usual small tools, or say --min-proof {reached}");
    let look = Look::bad(what, seen, cure);
    if reached < planned.bounds.min_proof { look } else { look.poor() }
}

fn no_shell(what: &str, verdict: &Verdict, planned: &Planned) -> Look {
    let words = match verdict {
        Verdict::Success => "the command succeeded".to_owned(),
        Verdict::ExitCode(code) => format!("a small command ended with exit code {code}"),
        Verdict::Failure(words) => words.clone(),
    };
    let cure = "without `sh` in the image only a program with its arguments can run, with --min-proof p0";
    let look = Look::bad(what, words, cure);
    let is_program = matches!(planned.take, Take::Command(_, PodCommand::Program(_), _));
    if is_program && planned.bounds.min_proof == Proof::P0 { look.poor() } else { look }
}

/// How many seconds a clock is off that was read between two moments; nothing if that is little.
fn clock_off(time: i64, before: UnixNanos, after: UnixNanos) -> Option<i64> {
    let (before, after) = (before / 1_000_000_000, after / 1_000_000_000);
    let off = if time < before { time - before } else { (time - after).max(0) };
    (off.abs() > CLOCK_OFF).then_some(off)
}
