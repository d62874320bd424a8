//! What an exec request asks for, and whether the pod has it.

use serde_json::Value;

use crate::testing::cluster::status::Status;
use crate::testing::cluster::target::{Query, Target};

/// The parameters of an exec request.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) command: Vec<String>,
    pub(super) container: String,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

impl Options {
    /// The parameters, with the container that they mean.
    pub(super) fn parse(query: &Query, target: &Target, pod: &Value) -> Result<Self, Status> {
        let options = Self {
            command: query.all("command"),
            container: container(query.get("container"), &target.name, pod)?,
            stdin: query.flag("stdin"),
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr"),
        };
        if !(options.stdin || options.stdout || options.stderr) {
            return Err(Status::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        if options.command.is_empty() {
            return Err(Status::bad_request("you must specify command for the container"));
        }
        check_phase(&options.container, target, pod)?;
        Ok(options)
    }
}

/// Nothing runs in a pod that waits or has ended. What a cluster says then was not recorded; clients do not depend
/// on it.
fn check_phase(container: &str, target: &Target, pod: &Value) -> Result<(), Status> {
    match pod["status"]["phase"].as_str() {
        Some("Pending") => Err(Status::bad_request(format!("pod {} does not have a host assigned", target.name))),
        Some("Succeeded" | "Failed") => {
            Err(Status::internal(&format!("unable to upgrade connection: container not found (\"{container}\")")))
        }
        _ => Ok(()),
    }
}

/// The names of a pod's containers.
fn names(pod: &Value) -> Vec<&str> {
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let containers = lists.iter().filter_map(|list| pod["spec"][*list].as_array()).flatten();
    containers.filter_map(|container| container["name"].as_str()).collect()
}

fn container(asked: Option<&str>, pod_name: &str, pod: &Value) -> Result<String, Status> {
    let names = names(pod);
    match asked {
        Some(asked) if names.contains(&asked) => Ok(asked.to_owned()),
        Some(asked) => Err(Status::bad_request(format!("container {asked} is not valid for pod {pod_name}"))),
        None => match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            names => Err(Status::bad_request(format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                names.join(" ")
            ))),
        },
    }
}
