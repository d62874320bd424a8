//! A Secret as a file of a backup folder.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::k8s::ByteString;

/// The Secret in the form of v0.0.65 and later. Texts are written as JSON writes them: that is YAML, too, whatever is in
/// them.
pub fn to_yaml(secret: &Value, namespace: &str) -> String {
    let mut text = String::from("data:");
    fields(&mut text, &secret["data"], "  ");
    text.push_str("metadata:\n");
    if secret["metadata"]["annotations"].as_object().is_some_and(|annotations| !annotations.is_empty()) {
        text.push_str("  annotations:");
        fields(&mut text, &secret["metadata"]["annotations"], "    ");
    }
    // Writing to memory does not fail.
    let _ = write!(
        text,
        "  creationTimestamp: null\n  name: {}\n  namespace: {}\n",
        secret["metadata"]["name"],
        Value::from(namespace)
    );
    text
}

fn fields(text: &mut String, object: &Value, indent: &str) {
    let fields = object.as_object().filter(|fields| !fields.is_empty());
    let Some(fields) = fields else { return text.push_str(" {}\n") };
    text.push('\n');
    for (key, value) in fields {
        let _ = writeln!(text, "{indent}{}: {value}", Value::from(key.as_str()));
    }
}

/// Reads a file of either form. The error says what is wrong, and quotes nothing.
pub fn from_yaml(text: &str, name: &str, namespace: Option<&str>) -> Result<Value, &'static str> {
    let (text, binary) = without_tags(text);
    let read: Value = serde_saphyr::from_str(&text).map_err(|_| "it is not YAML")?;
    let values = read["data"].as_object().ok_or("it has no data")?;
    let is_plain = !read["kind"].is_null();
    let mut data = Map::new();
    for (key, value) in values {
        data.insert(key.clone(), if is_plain && !binary.contains(key) { encoded(value)? } else { checked(value)? });
    }
    if read["metadata"]["name"].as_str() != Some(name) {
        return Err("it is of another name than its file");
    }
    let namespace = read["metadata"]["namespace"].as_str().or(namespace);
    let mut metadata =
        json!({ "name": name, "namespace": namespace.ok_or("it does not say its namespace: name one")? });
    if read["metadata"]["annotations"].is_object() {
        metadata["annotations"] = read["metadata"]["annotations"].clone();
    }
    let kind = read["type"].as_str().unwrap_or("Opaque");
    Ok(json!({ "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": data }))
}

/// The file without the tags of values that are no UTF-8, and the keys of these values: they are in base64 already.
fn without_tags(text: &str) -> (String, Vec<String>) {
    const TAG: &str = ": !!binary";
    let key = |line: &str| Some(line.split_once(TAG)?.0.trim().trim_matches(['"', '\'']).to_owned());
    (text.replace(TAG, ":"), text.lines().filter_map(key).collect())
}

/// A plain value.
fn encoded(value: &Value) -> Result<Value, &'static str> {
    let bytes = match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Array(bytes) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            bytes.iter().map(byte).collect::<Option<Vec<u8>>>().ok_or("a value is no text")?
        }
        // Unquoted, it looked like something else.
        Value::Number(number) => number.to_string().into_bytes(),
        Value::Bool(bool) => bool.to_string().into_bytes(),
        _ => return Err("a value is no text"),
    };
    Ok(serde_json::to_value(ByteString(bytes)).unwrap_or_default())
}

/// A value in base64, which may be on several lines.
fn checked(value: &Value) -> Result<Value, &'static str> {
    let text: String = value.as_str().ok_or("a value is no text")?.split_whitespace().collect();
    let bytes: ByteString = serde_json::from_value(text.into()).map_err(|_| "a value is not base64")?;
    Ok(serde_json::to_value(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_and_read_again() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": "zookeeper-client-tls", "namespace": "sf", "annotations": { "serial": "2" } },
            "data": { "ca.crt": "eA==", "true": "MQ==", "y": "" },
        });
        let text = to_yaml(&secret, "sf");
        assert!(!text.contains("kind"), "{text}");
        assert_eq!(from_yaml(&text, "zookeeper-client-tls", None), Ok(secret.clone()));
        assert!(from_yaml(&text, "another", None).is_err());
    }

    #[test]
    fn both_generations_mean_the_same() {
        let old = "apiVersion: v1\ndata:\n  priv: |\n    -----BEGIN\n    x\n  pub: abc\nkind: Secret\nmetadata:\n  name: k\ntype: Opaque\n";
        let new = "data:\n  priv: LS0tLS1CRUdJTgp4Cg==\n  pub: YWJj\nmetadata:\n  creationTimestamp: null\n  name: k\n  namespace: sf\n";
        assert_eq!(from_yaml(old, "k", Some("sf")), from_yaml(new, "k", None));
        assert!(from_yaml(old, "k", None).is_err(), "its namespace is not known");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in [
            "",
            "[]",
            "data: 1",
            "data: {a: [b]}\nmetadata: {name: k, namespace: sf}",
            "data: {a: '%'}\nmetadata: {name: k, namespace: sf}",
            "a: [",
            "data: {}",
        ] {
            assert!(from_yaml(text, "k", None).is_err(), "{text}");
        }
        let binary = "kind: Secret\ndata:\n  a: !!binary gIGC\nmetadata: {name: k}\n";
        let read = from_yaml(binary, "k", Some("sf")).expect("binary values are read");
        assert_eq!(read["data"]["a"], "gIGC");
    }
}
