//! Which manager owns which fields of an object: `metadata.managedFields`.
//!
//! A real server knows from the schema which lists are merged by keys; here every list is owned as a whole.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The steps to a field as `FieldsV1` writes them, such as `f:data`, `f:a`.
type Path = Vec<String>;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeSet<Path>);

/// Fields that hold a map, not a structure: whoever makes one owns the map itself, too.
const MAPS: &[&str] = &["data", "stringData", "binaryData", "labels", "annotations", "resourceAttributes"];

/// What the server itself writes.
const SYSTEM: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "selfLink",
];

impl Fields {
    /// The fields of an object that is applied: its leaves.
    pub(super) fn applied(object: &Value) -> Self {
        Self::of(object, false)
    }

    /// The fields of an object that is written: its leaves, and its maps.
    pub(super) fn written(object: &Value) -> Self {
        Self::of(object, true)
    }

    fn of(object: &Value, with_maps: bool) -> Self {
        let mut fields = Self::default();
        for (name, value) in object.as_object().into_iter().flatten() {
            match name.as_str() {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => fields.add_metadata(value, with_maps),
                name => fields.add(vec![format!("f:{name}")], name, value, with_maps),
            }
        }
        fields
    }

    fn add_metadata(&mut self, metadata: &Value, with_maps: bool) {
        let own = metadata.as_object().into_iter().flatten().filter(|(name, _)| !SYSTEM.contains(&name.as_str()));
        for (name, value) in own {
            self.add(vec!["f:metadata".to_owned(), format!("f:{name}")], name, value, with_maps);
        }
    }

    fn add(&mut self, path: Path, name: &str, value: &Value, with_maps: bool) {
        let Some(inner) = value.as_object().filter(|inner| !inner.is_empty()) else {
            self.0.insert(path);
            return;
        };
        for (inner_name, value) in inner {
            let path = path.iter().cloned().chain([format!("f:{inner_name}")]).collect();
            self.add(path, inner_name, value, with_maps);
        }
        if with_maps && MAPS.contains(&name) {
            self.0.insert(path);
        }
    }

    pub(super) fn from_json(fields: &Value) -> Self {
        fn walk(value: &Value, path: &Path, into: &mut BTreeSet<Path>) {
            let steps = value.as_object().into_iter().flatten();
            if value.as_object().is_none_or(Map::is_empty) && !path.is_empty() {
                into.insert(path.clone());
            }
            for (step, inner) in steps {
                if step == "." {
                    into.insert(path.clone());
                } else {
                    walk(inner, &path.iter().cloned().chain([step.clone()]).collect(), into);
                }
            }
        }
        let mut paths = BTreeSet::new();
        walk(fields, &Vec::new(), &mut paths);
        Self(paths)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut root = json!({});
        for path in &self.0 {
            let mut at = &mut root;
            for step in path {
                at = &mut at[step];
                if at.is_null() {
                    *at = json!({});
                }
            }
            let inside = |other: &Path| other.len() > path.len() && other.starts_with(path);
            if self.0.iter().any(inside) {
                at["."] = json!({});
            }
        }
        root
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, path: &[String]) -> bool {
        self.0.contains(path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.0.retain(keep);
    }

    pub(super) fn union(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// The value of a field. Items of lists are not told apart: their path ends at the list.
pub(super) fn value_at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let mut at = object;
    for step in path {
        match step.strip_prefix("f:") {
            Some(name) => at = at.get(name)?,
            None => return Some(at),
        }
    }
    Some(at)
}

/// Takes a field out of an object.
pub(super) fn remove_at(object: &mut Value, path: &[String]) {
    let Some((last, way)) = path.split_last() else { return };
    let mut at = object;
    for step in way {
        match step.strip_prefix("f:").and_then(|name| at.get_mut(name)) {
            Some(inner) => at = inner,
            None => return,
        }
    }
    if let (Some(map), Some(name)) = (at.as_object_mut(), last.strip_prefix("f:")) {
        map.remove(name);
    }
}

/// How messages write a path.
pub(super) fn display(path: &[String]) -> String {
    path.iter().map(|step| format!(".{}", step.strip_prefix("f:").unwrap_or(step))).collect()
}
