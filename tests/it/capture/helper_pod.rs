//! Keys exported in a pod of their own, which does not stay.

use serde_json::json;
use sfarc::plan::software_factory::Wishes;
use sfarc::testing::cluster::{Cluster, Fault, Planned, Rule};
use sfarc::testing::factory::{self, Factory};
use sfarc::testing::world::World;

use super::{repository, world};
use crate::factory::{fact, make_plan, place, stream, take, wishes};

const ROLES: &str = include_str!("../../../deploy/rbac.yaml");

/// All rights of the Role for backups, and these on pods and their exec sessions.
fn with_pods(verbs: &[&str]) -> Vec<Rule> {
    let mut rules = Rule::from_role(ROLES, "sfarc-backup", "sf");
    rules.push(Rule::new(&[""], &["pods/exec"], &["get", "create"]).within("sf"));
    rules.push(Rule::new(&[""], &["pods"], verbs).within("sf"));
    rules
}

fn factory() -> Factory {
    let accounts = [
        ("whole", with_pods(&["get", "create", "delete"])),
        ("no-create", with_pods(&["get", "delete"])),
        ("no-get", with_pods(&["create", "delete"])),
        ("no-delete", with_pods(&["get", "create"])),
    ];
    let accounts = accounts.map(|(name, rules)| (name.to_owned(), rules)).into();
    Factory::start(factory::Options { builds: 10, accounts, ..factory::Options::default() })
}

/// The names of helper pods in which something ran or that were made.
fn helpers(cluster: &Cluster) -> Vec<String> {
    let made = |(method, path): (String, String)| {
        let name = path.split("/pods/").nth(1)?.split('?').next()?.to_owned();
        (method == "DELETE" && name.starts_with("sfarc-keys-")).then_some(name)
    };
    cluster.requests().into_iter().filter_map(made).collect()
}

fn is_there(cluster: &Cluster, pod: &str) -> bool {
    let like = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": pod, "namespace": "sf" } });
    cluster.object(&like).is_some()
}

fn keys(factory: &Factory, account: &str, world: &World) -> (Result<String, String>, Vec<String>) {
    let (place, (repository, warnings)) = (place(factory, account), repository(world));
    let plan = make_plan(&place, None, &Wishes { helper_pod: true, ..wishes() }).expect("a plan");
    let plan = plan.pick(&["keys".to_owned()], &[]).expect("it has keys");
    let taken = take(&repository, &place, plan).map(|report| fact(stream(&report, "keys"), "keys").to_owned());
    (taken, warnings.all())
}

#[test]
fn keys_are_exported_in_a_pod_that_does_not_stay() {
    let factory = factory();
    let (taken, warnings) = keys(&factory, "whole", &world());
    assert_eq!((taken, warnings), (Ok("2".to_owned()), Vec::new()));
    let sessions = factory.cluster.sessions();
    let (pod, container, _) =
        sessions.iter().find(|(_, _, command)| command.join(" ").contains("export-keys")).expect("it ran");
    assert!(pod.starts_with("sfarc-keys-") && container == "zuul-admin", "{pod}/{container}");
    assert!(sessions.iter().all(|(pod, _, _)| pod != "zuul-scheduler-0"), "the scheduler was left alone");
    assert!(!is_there(&factory.cluster, pod) && factory.cluster.processes("sf", pod) == 0);
}

#[test]
fn a_failed_export_leaves_no_pod() {
    let factory = factory();
    for fault in [Fault::Kill(10), Fault::CutThenSuccess(0), Fault::Refuse(500)] {
        factory.cluster.fault(Planned::once("zuul-admin", "export-keys", fault));
        let error = keys(&factory, "whole", &world()).0.expect_err("a fault");
        assert!(error.contains("stream `keys`") && error.contains("/sfarc-keys-"), "{error}");
    }
    let helpers = helpers(&factory.cluster);
    assert_eq!(helpers.len(), 3, "{helpers:?}");
    helpers.iter().for_each(|pod| assert!(!is_there(&factory.cluster, pod), "{pod} is still there"));
}

#[test]
fn a_missing_permission_is_named_and_no_pod_stays() {
    let factory = factory();
    for (account, says) in [("no-create", "`create` on `pods`"), ("no-get", "`get` on `pods` named sfarc-keys-")] {
        let error = keys(&factory, account, &world()).0.expect_err(account);
        assert!(error.contains(says) && error.contains("in the namespace sf"), "{account}: {error}");
    }
    helpers(&factory.cluster).iter().for_each(|pod| assert!(!is_there(&factory.cluster, pod), "{pod} is still there"));
    let (taken, warnings) = keys(&factory, "no-delete", &world());
    assert_eq!(taken, Ok("2".to_owned()));
    let text = warnings.join("\n");
    for says in ["was not removed", "`delete` on `pods`", "the cluster ends it after 900 s"] {
        assert!(text.contains(says), "no `{says}` in: {text}");
    }
}
