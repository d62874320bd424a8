//! Label selectors and field selectors.

use serde_json::Value;

use super::status::Status;

/// What an object must have to be in a list.
#[derive(Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Debug)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

/// The fields that lists can be selected by; a real server has a list for each type.
const FIELDS: &[&str] = &["metadata.name", "metadata.namespace", "status.phase", "spec.nodeName", "type"];

impl Selector {
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, Status> {
        let labels: Vec<Requirement> = parts(labels).map(requirement).collect::<Result<_, _>>()?;
        let fields: Vec<Requirement> = parts(fields).map(requirement).collect::<Result<_, _>>()?;
        match fields.iter().find(|field| !FIELDS.contains(&field.key.as_str())) {
            Some(field) => Err(Status::bad_request(format!("field label not supported: {}", field.key))),
            None => Ok(Self { labels, fields }),
        }
    }

    /// The only name that an object may have, if there is one.
    pub(super) fn name(&self) -> Option<String> {
        self.fields.iter().filter(|field| field.key == "metadata.name").find_map(|field| match &field.test {
            Test::In(names) => names.first().cloned(),
            _ => None,
        })
    }

    /// True if nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        let field = |key: &str| object.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str);
        self.labels.iter().all(|wanted| wanted.holds(label(&wanted.key)))
            && self.fields.iter().all(|wanted| wanted.holds(Some(field(&wanted.key).unwrap_or_default())))
    }
}

/// True if an object has all of these labels, and there is any.
pub(super) fn matches_labels(object: &Value, labels: &Value) -> bool {
    let own = &object["metadata"]["labels"];
    let wanted = labels.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(name, value)| own.get(name) == Some(value)))
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|of| of == value));
        match &self.test {
            Test::In(values) => among(values),
            Test::NotIn(values) => !among(values),
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
        }
    }
}

/// Splits at the commas that are not within parentheses.
fn parts(selector: Option<&str>) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let outside = move |char: char| {
        depth += i32::from(char == '(') - i32::from(char == ')');
        char == ',' && depth == 0
    };
    selector.unwrap_or_default().split(outside).map(str::trim).filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Result<Requirement, Status> {
    let one = |key: &str, test: Test| Requirement { key: key.trim().to_owned(), test };
    let value = |value: &str| vec![value.trim().to_owned()];
    let found = if let Some((key, values)) = set(part, " notin ") {
        one(key, Test::NotIn(values))
    } else if let Some((key, values)) = set(part, " in ") {
        one(key, Test::In(values))
    } else if let Some((key, right)) = part.split_once("!=") {
        one(key, Test::NotIn(value(right)))
    } else if let Some((key, right)) = part.split_once("==").or_else(|| part.split_once('=')) {
        one(key, Test::In(value(right)))
    } else if let Some(key) = part.strip_prefix('!') {
        one(key, Test::Missing)
    } else {
        one(part, Test::Exists)
    };
    let bad = found.key.is_empty() || found.key.contains([' ', '(', ')', '=']);
    if bad { Err(Status::bad_request(format!("unable to parse requirement: {part}"))) } else { Ok(found) }
}

fn set<'a>(part: &'a str, word: &str) -> Option<(&'a str, Vec<String>)> {
    let (key, values) = part.split_once(word)?;
    let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
    Some((key, values.split(',').map(|value| value.trim().to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_select() {
        let object = json!({ "metadata": { "name": "a", "labels": { "run": "zuul", "tier": "web" } } });
        let matches = |labels| Selector::parse(Some(labels), None).unwrap().matches(&object);
        for right in ["run=zuul", "run==zuul,tier", "!none", "run in (a, zuul),tier=web", "none!=x", "run notin (a)"] {
            assert!(matches(right), "{right}");
        }
        for wrong in ["run=web", "none", "!run", "run in (a,b)", "run!=zuul", "run notin (zuul)"] {
            assert!(!matches(wrong), "{wrong}");
        }
        assert!(Selector::parse(Some("=x"), None).is_err() && Selector::parse(None, Some("spec.odd=1")).is_err());
        assert!(Selector::parse(None, Some("metadata.name=a")).unwrap().matches(&object));
    }
}
