//! The file: `{"keys": {PATH: {"schema": 1, "keys": [{"version": 0, "created": T, "private_key": PEM}]}}}`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::KeysError;
use super::value::{Ambiguous, Value, sort_fields, write_text};

/// What a problem of the file as a whole is a problem of.
const EXPORT: &str = "the export";

/// A private key.
pub(super) struct PrivateKey {
    pub(super) path: String,
    pub(super) version: u64,
    pub(super) created: Option<i64>,
    pub(super) pem: Zeroizing<String>,
}

/// A sound export. All fields of all objects are sorted.
pub(super) struct Export {
    fields: Vec<(String, Value)>,
    pub(super) keys: Vec<PrivateKey>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Export, KeysError> {
    let mut fields = read(bytes)?.fields().ok_or_else(|| field(EXPORT, "keys"))?;
    sort_fields(&mut fields).map_err(|ambiguous| refuse(EXPORT, ambiguous))?;
    let mut keys = Vec::new();
    let mut found = false;
    for (name, value) in &mut fields {
        if name == "keys" {
            found = true;
            keys = parse_paths(value)?;
        } else {
            value.sort().map_err(|ambiguous| refuse(EXPORT, ambiguous))?;
        }
    }
    if found { Ok(Export { fields, keys }) } else { Err(field(EXPORT, "keys")) }
}

fn read(bytes: &[u8]) -> Result<Value, KeysError> {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    let value = Value::deserialize(&mut text)
        .map_err(|error| KeysError::Json { line: error.line(), column: error.column() })?;
    text.end().map_err(|error| KeysError::Trailing { line: error.line(), column: error.column() })?;
    Ok(value)
}

fn parse_paths(paths: &mut Value) -> Result<Vec<PrivateKey>, KeysError> {
    let Value::Object(paths) = paths else { return Err(field(EXPORT, "keys")) };
    sort_fields(paths).map_err(|ambiguous| refuse(EXPORT, ambiguous))?;
    let mut keys = Vec::new();
    for (path, value) in paths {
        if !path.starts_with("/keystorage") {
            return Err(KeysError::Path { path: path.clone() });
        }
        value.sort().map_err(|ambiguous| refuse(path, ambiguous))?;
        parse_path(path, value, &mut keys)?;
    }
    Ok(keys)
}

fn parse_path(path: &str, value: &Value, keys: &mut Vec<PrivateKey>) -> Result<(), KeysError> {
    if value.field("schema").and_then(Value::number).and_then(serde_json::Number::as_u64) != Some(1) {
        return Err(KeysError::Schema { path: path.to_owned() });
    }
    let list = value.field("keys").and_then(Value::list).ok_or_else(|| field(path, "keys"))?;
    if list.is_empty() {
        return Err(KeysError::NoKeys { path: path.to_owned() });
    }
    let mut versions = BTreeSet::new();
    for value in list {
        let key = parse_key(path, value)?;
        if !versions.insert(key.version) {
            return Err(KeysError::Version { path: path.to_owned(), version: key.version });
        }
        keys.push(key);
    }
    Ok(())
}

fn parse_key(path: &str, value: &Value) -> Result<PrivateKey, KeysError> {
    let number = |name| value.field(name).and_then(Value::number);
    let version = number("version").and_then(serde_json::Number::as_u64).ok_or_else(|| field(path, "version"))?;
    let created = number("created").and_then(serde_json::Number::as_i64);
    if created.is_none() && value.field("created").is_some() {
        return Err(field(path, "created"));
    }
    let pem = value.field("private_key").and_then(Value::text).ok_or_else(|| field(path, "private_key"))?.clone();
    Ok(PrivateKey { path: path.to_owned(), version, created, pem })
}

fn field(place: &str, field: &'static str) -> KeysError {
    KeysError::Field { place: place.to_owned(), field }
}

fn refuse(place: &str, ambiguous: Ambiguous) -> KeysError {
    let place = place.to_owned();
    match ambiguous {
        Ambiguous::Duplicate => KeysError::Duplicate { place },
        Ambiguous::Number => KeysError::Number { place },
    }
}

impl Export {
    /// The paths, sorted.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.keys.iter().map(|key| key.path.clone()).collect();
        paths.dedup();
        paths
    }

    /// The bytes that equal keys have in common.
    pub(super) fn canonical(&self) -> Zeroizing<Vec<u8>> {
        // Measured first: a buffer that grows leaves copies behind.
        let mut len = Counter(0);
        self.write(&mut len).expect("counting does not fail");
        let mut bytes = Zeroizing::new(Vec::with_capacity(len.0));
        self.write(&mut *bytes).expect("memory can be written");
        bytes
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_lines(out, &self.fields, |out, name, value| match value {
            Value::Object(paths) if name == "keys" => write_lines(out, paths, write_path),
            _ => value.write(out),
        })?;
        out.write_all(b"\n")
    }
}

/// An object with a field per line.
fn write_lines<W: Write>(
    out: &mut W,
    fields: &[(String, Value)],
    each: impl Fn(&mut W, &str, &Value) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b"{")?;
    for (place, (name, value)) in fields.iter().enumerate() {
        out.write_all(if place == 0 { b"\n" } else { b",\n" })?;
        write_text(out, name)?;
        out.write_all(b": ")?;
        each(out, name, value)?;
    }
    out.write_all(b"\n")?;
    out.write_all(b"}")
}

/// What is stored at a path, with a key per line.
fn write_path<W: Write>(out: &mut W, _path: &str, value: &Value) -> io::Result<()> {
    let Value::Object(fields) = value else { return value.write(out) };
    write_lines(out, fields, |out, name, value| match value {
        Value::List(keys) if name == "keys" => {
            out.write_all(b"[")?;
            for (place, key) in keys.iter().enumerate() {
                out.write_all(if place == 0 { b"\n" } else { b",\n" })?;
                key.write(out)?;
            }
            out.write_all(b"\n]")
        }
        _ => value.write(out),
    })
}

/// A writer that counts.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
