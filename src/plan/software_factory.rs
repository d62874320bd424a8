//! The plan for a Software Factory: everything that a deployment cannot be rebuilt without.

use super::custom_resource::CustomResource;
use super::discovery::{Found, OWNER, software_factories};
use super::{LeftOut, Plan, PlanError, Planned};
use crate::content::Expected;
use crate::k8s::{PodChoice, PodPlace, Resource};
use crate::pipeline::profile::Profile;
use crate::source::cluster::Take;
use crate::source::objects::{IfAbsent, Query, Wanted, Which};
use crate::source::pod::{Bounds, PodCommand};
use crate::source::{helper_pod, zuul_keys};

/// Secrets that the operator makes, and what it means if one is not there. Which of them there are depends on the
/// version of the operator.
const SECRETS: [(&str, IfAbsent); 14] = [
    (zuul_keys::PASSWORD, IfAbsent::Fail),
    ("zuul-ssh-key", IfAbsent::Tell),
    ("zuul-spare-ssh-key", IfAbsent::Ignore),
    ("nodepool-builder-ssh-key", IfAbsent::Tell),
    ("logserver-keys", IfAbsent::Tell),
    ("logserver-uploader-keys", IfAbsent::Ignore),
    ("logserver-uploader-spare-keys", IfAbsent::Ignore),
    ("zuul-auth-secret", IfAbsent::Tell),
    ("zookeeper-client-tls", IfAbsent::Tell),
    ("zookeeper-server-tls", IfAbsent::Tell),
    ("mariadb-root-password", IfAbsent::Ignore),
    ("zuul-db-connection", IfAbsent::Ignore),
    ("nodepool-providers-secrets", IfAbsent::Ignore),
    // Its presence means that a rotation is half done: keys and password may disagree.
    ("zuul-keystore-password-new", IfAbsent::Expected),
];

/// The Secrets of the operator that every deployment has.
pub fn usual_secrets() -> impl Iterator<Item = &'static str> {
    let is_usual = |if_absent: &IfAbsent| matches!(if_absent, IfAbsent::Fail | IfAbsent::Tell);
    SECRETS.iter().filter(move |(_, if_absent)| is_usual(if_absent)).map(|(name, _)| *name)
}

/// `ConfigMap`s that the operator renders at every run.
pub const GENERATED: [&str; 17] = [
    "fluentbit-dib-cfg-config-map",
    "fluentbit-mariadb-cfg-config-map",
    "fluentbit-zk-cfg-config-map",
    "gateway-config-map",
    "git-server-pi-config-map",
    "logserver-config-map",
    "nodepool-builder-extra-config-config-map",
    "nodepool-launcher-extra-config-config-map",
    "nodepool-tooling-config-map",
    "np-statsd-config-map",
    "pymod-sf-operator-config-map",
    "zookeeper-pi-config-map",
    "zuul-extra-config-map",
    "zuul-logging-config-map",
    "zuul-scheduler-config-map",
    "zuul-scheduler-tooling-config-map",
    "zuul-statsd-config-map",
];

/// Never restored, so never taken, and why.
const NEVER: [(&str, &str); 5] = [
    ("Secret config-update-secrets", "the cluster makes it for one account; it is worth nothing anywhere else"),
    ("Secrets mariadb-config-secrets, mariadb-initdb-secrets, zuul-config", "the operator renders them at every run"),
    ("ConfigMap zs-internal-tenant-reconfigure", "a note of the operator about this one cluster"),
    (
        "ConfigMaps zk-clients-need-refresh-config-map, zuul-needs-full-reconfigure-config-map",
        "marks for the operator's next run",
    ),
    (
        "volumes of zuul-scheduler, zuul-executor, zuul-merger, git-server, hound-search, logjuicer",
        "caches; everything in them is made again",
    ),
];

/// What else a user wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Takes generated `ConfigMap`s too.
    pub config_maps: bool,
    /// Exports keys in a pod of their own.
    pub helper_pod: bool,
    /// Optional streams by name; `all` is all of them.
    pub with: Vec<String>,
    /// Bounds of all streams.
    pub bounds: Bounds,
}

/// Makes the plan. `cr` is the file of the custom resource, where the user has named it.
pub fn plan(found: &Found, cr: Option<CustomResource>, wishes: &Wishes) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let remembered = || CustomResource::remembered(found.owner.as_ref()?["data"]["spec"].as_str()?);
    let cr = cr.or_else(remembered).unwrap_or_default();
    check_is_there(found, &cr)?;
    plan.streams.push(objects(found, &cr, wishes));
    for service in services(found, wishes) {
        service.decide(found, &cr, wishes, &mut plan);
    }
    let names: Vec<&str> = plan.streams.iter().map(|stream| &stream.name[..]).collect();
    let known = |name: &String| name == "all" || OPTIONAL.contains(&&name[..]) || names.contains(&&name[..]);
    if let Some(name) = wishes.with.iter().find(|name| !known(name)) {
        return Err(PlanError::NoStream { name: name.clone(), known: OPTIONAL.join(", ") });
    }
    explain(found, &cr, wishes, &mut plan);
    Ok(plan)
}

/// The pair of certificates for ZooKeeper, which belong together: their authority's key is kept nowhere. The operator takes
/// them only with exactly the annotation that they were saved with; else it makes others, and all clients must have new ones.
pub const CERTIFICATES: [&str; 2] = ["zookeeper-client-tls", "zookeeper-server-tls"];

const SIGNS: [&str; 3] = ["mariadb", "zookeeper", "zuul-scheduler"];

/// True if a namespace has what a Software Factory has.
pub fn is_there(found: &Found) -> bool {
    found.owner.is_some() || SIGNS.iter().any(|name| found.statefulset(name).is_some())
}

fn check_is_there(found: &Found, cr: &CustomResource) -> Result<(), PlanError> {
    if cr.standalone_executor || is_there(found) {
        return Ok(());
    }
    let namespace = &found.namespace;
    Err(PlanError::NotThere(format!(
        "there is no Software Factory in the namespace {namespace}: neither ConfigMap {OWNER} nor one of the \
         StatefulSets {}; for something else, describe it in a sfarc.toml (docs/capture.md)",
        SIGNS.join(", ")
    )))
}

fn objects(found: &Found, cr: &CustomResource, wishes: &Wishes) -> Planned {
    let secrets = Resource::core("secrets");
    let named = |resource: &Resource, name: &str, if_absent| Wanted {
        resource: resource.clone(),
        which: Which::Named(name.to_owned()),
        if_absent,
    };
    let mut wanted: Vec<Wanted> = SECRETS.iter().map(|(name, if_absent)| named(&secrets, name, *if_absent)).collect();
    if cr.standalone_executor {
        wanted.iter_mut().filter(|one| one.if_absent == IfAbsent::Fail).for_each(|one| one.if_absent = IfAbsent::Tell);
    }
    wanted.extend(cr.secrets.iter().map(|(name, _)| named(&secrets, name, IfAbsent::Tell)));
    let config_maps = Resource::core("configmaps");
    wanted.push(named(&config_maps, OWNER, IfAbsent::Tell));
    wanted.push(named(&config_maps, "corporate-ca-certs", IfAbsent::Ignore));
    wanted.extend(cr.config_maps.iter().map(|name| named(&config_maps, name, IfAbsent::Tell)));
    if wishes.config_maps {
        wanted.extend(GENERATED.iter().map(|name| named(&config_maps, name, IfAbsent::Ignore)));
    }
    if found.knows_custom_resource {
        let (resource, which) = (software_factories(), Which::Labelled(String::new()));
        wanted.push(Wanted { resource, which, if_absent: IfAbsent::Ignore });
    }
    let files = cr.file.iter().map(|file| ("cr.yaml".to_owned(), file.clone())).collect();
    let facts = (!cr.fqdn.is_empty()).then(|| ("fqdn".to_owned(), cr.fqdn.clone())).into_iter().collect();
    let no_file = "the custom resource is not in it: --cr names no file";
    let notes = cr.file.is_none().then(|| no_file.to_owned()).into_iter().collect();
    let query = Query { namespace: found.namespace.clone(), wanted, files, notes, facts, workloads: true };
    Planned {
        name: "objects".to_owned(),
        take: Take::Objects(query),
        bounds: wishes.bounds.clone(),
        profile: Profile::Dump,
        why: "Secrets, ConfigMaps and the custom resource; replicas, images and volumes of all workloads".to_owned(),
    }
}

/// Streams that are taken only if they are asked for.
pub const OPTIONAL: [&str; 5] = ["zookeeper", "zookeeper-data", "nodepool", "known-hosts", "logs"];

/// A service whose state is a stream.
struct Service {
    name: &'static str,
    /// The `StatefulSet` whose first pod has the state.
    workload: &'static str,
    take: Take,
    bounds: Bounds,
    profile: Profile,
    why: &'static str,
}

impl Service {
    fn decide(self, found: &Found, cr: &CustomResource, wishes: &Wishes, plan: &mut Plan) {
        let is_wanted = |with: &String| with == self.name || (with == "all" && self.name != "zookeeper-data");
        let why_not = match () {
            () if OPTIONAL.contains(&self.name) && !wishes.with.iter().any(is_wanted) => {
                format!("optional: {}; --with {} takes it", self.why, self.name)
            }
            () if cr.standalone_executor => "this namespace holds only an executor; the state is elsewhere".to_owned(),
            () if found.statefulset(self.workload).is_none() => format!("there is no StatefulSet {}", self.workload),
            () => {
                let Self { take, bounds, profile, .. } = self;
                plan.streams.push(Planned {
                    name: self.name.to_owned(),
                    take,
                    bounds,
                    profile,
                    why: self.why.to_owned(),
                });
                return;
            }
        };
        plan.left_out.push(LeftOut::new(self.name, why_not));
    }
}

fn services(found: &Found, wishes: &Wishes) -> Vec<Service> {
    let pod = |workload: &str, container: &str| PodPlace {
        namespace: found.namespace.clone(),
        pod: PodChoice::Named(format!("{workload}-0")),
        container: Some(container.to_owned()),
    };
    let mount = |set: &str, container: &str, volume: &str, usual: &str| {
        found.mount(set, container, volume).unwrap_or_else(|| usual.to_owned())
    };
    let bounds = wishes.bounds.clone();
    let quick = Bounds { timeout: zuul_keys::TIMEOUT.min(bounds.timeout), ..bounds.clone() };
    let scheduler = pod("zuul-scheduler", "zuul-scheduler");
    let helper = wishes.helper_pod.then(|| found.statefulset("zuul-scheduler").map(helper_pod::spec)).flatten();
    let builder = || pod("nodepool-builder", "nodepool-builder");
    let builder_home = mount("nodepool-builder", "nodepool-builder", "nodepool-builder", "/var/lib/nodepool");
    let zookeeper = || pod("zookeeper", "zookeeper");
    let shell = |line: String| PodCommand::Shell(line);
    let program = |words: &[&str]| PodCommand::Program(words.iter().map(|&word| word.to_owned()).collect());
    let service = |name, workload, take, why| Service {
        name,
        workload,
        take,
        bounds: bounds.clone(),
        profile: Profile::Auto,
        why,
    };
    vec![
        Service {
            profile: Profile::Dump,
            ..service(
                "database",
                "mariadb",
                Take::Database(pod("mariadb", "mariadb"), "zuul".to_owned()),
                "Zuul's history of builds",
            )
        },
        Service {
            bounds: quick.clone(),
            profile: Profile::Dump,
            ..service(
                "keys",
                "zuul-scheduler",
                Take::ZuulKeys(scheduler, helper),
                "the private keys of projects and tenants",
            )
        },
        service(
            "zookeeper",
            "zookeeper",
            Take::Command(zookeeper(), program(&ZOOKEEPER_SNAPSHOT), None),
            "the whole of ZooKeeper through its admin API, also locks and queues that a restore must delete again",
        ),
        service(
            "zookeeper-data",
            "zookeeper",
            Take::Folder(zookeeper(), mount("zookeeper", "zookeeper", "zookeeper-data", "/data") + "/version-2"),
            "ZooKeeper's snapshots and logs as files, for versions without the admin API",
        ),
        Service {
            bounds: quick,
            ..service(
                "nodepool",
                "nodepool-builder",
                Take::Command(
                    builder(),
                    shell("nodepool export-image-data /dev/stdout".to_owned()),
                    Some(Expected::Json),
                ),
                "which images nodepool has built and uploaded",
            )
        },
        service(
            "known-hosts",
            "nodepool-builder",
            Take::Command(builder(), program(&["cat", &format!("{builder_home}/known_hosts")]), None),
            "hosts that the image builder was told to trust",
        ),
        service(
            "logs",
            "logserver",
            Take::Folder(
                pod("logserver", "logserver"),
                mount("logserver", "logserver", "logserver", "/var/www/html/logs"),
            ),
            "build logs, often the largest of all, and purged by age",
        ),
    ]
}

/// ZooKeeper 3.9 and later write a snapshot on demand, at most one in five minutes.
const ZOOKEEPER_SNAPSHOT: [&str; 7] = [
    "curl",
    "-sSf",
    "-H",
    "Authorization: digest admin:admin",
    "http://localhost:8080/commands/snapshot?streaming=true",
    "--output",
    "-",
];

/// Says what else is not taken.
fn explain(found: &Found, cr: &CustomResource, wishes: &Wishes, plan: &mut Plan) {
    let mut out = |what: &str, why: &str| plan.left_out.push(LeftOut::new(what, why));
    if cr.file.is_none() {
        out(
            "the custom resource",
            "--cr does not name its file, and the cluster has no copy of it that could be deployed",
        );
    }
    if !wishes.config_maps {
        out("generated ConfigMaps", "the operator renders them at every run; --configmaps takes them");
    }
    if !found.knows_custom_resource && found.refused.is_empty() {
        out("SoftwareFactory objects", "the type is not installed in this cluster");
    }
    NEVER.iter().for_each(|(what, why)| out(what, why));
    let forbidden = |why: &String| LeftOut { forbidden: true, ..LeftOut::new("SoftwareFactory objects", why) };
    plan.left_out.extend(found.refused.iter().map(forbidden));
}
