//! Who owned what before and after a change.

use serde_json::{Value, json};

use super::fields::{Fields, display, value_at};
use super::status::{Cause, Details, Status};

/// One manager's part of an object.
#[derive(Clone, Debug)]
struct Entry {
    manager: String,
    /// `Apply` or `Update`.
    operation: String,
    api_version: String,
    time: String,
    /// Parts that controllers own by way of a subresource are kept as they are.
    subresource: Option<String>,
    fields: Fields,
}

/// The managers of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Ownership(Vec<Entry>);

/// Who changes an object, and when.
#[derive(Clone, Debug)]
pub(super) struct Author<'a> {
    pub(super) manager: &'a str,
    pub(super) api_version: &'a str,
    pub(super) time: String,
}

impl Ownership {
    pub(super) fn of(object: &Value) -> Self {
        let entries = object["metadata"]["managedFields"].as_array();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entry = |entry: &Value| Entry {
            manager: text(entry, "manager"),
            operation: text(entry, "operation"),
            api_version: text(entry, "apiVersion"),
            time: text(entry, "time"),
            subresource: entry["subresource"].as_str().map(str::to_owned),
            fields: Fields::from_json(&entry["fieldsV1"]),
        };
        Self(entries.into_iter().flatten().map(entry).collect())
    }

    /// Puts the managers into an object, in the server's order.
    pub(super) fn write(mut self, object: &mut Value) {
        self.0.retain(|entry| !entry.fields.is_empty());
        self.0.sort_by(|a, b| (&a.operation, &a.time, &a.manager).cmp(&(&b.operation, &b.time, &b.manager)));
        let entries: Vec<Value> = self.0.iter().map(Entry::as_json).collect();
        object["metadata"]["managedFields"] = json!(entries);
    }

    /// What was written belongs to its author; what is gone belongs to nobody.
    pub(super) fn update(&mut self, author: &Author<'_>, old: &Value, new: &Value) {
        let mut changed = Fields::written(new);
        let all = changed.clone();
        let is_map = |path: &[String]| all.iter().any(|other| other.len() > path.len() && other.starts_with(path));
        changed.retain(|path| match value_at(old, path) {
            None => true,
            Some(before) => !is_map(path) && Some(before) != value_at(new, path),
        });
        for entry in self.0.iter_mut().filter(|entry| entry.subresource.is_none()) {
            entry.fields.retain(|path| value_at(new, path).is_some() && !changed.contains(path));
        }
        if !changed.is_empty() {
            self.entry(author, "Update").fields.union(changed);
        }
    }

    /// What somebody else owns of these fields, with another value.
    pub(super) fn conflicts(&self, manager: &str, fields: &Fields, live: &Value, wanted: &Value) -> Vec<Conflict> {
        let others = self.0.iter().filter(|entry| !(entry.manager == manager && entry.operation == "Apply"));
        let differs = |path: &[String]| value_at(live, path) != value_at(wanted, path);
        others
            .flat_map(|entry| {
                let paths = fields.iter().filter(|path| entry.fields.contains(path) && differs(path));
                paths.map(|path| Conflict { with: entry.name(), path: path.clone() })
            })
            .collect()
    }

    /// Takes the fields of these conflicts from their owners.
    pub(super) fn force(&mut self, manager: &str, conflicts: &[Conflict]) {
        for entry in self.0.iter_mut().filter(|entry| !(entry.manager == manager && entry.operation == "Apply")) {
            entry.fields.retain(|path| !conflicts.iter().any(|conflict| &conflict.path == path));
        }
    }

    /// Gives these fields to an applier; what it owned before and nobody owns now is given back.
    pub(super) fn apply(&mut self, author: &Author<'_>, fields: Fields) -> Vec<Vec<String>> {
        let entry = self.entry(author, "Apply");
        let before = std::mem::replace(&mut entry.fields, fields);
        let owned = |path: &[String]| self.0.iter().any(|entry| entry.fields.contains(path));
        before.iter().filter(|path| !owned(path)).cloned().collect()
    }

    fn entry(&mut self, author: &Author<'_>, operation: &str) -> &mut Entry {
        let same = |entry: &Entry| {
            entry.manager == author.manager && entry.operation == operation && entry.subresource.is_none()
        };
        let at = self.0.iter().position(same).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Entry::new(author, operation));
        }
        author.time.clone_into(&mut self.0[at].time);
        &mut self.0[at]
    }
}

impl Entry {
    fn new(author: &Author<'_>, operation: &str) -> Self {
        Self {
            manager: author.manager.to_owned(),
            operation: operation.to_owned(),
            api_version: author.api_version.to_owned(),
            time: author.time.clone(),
            subresource: None,
            fields: Fields::default(),
        }
    }

    /// How conflicts name it.
    fn name(&self) -> String {
        let using = format!(" using {} at {}", self.api_version, self.time);
        format!("\"{}\"{}", self.manager, if self.operation == "Update" { using } else { String::new() })
    }

    fn as_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if let Some(subresource) = &self.subresource {
            entry["subresource"] = json!(subresource);
        }
        entry
    }
}

/// A field that another manager owns.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    with: String,
    path: Vec<String>,
}

/// The answer to an apply that is not forced.
pub(super) fn refuse(conflicts: &[Conflict]) -> Status {
    let cause = |conflict: &Conflict| Cause {
        reason: "FieldManagerConflict",
        message: format!("conflict with {}", conflict.with),
        field: display(&conflict.path),
    };
    let message = match conflicts {
        [one] => format!("Apply failed with 1 conflict: conflict with {}: {}", one.with, display(&one.path)),
        many => format!("Apply failed with {} conflicts: {}", many.len(), by_manager(many)),
    };
    let details = Details { causes: conflicts.iter().map(cause).collect(), ..Details::default() };
    Status::failure(409, "Conflict", message).about(details)
}

fn by_manager(conflicts: &[Conflict]) -> String {
    let mut lines = Vec::new();
    let mut managers: Vec<&str> = conflicts.iter().map(|conflict| conflict.with.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    for manager in managers {
        lines.push(format!("conflicts with {manager}:"));
        let own = conflicts.iter().filter(|conflict| conflict.with == manager);
        lines.extend(own.map(|conflict| format!("- {}", display(&conflict.path))));
    }
    lines.join("\n")
}
