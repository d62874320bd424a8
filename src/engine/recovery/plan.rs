//! What a restore would do, in order.

use super::aim::Aim;
use super::objects::{Change, PlannedObject};
use super::workloads::Workload;
use crate::format::manifest::StreamEntry;

/// A stream that is restored.
#[derive(Debug, Clone)]
pub struct PlannedStream {
    /// The stream.
    pub entry: StreamEntry,
    /// Its name, for people and for the record.
    pub name: String,
    /// Where it goes.
    pub aim: Aim,
    /// True if what it needs is not there yet.
    pub is_later: bool,
    /// Only this file of a folder stream.
    pub path: Option<Vec<u8>>,
}

/// A restore, before anything is done.
#[derive(Default)]
pub struct Plan {
    /// Differences that matter, in words.
    pub notes: Vec<String>,
    /// What is left out, and why.
    pub left_out: Vec<String>,
    /// Objects, those first on which others depend.
    pub objects: Vec<PlannedObject>,
    /// Streams.
    pub streams: Vec<PlannedStream>,
    /// Streams that an earlier attempt has restored already.
    pub done: Vec<PlannedStream>,
    /// What is taken into a safety snapshot, in words.
    pub safety: Vec<String>,
    /// Workloads that must not run meanwhile, in the order in which they are started again.
    pub stop: Vec<Workload>,
    /// How many pods each of them gets in the end.
    pub start: Vec<(Workload, u64)>,
    /// Workloads that read a changed object only when they start.
    pub restart: Vec<Workload>,
    /// ZooKeeper gets other certificates.
    pub certificates: bool,
    /// The operator must configure Zuul anew at its next run.
    pub marks: bool,
    /// Databases and folders of before that are to be dropped at the end.
    pub drop_old: bool,
    /// What only the user can do, in words.
    pub by_hand: Vec<String>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What is done: `create`, `replace`, `stop`, ...
    pub verb: &'static str,
    /// To what.
    pub what: String,
}

impl Plan {
    /// The actions, in their order.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut add = |verb, what: String| actions.push(Action { verb, what });
        if !self.safety.is_empty() {
            add("save", format!("{} into a safety snapshot", self.safety.join(", ")));
        }
        for stream in self.streams.iter().filter(|stream| stream.is_beside()) {
            let beside = if matches!(stream.aim, Aim::Database(..)) { "a database" } else { "a folder" };
            add("load", format!("stream {} into {beside} beside {}", stream.name, stream.aim));
        }
        self.stop.iter().rev().for_each(|workload| add("stop", workload.name.clone()));
        self.put(true).for_each(|(verb, what)| add(verb, what));
        if self.certificates {
            add("restart", "zookeeper".to_owned());
        }
        self.put(false).for_each(|(verb, what)| add(verb, what));
        for stream in self.streams.iter().filter(|stream| !stream.is_later) {
            match &stream.aim {
                Aim::Keys(_) => {
                    add("import", format!("stream {} into ZooKeeper, after deleting queues and caches", stream.name))
                }
                Aim::File(_) => add("write", stream.aim.to_string()),
                aim => add("swap", format!("{aim}; what was there is kept beside it")),
            }
        }
        if self.marks {
            add("mark", "the deployment, so that the next `sf-operator deploy` configures Zuul anew".to_owned());
        }
        self.start.iter().for_each(|(workload, replicas)| {
            add("start", format!("{} with {replicas} {}", workload.name, if *replicas == 1 { "pod" } else { "pods" }))
        });
        self.restart.iter().for_each(|workload| add("restart", workload.name.clone()));
        if self.drop_old {
            add("drop", "what is kept of before".to_owned());
        }
        let later = self.streams.iter().filter(|stream| stream.is_later);
        later.for_each(|stream| {
            add("later", format!("stream {} into {}: that is not there yet", stream.name, stream.aim))
        });
        actions
    }

    fn put(&self, first: bool) -> impl Iterator<Item = (&'static str, String)> {
        self.objects.iter().filter(move |object| object.is_first() == first).filter_map(|object| match object.change {
            Change::Create => Some(("create", object.title())),
            Change::Replace => Some(("replace", object.title())),
            Change::Same | Change::Leave(_) => None,
        })
    }

    /// Objects that are left as they are although they differ or are missing, and why.
    pub fn left_objects(&self) -> impl Iterator<Item = String> {
        self.objects.iter().filter_map(|object| match &object.change {
            Change::Leave(why) => Some(format!("{}: {why}", object.title())),
            _ => None,
        })
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions().is_empty()
    }
}

impl PlannedStream {
    /// True if it is loaded beside what it replaces.
    pub fn is_beside(&self) -> bool {
        !self.is_later && matches!(self.aim, Aim::Database(..) | Aim::Folder(_))
    }
}
