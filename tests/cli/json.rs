//! Compares objects with the tables of docs/json.md.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const PAGE: &str = include_str!("../../docs/json.md");

/// Fields by their paths: type, and whether they are always there.
type Fields = BTreeMap<String, (String, bool)>;

/// Fails unless the object has the documented fields of the command, with the documented types.
#[track_caller]
pub(crate) fn assert_documented(command: &str, object: &Value) {
    let name = object["type"].as_str().expect("every object has a type");
    let fields = documented(command, name);
    assert!(!fields.is_empty(), "docs/json.md has no `{name}` of `{command}`");
    let mut seen = BTreeSet::new();
    walk("", object, &fields, &mut seen);
    for (field, (_, always)) in fields.iter().filter(|(_, (_, always))| *always) {
        let parent = field.rfind("[]").map(|end| &field[..end]);
        let empty = parent.is_some_and(|parent| !seen.contains(&format!("{parent}[]")));
        assert!(!always || empty || seen.contains(field), "`{command}` prints no `{field}`: {object}");
    }
}

/// The table of an object below one of the headings that name a command.
fn documented(command: &str, object: &str) -> Fields {
    let of_command =
        |section: &&str| section.lines().next().is_some_and(|heading| heading.split(", ").any(|name| name == command));
    let sections = PAGE.split("\n## ").skip(1).filter(of_command);
    let objects = sections.flat_map(|section| section.split("\n### ").skip(1));
    let table = objects.filter(|text| text.lines().next() == Some(object));
    table.flat_map(str::lines).filter_map(row).collect()
}

fn row(line: &str) -> Option<(String, (String, bool))> {
    let mut cells = line.strip_prefix("| ")?.splitn(3, " | ");
    let (field, kind, about) = (cells.next()?, cells.next()?, cells.next()?);
    (field != "field").then(|| (field.to_owned(), (kind.to_owned(), !about.contains("not always there"))))
}

#[track_caller]
fn walk(path: &str, value: &Value, fields: &Fields, seen: &mut BTreeSet<String>) {
    seen.insert(path.to_owned());
    match (value, fields.get(path)) {
        (_, Some((kind, _))) if kind != "list" => assert!(fits(value, kind), "`{path}` is no {kind}: {value}"),
        (Value::Array(items), _) => items.iter().for_each(|item| walk(&format!("{path}[]"), item, fields, seen)),
        (Value::Object(members), _) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, member, fields, seen);
            }
        }
        _ => panic!("`{path}` is not in docs/json.md: {value}"),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    if let Some(kind) = kind.strip_suffix(" or null") {
        return value.is_null() || fits(value, kind);
    }
    let text = || value.as_str().unwrap_or_default();
    match kind {
        "text" => value.is_string(),
        "bytes" => value.is_string() || value["hex"].is_string(),
        "time" => text().parse::<jiff::Timestamp>().is_ok() && text().ends_with('Z'),
        "id" => text().len() == 64 && text().bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
        "number" => value.is_number(),
        "bool" => value.is_boolean(),
        "map" => value.is_object(),
        other => panic!("docs/json.md has an unknown type `{other}`"),
    }
}

#[test]
fn a_field_too_many_too_few_or_of_another_type_is_noticed() {
    let good = serde_json::json!({ "type": "forgotten", "id": "0".repeat(64), "dry_run": true });
    assert_documented("forget", &good);
    let spoilt = |change: fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        std::panic::catch_unwind(move || assert_documented("forget", &bad)).is_err()
    };
    assert!(spoilt(|bad| bad["more"] = 1.into()));
    assert!(spoilt(|bad| bad["dry_run"] = 1.into()));
    assert!(spoilt(|bad| drop(bad.as_object_mut().map(|members| members.remove("id")))));
}

#[test]
fn every_kind_of_object_has_one_shape() {
    let mut names: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "an object is documented twice");
}
