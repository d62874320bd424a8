//! The life of pods that were created: they wait, run, and end.
//!
//! A pod whose containers are not to be started again and again (`restartPolicy: Never` or `OnFailure`, which is taken
//! for `Never`) runs their commands as local processes and ends with them. All others are services: they just are
//! there, as are containers that leave the command to their image.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Child;

use super::images;
use super::state::State;
use super::store::{Change, Key};
use super::volumes::EmptyFolders;

/// What the runtime says of a command that could not be started.
const NOT_STARTED: i32 = 128;

/// Starts a pod that came, if it is to be started.
pub(super) fn react(state: &Arc<State>, change: &Change) {
    if let (None, Some(pod)) = (&change.old, &change.new)
        && pod["status"]["phase"] == "Pending"
    {
        let identity = Identity { key: change.key.clone(), uid: pod["metadata"]["uid"].clone() };
        tokio::spawn(live(Arc::clone(state), identity));
    }
}

/// One pod, not to be taken for a later one of the same name.
struct Identity {
    key: Key,
    uid: Value,
}

impl Identity {
    fn pod(&self, state: &State) -> Option<Value> {
        state.store().get(&self.key).filter(|pod| pod["metadata"]["uid"] == self.uid).cloned()
    }

    /// Changes the pod's status, if it is still there.
    fn set_status(&self, state: &State, status: &Value) -> bool {
        let mut store = state.store();
        let pod = store.get(&self.key).filter(|pod| pod["metadata"]["uid"] == self.uid).cloned();
        let Some(mut pod) = pod else { return false };
        for (name, value) in status.as_object().into_iter().flatten() {
            pod["status"][name] = value.clone();
        }
        store.put(self.key.clone(), pod);
        true
    }

    fn kill(&self, state: &State) {
        state.mark.pod(&self.key.namespace, &self.key.name).kill();
    }
}

async fn live(state: Arc<State>, identity: Identity) {
    tokio::time::sleep(state.lag).await;
    let Some(pod) = identity.pod(&state) else { return };
    if let Some(image) = images::missing(&state, &pod) {
        let waiting = json!({ "reason": "ErrImagePull", "message": format!("{image} is not there") });
        let states = containers(&pod, false, |_| json!({ "waiting": waiting }));
        identity.set_status(&state, &json!({ "containerStatuses": states }));
        return;
    }
    let now = state.now();
    // Held until everything in the pod has ended.
    let _folders = EmptyFolders::make(&pod);
    let mut processes = Vec::new();
    if pod["spec"]["restartPolicy"] != "Always" {
        processes = images::specs(&pod).filter_map(|spec| start(&state, &pod, &identity, spec)).collect();
    }
    if !identity.set_status(&state, &running(&pod, &now)) {
        // It went while its processes were started.
        return identity.kill(&state);
    }
    let deadline = pod["spec"]["activeDeadlineSeconds"].as_u64().map(Duration::from_secs);
    let status = tokio::select! {
        codes = end(processes) => ended(&pod, &codes, &now, &state.now()),
        () = wait(deadline) => {
            identity.kill(&state);
            late(&pod, &now, &state.now())
        }
    };
    identity.set_status(&state, &status);
}

/// A container's name and its process, or nothing if that could not be started.
type Main = (String, Option<Child>);

/// Starts the command of a container; nothing if it leaves that to its image.
fn start(state: &State, pod: &Value, identity: &Identity, spec: &Value) -> Option<Main> {
    let texts = |field: &str| spec[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let (name, mut command) = (spec["name"].as_str().unwrap_or_default(), texts("command"));
    let program = command.next()?;
    let arguments: Vec<String> = command.chain(texts("args")).collect();
    let mark = state.mark.pod(&identity.key.namespace, &identity.key.name);
    let process = images::container(state, pod, name)
        .command(&mark, &program, &arguments)
        .and_then(|mut command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn());
    Some((name.to_owned(), process.ok()))
}

/// The exit codes of all processes; without any, there is no end.
async fn end(processes: Vec<Main>) -> Vec<(String, i32)> {
    if processes.is_empty() {
        return std::future::pending().await;
    }
    let mut codes = Vec::new();
    for (name, process) in processes {
        let code = match process {
            Some(mut process) => process.wait().await.map_or(-1, exit_code),
            None => NOT_STARTED,
        };
        codes.push((name, code));
    }
    codes
}

/// A signal counts as 128 and its number.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn running(pod: &Value, now: &str) -> Value {
    json!({
        "phase": "Running",
        "startTime": now,
        "conditions": [{ "type": "Ready", "status": "True" }],
        "containerStatuses": containers(pod, true, |_| json!({ "running": { "startedAt": now } })),
    })
}

fn ended(pod: &Value, codes: &[(String, i32)], from: &str, to: &str) -> Value {
    let code = |name: &str| codes.iter().find(|(of, _)| of == name).map_or(0, |(_, code)| *code);
    let phase = if codes.iter().all(|(_, code)| *code == 0) { "Succeeded" } else { "Failed" };
    json!({
        "phase": phase,
        "conditions": [{ "type": "Ready", "status": "False", "reason": "PodCompleted" }],
        "containerStatuses": containers(pod, false, |name| terminated(code(name), from, to)),
    })
}

fn late(pod: &Value, from: &str, to: &str) -> Value {
    json!({
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "message": "Pod was active on the node longer than the specified deadline",
        "conditions": [{ "type": "Ready", "status": "False", "reason": "PodFailed" }],
        "containerStatuses": containers(pod, false, |_| terminated(137, from, to)),
    })
}

fn terminated(code: i32, from: &str, to: &str) -> Value {
    let reason = match code {
        0 => "Completed",
        NOT_STARTED => "StartError",
        _ => "Error",
    };
    json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": from, "finishedAt": to } })
}

fn containers(pod: &Value, ready: bool, state: impl Fn(&str) -> Value) -> Vec<Value> {
    let status = |spec: &Value| {
        json!({
            "name": spec["name"],
            "image": spec["image"],
            "imageID": "",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state(spec["name"].as_str().unwrap_or_default()),
        })
    };
    images::specs(pod).map(status).collect()
}
