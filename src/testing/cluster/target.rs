//! What a request is about: its path and its query, taken apart.

use crate::testing::percent::decode;

/// The resource that a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Empty for the core group.
    pub(super) group: String,
    pub(super) version: String,
    /// Empty for what belongs to no namespace, and for lists of all namespaces.
    pub(super) namespace: String,
    pub(super) resource: String,
    /// Empty for lists and creations.
    pub(super) name: String,
    pub(super) subresource: String,
}

impl Target {
    /// Nothing for paths that name no resource.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path.trim_matches('/').split('/').map(|part| decode(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let mut target = Self { group: group.to_owned(), version: version.to_owned(), ..Self::default() };
        target.namespace = namespace.to_owned();
        match rest {
            [resource] => target.resource = (*resource).to_owned(),
            [resource, name] => (target.resource, target.name) = ((*resource).to_owned(), (*name).to_owned()),
            [resource, name, subresource] => {
                (target.resource, target.name) = ((*resource).to_owned(), (*name).to_owned());
                target.subresource = (*subresource).to_owned();
            }
            _ => return None,
        }
        Some(target)
    }

    /// True for commands in containers.
    pub(super) fn is_exec(&self) -> bool {
        (self.resource.as_str(), self.subresource.as_str()) == ("pods", "exec")
    }

    /// The resource as access rules name it.
    pub(super) fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// The parameters of a request, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name, true), decode(value, true))
                })
                .collect(),
        )
    }

    /// The first parameter of this name, or nothing if it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All parameters of this name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(of, _)| of == name).map(|(_, value)| value.clone()).collect()
    }

    /// True if the parameter is there and says yes.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| ["true", "1"].contains(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let target = Target::parse("/apis/apps/v1/namespaces/sf/deployments/zuul-web/scale").unwrap();
        assert_eq!(target.full_resource(), "deployments/scale");
        assert_eq!((target.group.as_str(), target.name.as_str()), ("apps", "zuul-web"));
        let namespace = Target::parse("/api/v1/namespaces/sf").unwrap();
        assert_eq!((namespace.resource.as_str(), namespace.name.as_str()), ("namespaces", "sf"));
        assert_eq!(namespace.namespace, "");
        let odd = ["", "/", "/api", "/api/v1", "/apis/apps/v1", "/healthz", "/api/v1/namespaces/a/b/c/d/e"];
        assert!(odd.iter().all(|path| Target::parse(path).is_none()));
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse(Some("command=echo+a%2Bb&command=%24x%&stdin=true&tty=&x"));
        assert_eq!(query.all("command"), ["echo a+b", "$x%"]);
        assert!(query.flag("stdin") && !query.flag("tty") && query.get("x").is_none());
    }
}
