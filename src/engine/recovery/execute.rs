//! Doing what the plan says, step by step; each is written down when it is done.
//!
//! What takes long is loaded beside what is there while everything still runs. Then Zuul is stopped, what was loaded is
//! swapped in, and Zuul is started. A restore that is broken off leaves a record of what is stopped and what is done;
//! the next one of the same snapshot goes on from there.

use std::collections::BTreeSet;

use super::aim::Aim;
use super::objects::{Change, PlannedObject};
use super::plan::{Plan, PlannedStream};
use super::record::Record;
use super::workloads::Workload;
use super::zuul_conf::with_value;
use super::{Recovery, asked};
use crate::engine::name_of;
use crate::error::Error;
use crate::event::Event;
use crate::k8s::{ByteString, Resource};
use crate::source::zuul_keys::PASSWORD;
use crate::target::TargetError;

/// What became of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The safety snapshot.
    pub safety: Option<String>,
    /// Under which names the state of before is kept.
    pub kept: Vec<String>,
    /// True if something is left that another run must do.
    pub is_open: bool,
}

impl Recovery<'_> {
    /// Does what the plan says.
    pub fn carry_out(&self, plan: &Plan) -> Result<Report, Error> {
        let mut record = self.record();
        record.steps.extend(steps(plan));
        for workload in &plan.stop {
            record.replicas.entry(workload.key()).or_insert(workload.replicas);
        }
        self.write(&mut record)?;
        self.await_services(plan)?;
        self.save(plan, &mut record)?;
        for stream in plan.streams.iter().filter(|stream| stream.is_beside()) {
            self.doing(&format!("loading stream {} beside {}", stream.name, stream.aim));
            self.load_beside(stream, &record.stamp)?;
        }
        self.stop(plan)?;
        self.put_objects(plan, true)?;
        self.follow_password(plan)?;
        self.restart_zookeeper(plan, &mut record)?;
        self.put_objects(plan, false)?;
        for stream in plan.streams.iter().filter(|stream| !stream.is_later) {
            self.doing(&format!("restoring {}", stream.aim));
            self.swap_in(stream, &record.stamp)?;
            self.finish(&mut record, &stream.name)?;
        }
        self.mark(plan, &mut record)?;
        self.start(plan)?;
        self.restart(plan, &mut record)?;
        self.end(plan, &record)
    }

    fn doing(&self, what: &str) {
        self.repository.env.tell(&Event::Doing(what));
    }

    fn write(&self, record: &mut Record) -> Result<(), Error> {
        record.write(&self.site).map_err(|error| Error::target("write down what is to be done", error))
    }

    fn finish(&self, record: &mut Record, step: &str) -> Result<(), Error> {
        record.finish(&self.site, step).map_err(|error| Error::target("write down what is done", error))
    }

    /// What streams go into must answer: it may have been made a moment ago.
    fn await_services(&self, plan: &Plan) -> Result<(), Error> {
        for stream in plan.streams.iter().filter(|stream| !stream.is_later) {
            for workload in self.view.needed_for(&stream.aim) {
                let ready = workload.wait_ready(&self.site, workload.replicas.max(1), self.options.wait);
                ready.map_err(|error| Error::target(format!("reach {}", workload.name), error))?;
            }
        }
        Ok(())
    }

    fn save(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        if plan.safety.is_empty() {
            return Ok(());
        }
        self.doing(&format!("saving {} into a safety snapshot", plan.safety.join(", ")));
        record.safety = self.take_safety(plan)?;
        if let Some(id) = &record.safety {
            self.doing(&format!("what is there now is safety snapshot {}; restoring it undoes this", short(id)));
        }
        self.finish(record, "safety")
    }

    fn stop(&self, plan: &Plan) -> Result<(), Error> {
        let failed = |error| Error::target("stop what must not run meanwhile", error);
        for workload in plan.stop.iter().rev() {
            if workload.replicas > 0 {
                self.doing(&format!("stopping {}", workload.name));
            }
            self.site.scale(&workload.resource, &workload.name, 0).map_err(failed)?;
        }
        let wait = |workload: &Workload| workload.wait_stopped(&self.site, self.options.wait);
        plan.stop.iter().rev().try_for_each(wait).map_err(failed)
    }

    fn put_objects(&self, plan: &Plan, first: bool) -> Result<(), Error> {
        for object in plan.objects.iter().filter(|object| object.is_first() == first && object.is_put()) {
            let title = object.title();
            object.put(&self.site).map_err(|error| Error::target(format!("restore {title}"), error))?;
        }
        Ok(())
    }

    /// The operator has rendered the keystore's password into a file that Zuul reads at its start.
    fn follow_password(&self, plan: &Plan) -> Result<(), Error> {
        // Also one that is as it should be: an earlier attempt may have come as far as that, and no further.
        let is_right = |object: &PlannedObject| object.is_put() || object.change == Change::Same;
        let is_here = |name: &str| plan.objects.iter().any(|object| object.is_secret(name) && is_right(object));
        let rendered = [(PASSWORD, "keystore", "password"), ("zuul-auth-secret", "auth zuul_client", "secret")];
        let failed = |error| Error::target("bring Secret zuul-config in line", error);
        let secrets = Resource::core("secrets");
        for (name, section, key) in rendered.into_iter().filter(|(name, ..)| is_here(name)) {
            let Some(value) = self.saved.secret(name, name) else { continue };
            let Some(mut config) = self.site.get(&secrets, "zuul-config").map_err(failed)? else { continue };
            let old = serde_json::from_value::<ByteString>(config["data"]["zuul.conf"].clone());
            let old = zeroize::Zeroizing::new(old.map(|old| old.0).unwrap_or_default());
            let (old, value) = (String::from_utf8_lossy(&old), String::from_utf8_lossy(&value));
            if let Some(new) = with_value(&old, section, key, value.trim()) {
                config["data"]["zuul.conf"] = serde_json::to_value(ByteString(new.into_bytes())).unwrap_or_default();
                self.site.replace(&secrets, "zuul-config", &config).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// ZooKeeper copies its certificates when it starts, and nobody tells it of new ones.
    fn restart_zookeeper(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        let Some(zookeeper) = self.view.workload("zookeeper").filter(|_| plan.certificates) else { return Ok(()) };
        self.doing("restarting zookeeper");
        let restarted = zookeeper.restart(&self.site);
        let ready = restarted.and_then(|()| zookeeper.wait_ready(&self.site, zookeeper.replicas, self.options.wait));
        ready.map_err(|error| Error::target("restart zookeeper", error))?;
        self.finish(record, "zookeeper")
    }

    /// What the project itself does after keys were rotated.
    fn mark(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        if !plan.marks {
            return Ok(());
        }
        self.mark_for_operator().map_err(|error| Error::target("mark the deployment for the operator", error))?;
        self.finish(record, "marks")
    }

    fn mark_for_operator(&self) -> Result<(), TargetError> {
        let (jobs, maps) = (Resource::of("batch", "v1", "jobs"), Resource::core("configmaps"));
        for job in self.site.list(&jobs, "")?.unwrap_or_default() {
            if let Some(name) = job["metadata"]["name"].as_str().filter(|name| name.starts_with("config-base-secret-"))
            {
                self.site.delete(&jobs, name)?;
            }
        }
        self.site.delete(&maps, "zs-internal-tenant-reconfigure")?;
        let mark = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "zuul-needs-full-reconfigure-config-map", "namespace": self.site.namespace },
        });
        self.site.create(&maps, &mark)
    }

    fn start(&self, plan: &Plan) -> Result<(), Error> {
        for (workload, replicas) in &plan.start {
            self.doing(&format!("starting {}", workload.name));
            let failed = |error| Error::target(format!("start {}", workload.name), error);
            self.site.scale(&workload.resource, &workload.name, *replicas).map_err(failed)?;
            workload.wait_ready(&self.site, *replicas, self.options.wait).map_err(failed)?;
        }
        Ok(())
    }

    fn restart(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        for workload in &plan.restart {
            self.doing(&format!("restarting {}", workload.name));
            let restarted = workload.restart(&self.site);
            let ready = restarted.and_then(|()| workload.wait_ready(&self.site, workload.replicas, self.options.wait));
            ready.map_err(|error| Error::target(format!("restart {}", workload.name), error))?;
            self.finish(record, &format!("restart/{}", workload.name))?;
        }
        Ok(())
    }

    fn end(&self, plan: &Plan, record: &Record) -> Result<Report, Error> {
        let mut report = Report { safety: record.safety.clone(), ..Report::default() };
        // Also those that this run was not asked for, but one before it.
        let mut names = self.snapshot.manifest.streams.iter().map(name_of);
        report.is_open = names.any(|name| record.steps.contains(&name) && !record.done.contains(&name));
        for stream in plan.done.iter().chain(&plan.streams).filter(|stream| !stream.is_later) {
            report.kept.extend(self.kept(stream, &record.stamp)?);
        }
        if !report.is_open {
            record.remove(&self.site).map_err(|error| Error::target("remove the record of this restore", error))?;
        }
        Ok(report)
    }

    /// What is kept of before; or it is dropped, if that is wanted.
    fn kept(&self, stream: &PlannedStream, stamp: &str) -> Result<Vec<String>, Error> {
        match &stream.aim {
            Aim::Database(pod, database) => {
                let shell = self.site.shell(pod);
                let there = database.look(&shell).map_err(asked)?;
                let old: Vec<String> = there.into_iter().filter(|name| database.is_old(name)).collect();
                if !self.options.drop_old {
                    return Ok(old.iter().map(|name| format!("database {name}")).collect());
                }
                let failed = |error| Error::target("drop the databases of before", error);
                database.drop_made(&shell, &old).map_err(failed)?;
                Ok(Vec::new())
            }
            Aim::Folder(folder) if self.options.drop_old => {
                let failed = |error| Error::target("remove the folders of before", error);
                folder.drop_old(&self.site.shell(&folder.pod)).map_err(failed)?;
                Ok(Vec::new())
            }
            Aim::Folder(folder) => Ok(vec![format!("folder {}/.sfarc-old-{stamp}", folder.path)]),
            _ => Ok(Vec::new()),
        }
    }
}

/// The names of the steps that must not be forgotten, although the cluster does not show any more that they are needed.
fn steps(plan: &Plan) -> BTreeSet<String> {
    let mut steps: BTreeSet<String> = plan.streams.iter().map(|stream| stream.name.clone()).collect();
    let certain = [("safety", !plan.safety.is_empty()), ("zookeeper", plan.certificates), ("marks", plan.marks)];
    steps.extend(certain.into_iter().filter(|(_, is)| *is).map(|(step, _)| step.to_owned()));
    steps.extend(plan.restart.iter().map(|workload| format!("restart/{}", workload.name)));
    steps
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
