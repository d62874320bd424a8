//! Making the plan: the snapshot on one side, the cluster on the other.

use super::aim::{Aim, aim};
use super::notes::{Differences, of_keys, saved_replicas};
use super::objects::{self, Change, PlannedObject, Treatment};
use super::plan::{Plan, PlannedStream};
use super::view::runs;
use super::workloads::{Replaced, Workload, readers, to_stop};
use super::{Recovery, asked};
use crate::content::zuul_keys::ZuulKeys;
use crate::engine::deployment::read_small;
use crate::engine::name_of;
use crate::error::Error;
use crate::pipeline::egress::Egress;
use crate::plan::software_factory::{CERTIFICATES, OPTIONAL};
use crate::source::zuul_keys::PASSWORD;
use crate::target::keys::ZuulAdmin;

/// What `--only` may name apart from streams.
const KINDS: [(&str, &str); 2] = [("secrets", "secret/"), ("configmaps", "configmap/")];

impl Recovery<'_> {
    /// What would be done.
    pub fn plan(&self) -> Result<Plan, Error> {
        let options = self.options;
        self.check_words()?;
        let differences = Differences {
            snapshot: self.snapshot,
            saved: &self.saved,
            view: &self.view,
            namespace: &options.namespace,
        };
        let mut plan = Plan { notes: differences.notes(), drop_old: options.drop_old, ..Plan::default() };
        self.plan_streams(&mut plan)?;
        plan.streams.sort_by_key(|stream| !matches!(stream.aim, Aim::Keys(_)));
        self.plan_objects(&mut plan, differences.is_moved())?;
        self.plan_keys(&mut plan)?;
        let replaced = self.replaced(&plan);
        plan.certificates = replaced.certificates && self.view.workload("zookeeper").is_some();
        plan.marks = replaced.keys && self.view.owner.is_some();
        plan.stop = self.with_stopped_before(to_stop(&self.view.workloads, replaced));
        plan.start = plan.stop.iter().map(|workload| (workload.clone(), self.replicas(workload))).collect();
        plan.restart = self.to_restart(&plan);
        if options.safety && !self.is_done("safety") {
            plan.safety = self.safety_words(&plan);
        }
        self.say_what_is_left(&mut plan);
        Ok(plan)
    }

    pub(super) fn is_done(&self, step: &str) -> bool {
        self.continues() && self.view.record.as_ref().is_some_and(|record| record.done.contains(step))
    }

    /// True if an earlier attempt was to do this and has not.
    fn is_open(&self, step: &str) -> bool {
        let open = |record: &super::Record| record.steps.contains(step) && !record.done.contains(step);
        self.continues() && self.view.record.as_ref().is_some_and(open)
    }

    /// Every word of `--only` and `--with` must mean something.
    fn check_words(&self) -> Result<(), Error> {
        let is_stream = |word: &str| self.snapshot.manifest.streams.iter().any(|stream| name_of(stream) == word);
        let is_kind = |word: &str| KINDS.iter().any(|(all, one)| word == *all || word.starts_with(one));
        let words = || self.options.only.iter().chain(&self.options.with);
        if let Some(word) = words().find(|word| !is_stream(word) && !is_kind(word)) {
            let names: Vec<String> = self.snapshot.manifest.streams.iter().map(name_of).collect();
            let text =
                format!("the snapshot has no `{word}`; it has: {}, secret/NAME, configmap/NAME", names.join(", "));
            return Err(Error::Usage(text));
        }
        Ok(())
    }

    fn is_wanted(&self, name: &str) -> bool {
        let has = |words: &[String]| words.iter().any(|word| word == name);
        if self.options.only.is_empty() {
            !OPTIONAL.contains(&name) || has(&self.options.with)
        } else {
            has(&self.options.only)
        }
    }

    fn plan_streams(&self, plan: &mut Plan) -> Result<(), Error> {
        for entry in &self.snapshot.manifest.streams {
            let name = name_of(entry);
            let aim = aim(entry, &self.options.namespace);
            match (self.is_wanted(&name), aim) {
                (_, Some(Aim::Objects)) => {}
                (true, Some(aim)) => {
                    let is_later = self.is_later(&aim)?;
                    let (aim, path) = self.narrowed(aim)?;
                    let streams = if self.is_done(&name) { &mut plan.done } else { &mut plan.streams };
                    streams.push(PlannedStream { entry: entry.clone(), name, aim, is_later, path });
                }
                (true, None) => plan.left_out.push(format!(
                    "stream {name}: nobody but you can know how it is to be put back; `sfarc cat` and `sfarc restore --to` \
                     give it out"
                )),
                (false, _) if self.options.only.is_empty() => {
                    plan.left_out.push(format!("stream {name}: optional; --with {name} restores it"));
                }
                (false, _) => {}
            }
        }
        Ok(())
    }

    /// True if the pod that is written to is not there, and nothing that would make it.
    fn is_later(&self, aim: &Aim) -> Result<bool, Error> {
        let Some(pod) = aim.pod().filter(|pod| self.view.is_missing(pod)) else { return Ok(false) };
        Ok(!runs(&self.site, pod).map_err(asked)?)
    }

    /// Only one file of a folder, where `--path` asks for that.
    fn narrowed(&self, aim: Aim) -> Result<(Aim, Option<Vec<u8>>), Error> {
        let Some(path) = &self.options.path else { return Ok((aim, None)) };
        let Aim::Folder(folder) = aim else {
            return Err(Error::Usage("--path names a file in a folder stream; --only names that stream".to_owned()));
        };
        let inside = String::from_utf8(path.clone());
        let inside = inside.map_err(|_| Error::Usage("--path into a cluster must be UTF-8".to_owned()))?;
        let path_in_pod = format!("{}/{inside}", folder.path.trim_end_matches('/'));
        let file = crate::target::file::PodFile { pod: folder.pod, path: path_in_pod };
        Ok((Aim::File(file), Some(path.clone())))
    }

    fn plan_objects(&self, plan: &mut Plan, moved: bool) -> Result<(), Error> {
        let classes = self.options.classes.clone();
        let mut treatment = Treatment { overwrite: self.options.overwrite, named: Vec::new(), classes, moved };
        let only = &self.options.only;
        for (all, one) in KINDS {
            let named = only.iter().filter_map(|word| word.strip_prefix(one));
            treatment.named.extend(named.map(|name| (all.to_owned(), name.to_owned())));
        }
        let kinds: Vec<&str> =
            KINDS.iter().map(|(all, _)| *all).filter(|all| only.iter().any(|word| word == all)).collect();
        let everything = only.is_empty() || only.iter().any(|word| word == "objects");
        if !everything && kinds.is_empty() && treatment.named.is_empty() {
            return Ok(());
        }
        if let Some((kind, name)) =
            treatment.named.iter().find(|(kind, name)| self.saved.of(kind).all(|(of, _)| of != name))
        {
            return Err(Error::Usage(format!("the snapshot has no {name} among its {kind}")));
        }
        let (mut named, mut rest) = (treatment.clone(), Treatment { named: Vec::new(), ..treatment });
        if everything || !kinds.is_empty() {
            let found = objects::plan(&self.site, &self.saved, &rest).map_err(asked)?;
            let of_kind = |object: &PlannedObject| everything || kinds.contains(&&object.resource.plural[..]);
            plan.objects = found.into_iter().filter(of_kind).collect();
        }
        if !named.named.is_empty() {
            // Who names an object means it.
            (named.overwrite, rest.overwrite) = (self.options.overwrite, false);
            let found = objects::plan(&self.site, &self.saved, &named).map_err(asked)?;
            let is_named = |object: &PlannedObject| {
                named.named.iter().any(|(kind, name)| object.resource.plural == *kind && object.name == *name)
            };
            plan.objects.retain(|object| !is_named(object));
            plan.objects.extend(found);
        }
        Ok(())
    }

    /// Keys open with the password of their snapshot only; and keys that are there already are left alone.
    fn plan_keys(&self, plan: &mut Plan) -> Result<(), Error> {
        let Some(place) = plan.streams.iter().position(|stream| matches!(stream.aim, Aim::Keys(_))) else {
            return Ok(());
        };
        let mut password = plan.objects.iter().find(|object| object.is_secret(PASSWORD)).cloned();
        if password.is_none() && self.saved.secret(PASSWORD, PASSWORD).is_some() {
            let named = vec![("secrets".to_owned(), PASSWORD.to_owned())];
            let treatment = Treatment { named, ..Treatment::default() };
            password = objects::plan(&self.site, &self.saved, &treatment).map_err(asked)?.pop();
        }
        let is_right = |object: &PlannedObject| object.change == Change::Same || object.is_put();
        match password {
            Some(password)
                if !is_right(&password)
                    || (password.is_put() && !plan.objects.iter().any(|o| o.is_secret(PASSWORD))) =>
            {
                let text = "the keystore's password here is not the one of the snapshot, with which its keys were \
                            encrypted: restore it too (--overwrite, and `objects` or `secret/zuul-keystore-password` in \
                            --only), or leave the keys out (--only)";
                return Err(Error::Refused(text.to_owned()));
            }
            _ => {}
        }
        let is_password_new = plan.objects.iter().any(|object| object.is_secret(PASSWORD) && object.is_put());
        if plan.streams[place].is_later || is_password_new || self.is_open("keys") {
            return Ok(());
        }
        if let Some(comparison) = self.compare_keys(plan, place)? {
            let is_same = comparison.other.is_empty() && comparison.only_here.is_empty();
            if is_same {
                plan.streams.remove(place);
                plan.left_out.push(format!("stream keys: all {} are there already", comparison.same));
            }
        }
        Ok(())
    }

    fn compare_keys(
        &self,
        plan: &mut Plan,
        place: usize,
    ) -> Result<Option<crate::content::zuul_keys::Comparison>, Error> {
        let Aim::Keys(pod) = &plan.streams[place].aim else { return Ok(None) };
        if !runs(&self.site, pod).map_err(asked)? {
            return Ok(None);
        }
        let here = match ZuulAdmin::default().export(&self.site.shell(pod)) {
            Ok(here) => here,
            Err(error) => {
                plan.notes.push(format!("the keys here cannot be compared: {}", crate::error::chain(&error)));
                return Ok(None);
            }
        };
        let saved = self.saved_keys(&plan.streams[place])?;
        let comparison = saved.compare(&here);
        plan.notes.extend(of_keys(&comparison, &saved, &here));
        Ok(Some(comparison))
    }

    /// The keys of the snapshot.
    pub(super) fn saved_keys(&self, stream: &PlannedStream) -> Result<ZuulKeys, Error> {
        let bytes = read_small(&mut Egress::of(self.repository, self.snapshot)?, self.snapshot, &stream.entry)?;
        let wrong = |error| Error::Refused(format!("stream {} is no export of Zuul's keys: {error}", stream.name));
        ZuulKeys::parse(&bytes).map_err(wrong)
    }

    fn replaced(&self, plan: &Plan) -> Replaced {
        let now = || plan.streams.iter().filter(|stream| !stream.is_later);
        let is_put = |name: &str| plan.objects.iter().any(|object| object.is_secret(name) && object.is_put());
        Replaced {
            database: now().any(|stream| matches!(&stream.aim, Aim::Database(_, database) if database.name == "zuul")),
            keys: now().any(|stream| matches!(stream.aim, Aim::Keys(_))) || is_put(PASSWORD) || self.is_open("marks"),
            certificates: CERTIFICATES.iter().any(|name| is_put(name)) || self.is_open("zookeeper"),
        }
    }

    /// What an earlier attempt has stopped must be started, too.
    fn with_stopped_before(&self, mut stop: Vec<Workload>) -> Vec<Workload> {
        let record = self.view.record.iter().flat_map(|record| record.replicas.keys());
        for key in record {
            let known = self.view.workloads.iter().find(|workload| workload.key() == *key);
            stop.extend(known.filter(|known| !stop.iter().any(|one| one.key() == known.key())).cloned());
        }
        stop
    }

    /// As many as the snapshot says; else as many as there were before.
    fn replicas(&self, workload: &Workload) -> u64 {
        let before = self.view.record.as_ref().and_then(|record| record.replicas.get(&workload.key()));
        saved_replicas(&self.saved.workloads(), &workload.key()).or(before.copied()).unwrap_or(workload.replicas)
    }

    fn to_restart(&self, plan: &Plan) -> Vec<Workload> {
        let remembered = self.view.remembered().unwrap_or_default();
        let is_of_connection = |name: &str| remembered.secrets.iter().any(|(secret, _)| secret == name);
        let changed = plan.objects.iter().filter(|object| object.change == Change::Replace);
        let names: Vec<&str> =
            changed.flat_map(|object| readers(&object.name, is_of_connection(&object.name))).copied().collect();
        let needs = |workload: &&Workload| {
            let is_named = names.contains(&&workload.name[..]) || self.is_open(&format!("restart/{}", workload.name));
            let is_stopped = plan.stop.iter().any(|stopped| stopped.key() == workload.key());
            let is_zookeeper = plan.certificates && workload.name == "zookeeper";
            is_named && !is_stopped && !is_zookeeper && workload.replicas > 0
        };
        self.view.workloads.iter().filter(needs).cloned().collect()
    }

    fn say_what_is_left(&self, plan: &mut Plan) {
        if plan.streams.iter().any(|stream| stream.is_later) {
            let cr = match self.saved.file("cr.yaml") {
                None => "",
                Some(_) if self.options.classes.is_empty() => "`sfarc cat ID objects/cr.yaml > cr.yaml`, then ",
                Some(_) => {
                    "`sfarc restore ID --to DIR --layout sf-operator --map-storage-class OLD=NEW` writes DIR/cr.yaml, then "
                }
            };
            plan.by_hand.push(format!(
                "let the operator make the services: {cr}`sf-operator deploy cr.yaml`; when it is done, run this restore \
                 again: it goes on from there"
            ));
        } else if !plan.objects.is_empty() || plan.marks {
            plan.by_hand.push("run `sf-operator deploy cr.yaml`, which renders what depends on Secrets".to_owned());
        }
    }
}
