//! The snapshot of what is about to be replaced: restoring it is the undo.

use super::aim::Aim;
use super::objects::Change;
use super::plan::Plan;
use super::view::runs;
use super::{Recovery, asked};
use crate::engine::snapshot::{self, From, Input};
use crate::error::Error;
use crate::format::manifest::OWN_LABEL;
use crate::k8s::PodPlace;
use crate::pipeline::profile::Profile;
use crate::source::cluster::{ClusterStream, Take};
use crate::source::helper_pod;
use crate::source::objects::{IfAbsent, Query, Wanted, Which};
use crate::source::pod::Bounds;
use crate::source::zuul_keys::TIMEOUT;
use crate::target::keys::ZuulAdmin;

/// The tag of safety snapshots.
pub(super) const TAG: &str = "safety";

impl Recovery<'_> {
    /// What is taken, in words; nothing where nothing is replaced.
    pub(super) fn safety_words(&self, plan: &Plan) -> Vec<String> {
        let mut words = Vec::new();
        let replaced = plan.objects.iter().filter(|object| object.change == Change::Replace).count();
        if replaced > 0 {
            words.push(if replaced == 1 { "an object".to_owned() } else { format!("{replaced} objects") });
        }
        let now = plan.streams.iter().filter(|stream| !stream.is_later);
        words.extend(now.filter(|stream| is_saved(&stream.aim)).map(|stream| stream.name.clone()));
        words
    }

    /// Takes the snapshot and gives its name; nothing if there is nothing to take.
    pub(super) fn take_safety(&self, plan: &Plan) -> Result<Option<String>, Error> {
        let inputs = self.safety_inputs(plan)?;
        if inputs.is_empty() {
            return Ok(None);
        }
        let options = snapshot::Options {
            inputs,
            profile: Profile::Auto,
            tags: vec![TAG.to_owned()],
            labels: vec![(format!("{OWN_LABEL}safety-of"), self.snapshot.id.to_string())],
            host: self.options.host.clone(),
            ..snapshot::Options::default()
        };
        Ok(snapshot::snapshot(self.repository, &options)?.id.map(|id| id.to_string()))
    }

    /// True if there are keys in ZooKeeper: a new one has none.
    fn has_keys(&self, pod: &PodPlace) -> Result<bool, Error> {
        let here = self.with_zuul_admin(pod, |pod| ZuulAdmin::default().export(&self.site.shell(pod)));
        Ok(!here.map_err(asked)?.is_empty())
    }

    fn safety_inputs(&self, plan: &Plan) -> Result<Vec<Input>, Error> {
        let bounds = Bounds { timeout: self.options.patience.limit, ..Bounds::default() };
        let quick = Bounds { timeout: TIMEOUT, ..bounds.clone() };
        let input = |name: &str, take, bounds| {
            let stream = ClusterStream { place: self.options.place.clone(), take, bounds };
            Input { profile: Some(Profile::Dump), ..Input::new(name, From::Cluster(stream)) }
        };
        let mut inputs = Vec::new();
        let replaced = plan.objects.iter().filter(|object| object.change == Change::Replace);
        let wanted: Vec<Wanted> = replaced
            .map(|object| Wanted {
                resource: object.resource.clone(),
                which: Which::Named(object.name.clone()),
                if_absent: IfAbsent::Ignore,
            })
            .collect();
        if !wanted.is_empty() {
            let namespace = self.options.namespace.clone();
            let query = Query { namespace, wanted, workloads: true, ..Query::default() };
            inputs.push(input("objects", Take::Objects(query), bounds.clone()));
        }
        for stream in plan.streams.iter().filter(|stream| !stream.is_later) {
            match &stream.aim {
                Aim::Keys(pod) if self.has_keys(pod)? => {
                    let helper =
                        if runs(&self.site, pod).map_err(asked)? { None } else { self.view.scheduler.as_ref() };
                    let take = Take::ZuulKeys(pod.clone(), helper.map(helper_pod::spec));
                    inputs.push(input(&stream.name, take, quick.clone()));
                }
                Aim::Database(pod, database)
                    if database.look(&self.site.shell(pod)).map_err(asked)?.contains(&database.name) =>
                {
                    let take = Take::Database(pod.clone(), database.name.clone());
                    inputs.push(input(&stream.name, take, bounds.clone()));
                }
                _ => {}
            }
        }
        Ok(inputs)
    }
}

/// Folders are kept beside what replaces them; files and keys and databases are not.
fn is_saved(aim: &Aim) -> bool {
    matches!(aim, Aim::Keys(_) | Aim::Database(..))
}
