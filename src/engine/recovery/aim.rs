//! What a stream becomes again: read from where it came from.

use crate::format::manifest::{Origin, StreamEntry};
use crate::k8s::{PodChoice, PodPlace};
use crate::source::zuul_keys;
use crate::target::database::Database;
use crate::target::file::PodFile;
use crate::target::folder::PodFolder;

/// Where a stream goes to in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// Objects of the namespace.
    Objects,
    /// Zuul's keys in ZooKeeper, by way of this pod.
    Keys(PodPlace),
    /// A database, and where its clients run.
    Database(PodPlace, Database),
    /// A folder in a container.
    Folder(PodFolder),
    /// A file in a container.
    File(PodFile),
}

impl Aim {
    /// The pod that is written to.
    pub fn pod(&self) -> Option<&PodPlace> {
        match self {
            Self::Objects => None,
            Self::Keys(pod) => Some(pod),
            Self::Database(pod, _) => Some(pod),
            Self::Folder(folder) => Some(&folder.pod),
            Self::File(file) => Some(&file.pod),
        }
    }
}

/// Where a stream goes to in a namespace; nothing if nobody can know.
pub(super) fn aim(stream: &StreamEntry, namespace: &str) -> Option<Aim> {
    let place = |pod: &str, container: Option<&str>| PodPlace {
        namespace: namespace.to_owned(),
        pod: choice(pod),
        container: container.map(str::to_owned),
    };
    match &stream.origin {
        Origin::Objects { .. } => Some(Aim::Objects),
        // Files of a running ZooKeeper bring locks and queues of that moment back: that is for people to do.
        Origin::PodFolder { .. } if stream.name == b"zookeeper-data" => None,
        Origin::PodFolder { pod, container, path, .. } => {
            Some(Aim::Folder(PodFolder { pod: place(pod, container.as_deref()), path: path.clone() }))
        }
        Origin::Pod { pod, container, command, .. } => of_command(place(pod, container.as_deref()), command),
        // Taken from a backup of another tool: what it is follows from its name.
        _ => match &stream.name[..] {
            b"keys" => Some(Aim::Keys(place("zuul-scheduler-0", Some("zuul-scheduler")))),
            b"database" => {
                let pod = place("mariadb-0", Some("mariadb"));
                Some(Aim::Database(pod, Database { name: "zuul".to_owned() }))
            }
            _ => None,
        },
    }
}

fn of_command(pod: PodPlace, command: &str) -> Option<Aim> {
    if command == zuul_keys::command().line() {
        return Some(Aim::Keys(pod));
    }
    let (program, argument) = command.split_once(' ')?;
    match program {
        "mariadb-dump" if crate::source::database::is_name(argument) => {
            Some(Aim::Database(pod, Database { name: argument.to_owned() }))
        }
        "cat" if argument.starts_with('/') && !argument.contains([' ', '\'', '"', '$', '`', '*', ';', '|', '&']) => {
            Some(Aim::File(PodFile { pod, path: argument.to_owned() }))
        }
        _ => None,
    }
}

fn choice(text: &str) -> PodChoice {
    match text.strip_prefix("pods with ") {
        Some(labels) => PodChoice::Labelled(labels.to_owned()),
        None => PodChoice::workload(text).unwrap_or_else(|| PodChoice::Named(text.to_owned())),
    }
}

impl std::fmt::Display for Aim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Objects => f.write_str("objects"),
            Self::Keys(_) => f.write_str("Zuul's keys in ZooKeeper"),
            Self::Database(pod, database) => write!(f, "database {} in {pod}", database.name),
            Self::Folder(folder) => write!(f, "folder {} in {}", folder.path, folder.pod),
            Self::File(file) => write!(f, "file {} in {}", file.path, file.pod),
        }
    }
}
