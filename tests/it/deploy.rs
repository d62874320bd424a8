//! What is shipped for clusters: known to their types to the last field, locked down, and in line with the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use k8s_openapi::api::{apps, batch, core, networking, rbac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sfarc::config::Config;
use sfarc::service::metrics;
use sfarc::service::plain::PlainText;
use sfarc::service::state::{Ending, Run, State, TargetState, UpkeepState};
use sfarc::testing::cluster::Rule;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(at(path)).expect("it is shipped")
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).expect("it is YAML")
}

/// Fails if an object has a field that its type does not know, or a value that is none for it.
fn check<T: DeserializeOwned + Serialize>(object: &Value) {
    let typed: T = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object:#}"));
    let back = serde_json::to_value(typed).expect("it can be written");
    assert_within(object, &back, "");
}

/// Everything of one is in the other, too.
fn assert_within(one: &Value, other: &Value, path: &str) {
    match (one, other) {
        (Value::Object(fields), _) => fields.iter().for_each(|(name, value)| {
            assert!(!other[name].is_null() || value.is_null(), "{path}.{name} is not known");
            assert_within(value, &other[name], &format!("{path}.{name}"));
        }),
        (Value::Array(items), Value::Array(others)) => {
            items.iter().zip(others).for_each(|(item, other)| assert_within(item, other, path));
        }
        _ => assert_eq!(one, other, "{path}"),
    }
}

fn check_by_kind(object: &Value) {
    match object["kind"].as_str().expect("it has a kind") {
        "Deployment" => check::<apps::v1::Deployment>(object),
        "Job" => check::<batch::v1::Job>(object),
        "CronJob" => check::<batch::v1::CronJob>(object),
        "Service" => check::<core::v1::Service>(object),
        "ServiceAccount" => check::<core::v1::ServiceAccount>(object),
        "Namespace" => check::<core::v1::Namespace>(object),
        "PersistentVolumeClaim" => check::<core::v1::PersistentVolumeClaim>(object),
        "NetworkPolicy" => check::<networking::v1::NetworkPolicy>(object),
        "Role" => check::<rbac::v1::Role>(object),
        "RoleBinding" => check::<rbac::v1::RoleBinding>(object),
        other => panic!("nobody checks a {other}"),
    }
}

const OBJECTS: [&str; 10] = [
    "init.yaml",
    "rbac.yaml",
    "restore.yaml",
    "drill.yaml",
    "base/rbac.yaml",
    "base/volume.yaml",
    "base/deployment.yaml",
    "base/service.yaml",
    "base/networkpolicy.yaml",
    "cronjob/cronjob.yaml",
];

#[test]
fn every_object_is_one_to_the_last_field() {
    for path in OBJECTS {
        documents(path).iter().for_each(check_by_kind);
    }
    for (folder, path) in [("base", "base/kustomization.yaml"), ("cronjob", "cronjob/kustomization.yaml")] {
        let kustomization = &documents(path)[0];
        for resource in kustomization["resources"].as_array().expect("a list") {
            let resource = resource.as_str().expect("a path");
            assert!(at(folder).join(resource).exists(), "{folder}/{resource}");
        }
    }
    let known =
        std::panic::catch_unwind(|| check::<core::v1::Service>(&serde_json::json!({ "spec": { "prots": [] } })));
    assert!(known.is_err(), "a field that no Service has is noticed");
}

/// The specifications of all pods that are shipped.
fn pods() -> Vec<Value> {
    let deployment = documents("base/deployment.yaml").remove(0);
    let cron_job = documents("cronjob/cronjob.yaml").remove(0);
    let job = documents("init.yaml").remove(0);
    vec![
        deployment["spec"]["template"]["spec"].clone(),
        cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone(),
        job["spec"]["template"]["spec"].clone(),
    ]
}

#[test]
fn pods_are_locked_down_and_bounded() {
    for pod in pods() {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let lists = ["initContainers", "containers"].map(|list| pod[list].as_array().cloned().unwrap_or_default());
        for container in lists.concat() {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
        // What is stopped has time to end by itself.
        let args = pod["containers"][0]["args"].to_string();
        let grace = if args.contains("--grace") { 45 } else { 20 };
        assert!(pod["terminationGracePeriodSeconds"].as_u64() >= Some(grace + 10));
    }
}

#[test]
fn the_account_and_the_configuration_are_those_of_the_program() {
    let rules = |path: &str| format!("{:?}", Rule::from_role(&text(path), "sfarc-backup", "sf"));
    assert_eq!(rules("base/rbac.yaml"), rules("rbac.yaml"));
    let config = Config::parse(&text("base/sfarc.toml"), &at("base/sfarc.toml")).expect("it can be meant");
    let volume = |path: &Path| path.starts_with("/repository");
    assert!(config.repository.path.is_some_and(|path| volume(&path)));
    assert!(config.status.file.is_some_and(|path| volume(&path)));
    let port = &pods()[0]["containers"][0]["ports"][0]["containerPort"];
    assert_eq!(config.status.listen.map(|address| u64::from(address.port())), port.as_u64());
}

#[test]
fn only_a_job_makes_the_repository_and_not_where_one_was() {
    let [deployment, cron_job, job] = &pods()[..] else { panic!("three pods") };
    let expects = |pod: &Value| {
        let of = pod["containers"][0]["env"].as_array().expect("variables").clone();
        let id = of.into_iter().find(|one| one["name"] == "SFARC_EXPECT_ID").expect("it expects a repository");
        let from = id["valueFrom"]["configMapKeyRef"].clone();
        assert!(from["name"] == "sfarc-repository" && from["key"] == "id", "{from}");
        from["optional"].as_bool().unwrap_or(false)
    };
    for pod in [deployment, cron_job] {
        assert!(!pod.to_string().contains("init"), "{pod:#}");
        assert!(!expects(pod), "it starts without knowing which repository is meant");
    }
    assert!(expects(job), "there is none yet");
    assert_eq!(job["containers"][0]["args"][0], "init");
    for kustomization in ["base/kustomization.yaml", "cronjob/kustomization.yaml"] {
        assert!(!documents(kustomization)[0]["resources"].to_string().contains("init"), "{kustomization}");
    }
}

#[test]
fn nobody_may_restore_unless_somebody_binds_the_role() {
    let binds = |path: &str| documents(path).iter().any(|one| one["roleRef"]["name"] == "sfarc-restore");
    assert!(!OBJECTS.iter().any(|path| *path != "restore.yaml" && binds(path)));
    assert!(binds("restore.yaml"));
    assert_eq!(documents("restore.yaml").len(), 1, "removing it removes nothing else");
    let known = documents("rbac.yaml");
    let binding = &documents("restore.yaml")[0];
    for (kind, name) in [("Role", &binding["roleRef"]["name"]), ("ServiceAccount", &binding["subjects"][0]["name"])] {
        assert!(known.iter().any(|one| one["kind"] == kind && one["metadata"]["name"] == *name), "{kind}");
    }
}

#[test]
fn every_way_out_leads_to_something_that_is_named() {
    let policy = documents("base/networkpolicy.yaml").remove(0);
    let label = &policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
    let pod = &documents("base/deployment.yaml")[0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(*label, pod["app.kubernetes.io/name"]);
    assert_eq!(policy["spec"]["policyTypes"], serde_json::json!(["Ingress", "Egress"]));
    let mut is_bounded = false;
    for rule in policy["spec"]["egress"].as_array().expect("rules") {
        assert!(rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()), "{rule:#}");
        let peers = rule["to"].as_array().expect("a rule without `to` allows everything");
        assert!(!peers.is_empty());
        for peer in peers {
            let selects =
                |selector: &str| peer[selector]["matchLabels"].as_object().is_some_and(|labels| !labels.is_empty());
            let length = peer["ipBlock"]["cidr"].as_str().and_then(|cidr| cidr.split_once('/')?.1.parse::<u8>().ok());
            let is_block = length.is_some_and(|length| length >= 24);
            assert!(is_block || (selects("namespaceSelector") && selects("podSelector")), "{peer:#}");
            is_bounded |= is_block;
        }
    }
    assert!(is_bounded, "there is a place for the API server");
    let operations = include_str!("../../docs/operations.md");
    assert!(operations.contains("networkpolicy.yaml"), "nobody is told to fill it in");
}

/// All metrics that there are.
fn names() -> BTreeSet<String> {
    let mut state = State { read_since: Some(0), drilled: Some(0), ..State::default() };
    let mut target = TargetState { next: Some(0), ..TargetState::default() };
    let run = |ending, error: Option<&str>| Run {
        began: 0,
        took: 1,
        ending,
        snapshot: None,
        bytes: 1,
        new: 1,
        added: 1,
        error: error.map(PlainText::from),
        cause: error.map(PlainText::from),
    };
    target.record(run(Ending::Good, None));
    target.record(run(Ending::Failed, Some("cluster")));
    state.targets.insert("sf".into(), target);
    state.upkeep.insert("prune".into(), UpkeepState { last_good: Some(0), ..UpkeepState::default() });
    state.grew(0, 1, 1);
    let text = metrics::text(&state, 0);
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_there_are() {
    let names = names();
    let alerts = documents("monitoring/alerts.yaml").remove(0);
    let dashboard: Value = serde_json::from_str(&text("monitoring/dashboard.json")).expect("it is JSON");
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules").clone();
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let of_panels = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("queries").clone());
    let queries = rules.iter().cloned().chain(of_panels).map(|one| one["expr"].as_str().expect("a query").to_owned());
    let mut asked = BTreeSet::new();
    for query in queries {
        let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        asked
            .extend(words.filter(|word| word.starts_with("sfarc_") || word.starts_with("process_")).map(str::to_owned));
    }
    assert!(asked.len() > 10 && asked.is_subset(&names), "{:?} of {names:?}", asked.difference(&names));
    let operations = include_str!("../../docs/operations.md");
    for rule in rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(operations.contains(name), "docs/operations.md does not say what to do for {name}");
    }
    for name in &names {
        assert!(operations.contains(&name[..]), "docs/operations.md does not have {name}");
    }
}
