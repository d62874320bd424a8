//! Who may do what: rules per token, as Roles and ClusterRoles have them.
//!
//! The name in a wish is that of the path. For lists, watches and deletions of lists it is the one that their field
//! selector asks for, so that rules with names are of use for them, too; a creation has none, and no such rule permits it.

use serde_json::{Value, json};

use super::selector::Selector;
use super::status::{Details, Status};
use super::target::{Query, Target};

/// What a token permits. `*` stands for everything, in each list.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    resource_names: Vec<String>,
    urls: Vec<String>,
    /// Only in this namespace, as a Role does; nothing stands for all of them.
    namespace: Option<String>,
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn allows(list: &[String], what: &str) -> bool {
    list.iter().any(|item| item == "*" || item == what)
}

impl Rule {
    /// Permits these verbs on these resources (such as `pods/exec`) of these groups.
    pub fn new(api_groups: &[&str], resources: &[&str], verbs: &[&str]) -> Self {
        Self { api_groups: owned(api_groups), resources: owned(resources), verbs: owned(verbs), ..Self::default() }
    }

    /// Permits everything.
    pub fn all() -> Self {
        Self { urls: owned(&["*"]), ..Self::new(&["*"], &["*"], &["*"]) }
    }

    /// Only for objects of these names.
    #[must_use]
    pub fn named(mut self, names: &[&str]) -> Self {
        self.resource_names = owned(names);
        self
    }

    /// Only in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    fn is_for(&self, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|own| own == namespace)
    }

    fn permits(&self, wish: &Wish<'_>) -> bool {
        let subresource_of_all = wish.resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
        self.is_for(wish.namespace)
            && allows(&self.api_groups, wish.group)
            && allows(&self.verbs, wish.verb)
            && (allows(&self.resources, wish.resource)
                || subresource_of_all.is_some_and(|resource| self.resources.contains(&resource)))
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == wish.name))
    }

    fn as_json(&self) -> Value {
        let mut rule = json!({ "verbs": self.verbs, "apiGroups": self.api_groups, "resources": self.resources });
        if !self.resource_names.is_empty() {
            rule["resourceNames"] = json!(self.resource_names);
        }
        rule
    }
}

/// What somebody wants to do.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    /// With the subresource.
    pub(super) resource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// The owner of a token.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// As refusals name it.
    pub(super) user: String,
    pub(super) token: String,
    pub(super) rules: Vec<Rule>,
}

impl Account {
    /// `NAME` is a service account of the namespace `default`, `NAMESPACE:NAME` one of that namespace.
    pub(super) fn new(name: &str, rules: Vec<Rule>) -> Self {
        let (namespace, account) = name.split_once(':').unwrap_or(("default", name));
        Self {
            user: format!("system:serviceaccount:{namespace}:{account}"),
            token: format!("token-of-{namespace}-{account}"),
            rules,
        }
    }

    /// True if a rule, or what every account may do, permits this.
    pub(super) fn may(&self, wish: &Wish<'_>) -> bool {
        builtin().iter().chain(&self.rules).any(|rule| rule.permits(wish))
    }

    /// Refuses what no rule permits.
    pub(super) fn check(&self, verb: &str, target: &Target, query: &Query) -> Result<(), Status> {
        let resource = target.full_resource();
        let selected = Selector::parse(None, query.get("fieldSelector")).ok().and_then(|selector| selector.name());
        let name = match verb {
            "list" | "watch" | "deletecollection" if target.name.is_empty() => selected.unwrap_or_default(),
            _ => target.name.clone(),
        };
        // A namespace lies in itself, so that a Role may let it be read.
        let namespace = if target.resource == "namespaces" { &target.name } else { &target.namespace };
        let wish = Wish { verb, group: &target.group, resource: &resource, namespace, name: &name };
        if self.may(&wish) { Ok(()) } else { Err(self.refusal(&wish, target)) }
    }

    fn refusal(&self, wish: &Wish<'_>, target: &Target) -> Status {
        let group = if wish.group.is_empty() { String::new() } else { format!(".{}", wish.group) };
        let name = if wish.name.is_empty() { String::new() } else { format!(" \"{}\"", wish.name) };
        let within = match wish.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let message = format!(
            "{}{group}{name} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {within}",
            target.resource, self.user, wish.verb, wish.resource, wish.group
        );
        Status::failure(403, "Forbidden", message).about(Details::of(wish.group, &target.resource, wish.name))
    }

    /// What `SelfSubjectRulesReview` says of a namespace.
    pub(super) fn review(&self, namespace: &str) -> Value {
        let own = self.rules.iter().filter(|rule| rule.is_for(namespace));
        let resources: Vec<Value> = own.clone().map(Rule::as_json).chain(builtin().iter().map(Rule::as_json)).collect();
        let urls = own.filter(|rule| !rule.urls.is_empty());
        let mut non_resources: Vec<Value> =
            urls.map(|rule| json!({ "verbs": rule.verbs, "nonResourceURLs": rule.urls })).collect();
        non_resources.extend(open_urls());
        json!({ "resourceRules": resources, "nonResourceRules": non_resources, "incomplete": false })
    }
}

/// What every account may do.
fn builtin() -> [Rule; 2] {
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    [
        Rule::new(&["authorization.k8s.io"], &reviews, &["create"]),
        Rule::new(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ]
}

/// The paths that every account may read, as the three roles of a fresh cluster list them.
fn open_urls() -> [Value; 3] {
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let issuer = ["/.well-known", "/.well-known/*"];
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let get = |urls: &[&str]| json!({ "verbs": ["get"], "nonResourceURLs": urls });
    [get(&public), get(&issuer), get(&discovery)]
}
