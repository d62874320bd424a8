//! The Role that is shipped is enough, and each of its permissions is needed and named where it is missing.

use serde_json::Value;
use sfarc::engine::doctor::{Health, Look, examine};
use sfarc::env::SystemClock;
use sfarc::plan::Plan;
use sfarc::plan::software_factory::Wishes;
use sfarc::testing::cluster::Rule;
use sfarc::testing::factory::{self, Factory};

use super::world;
use crate::factory::{make_plan, place, take, wishes};

const ROLES: &str = include_str!("../../../deploy/rbac.yaml");

/// One permission of a Role.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Single {
    group: String,
    resource: String,
    verb: String,
    name: Option<String>,
}

impl Single {
    fn rule(&self) -> Rule {
        let rule = Rule::new(&[&self.group], &[&self.resource], &[&self.verb]).within("sf");
        rule.named(&self.name.as_deref().into_iter().collect::<Vec<_>>())
    }

    /// How errors and the doctor name it; names only where the Role has them.
    fn text(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(" of `{}`", self.group) };
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" named {name}"));
        format!("`{}` on `{}`{group}{name}", self.verb, self.resource)
    }
}

/// Every permission of the Role for backups by itself.
fn singles() -> Vec<Single> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(ROLES).expect("YAML");
    let role = documents.iter().find(|role| role["kind"] == "Role" && role["metadata"]["name"] == "sfarc-backup");
    let texts = |rule: &Value, field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let mut singles = Vec::new();
    for rule in role.expect("the Role")["rules"].as_array().expect("rules") {
        let names: Vec<Option<String>> = texts(rule, "resourceNames").into_iter().map(Some).collect();
        let names = if names.is_empty() { vec![None] } else { names };
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    singles.extend(names.iter().map(|name| Single {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    }));
                }
            }
        }
    }
    singles
}

fn everything() -> Wishes {
    let with = ["logs", "known-hosts", "nodepool", "zookeeper-data"].map(str::to_owned).into();
    Wishes { config_maps: true, with, ..wishes() }
}

fn make(factory: &Factory, account: &str) -> Result<Plan, String> {
    let plan = make_plan(&place(factory, account), Some(&factory.cr_file()), &everything());
    plan.map_err(|error| sfarc::error::chain(&error))
}

fn snapshot(factory: &Factory, account: &str, plan: Plan) -> Result<Vec<String>, String> {
    let repository = world().init().expect("a repository");
    let result = take(&repository, &place(factory, account), plan);
    assert_eq!(repository.snapshot_ids().expect("listed").len(), usize::from(result.is_ok()));
    let names = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    Ok(result?.manifest.streams.iter().map(|stream| names(&stream.name)).collect())
}

/// What the doctor has to say against an account.
fn complaints(factory: &Factory, account: &str, plan: &Plan) -> Vec<Look> {
    let mut looks = Vec::new();
    examine(&place(factory, account), plan, &SystemClock, &mut |look| looks.push(look)).expect("the cluster answers");
    looks.retain(|look| look.health != Health::Good);
    looks
}

#[test]
fn the_role_for_backups_is_enough_and_nothing_of_it_is_too_much() {
    let singles = singles();
    assert!(singles.len() > 10, "{singles:?}");
    let mut accounts = vec![("backup".to_owned(), Rule::from_role(ROLES, "sfarc-backup", "sf"))];
    for (number, missing) in singles.iter().enumerate() {
        let rules = singles.iter().filter(|single| *single != missing).map(Single::rule).collect();
        accounts.push((format!("without-{number}"), rules));
    }
    let options = factory::Options { builds: 10, accounts, custom_resource: true, ..factory::Options::default() };
    let factory = Factory::start(options);
    let plan = make(&factory, "backup").expect("a plan");
    assert_eq!(complaints(&factory, "backup", &plan), []);
    let streams = snapshot(&factory, "backup", plan).expect("a snapshot");
    assert_eq!(streams, ["objects", "database", "keys", "zookeeper-data", "nodepool", "known-hosts", "logs"]);
    for (number, missing) in singles.iter().enumerate() {
        let account = format!("without-{number}");
        println!("without {}:", missing.text());
        let is_named = |text: &str| text.contains(&missing.text()) && text.contains("in the namespace sf");
        match make(&factory, &account) {
            Err(error) => assert!(is_named(&error), "{error}"),
            Ok(plan) => {
                let looks = complaints(&factory, &account, &plan);
                let named = |look: &&Look| {
                    (look.what.ends_with("in sf") || is_named(&look.seen)) && look.seen.contains(&missing.text())
                };
                let look = looks.iter().find(named).unwrap_or_else(|| panic!("{}: {looks:?}", missing.text()));
                assert!(look.cure.contains("deploy/rbac.yaml"), "{look:?}");
                with_plan(&factory, &account, plan, missing, look, &is_named);
            }
        }
    }
}

fn with_plan(
    factory: &Factory,
    account: &str,
    plan: Plan,
    missing: &Single,
    look: &Look,
    is_named: &dyn Fn(&str) -> bool,
) {
    if missing.resource == "softwarefactories" {
        assert!(plan.left_out.iter().any(|left_out| left_out.forbidden && is_named(&left_out.why)));
        assert_eq!(look.health, Health::Poor);
        snapshot(factory, account, plan).expect("a snapshot without them");
    } else if missing.verb == "create" {
        // This server is one of those that ask for `get`.
        snapshot(factory, account, plan).expect("it is not needed yet");
    } else {
        let error = snapshot(factory, account, plan).expect_err(&missing.text());
        println!("  {error}");
        assert!(is_named(&error), "{error}");
    }
}
