//! Rules from the Roles that a program ships.

use serde::Deserialize;
use serde_json::Value;

use super::rbac::Rule;

/// A rule as YAML has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(default)]
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

impl Rule {
    /// The rules of the `Role` of this name among the documents of a YAML text, for this namespace, in their order.
    ///
    /// A text that is not YAML, a Role that is not there, or one that is not built like a Role, ends the test.
    pub fn from_role(yaml: &str, role_name: &str, namespace: &str) -> Vec<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("the Role is in a YAML text");
        let is_wanted = |document: &&Value| document["kind"] == "Role" && document["metadata"]["name"] == role_name;
        let role = documents.iter().find(is_wanted).unwrap_or_else(|| panic!("there is no Role {role_name}"));
        let rules: Vec<Written> = serde_json::from_value(role["rules"].clone()).expect("the Role has rules");
        rules.iter().map(|rule| rule.within(namespace)).collect()
    }
}

impl Written {
    fn within(&self, namespace: &str) -> Rule {
        fn texts(list: &[String]) -> Vec<&str> {
            list.iter().map(String::as_str).collect()
        }
        let rule = Rule::new(&texts(&self.api_groups), &texts(&self.resources), &texts(&self.verbs));
        rule.named(&texts(&self.resource_names)).within(namespace)
    }
}
