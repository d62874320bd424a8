use super::*;

/// An export with these paths, each with these versions; nobody looks into the keys.
fn export(paths: &[(&str, &[u64])]) -> String {
    let paths: Vec<String> = paths.iter().map(|(path, versions)| format!("\"{path}\": {}", stored(versions))).collect();
    format!("{{\"keys\": {{{}}}}}", paths.join(", "))
}

fn stored(versions: &[u64]) -> String {
    let key = |version| format!(r#"{{"version": {version}, "created": {}, "private_key": "x"}}"#, 100 + version);
    let keys: Vec<String> = versions.iter().map(key).collect();
    format!(r#"{{"schema": 1, "keys": [{}]}}"#, keys.join(", "))
}

fn parse(text: &str) -> Result<ZuulKeys, KeysError> {
    ZuulKeys::parse(text.as_bytes())
}

#[test]
fn the_form_does_not_depend_on_the_order_of_the_source() {
    let one = parse(&export(&[("/keystorage/b", &[1, 0]), ("/keystorage2/a", &[0]), ("/keystorage/a", &[7])]))
        .expect("sound");
    let other = parse(&export(&[("/keystorage/a", &[7]), ("/keystorage/b", &[1, 0]), ("/keystorage2/a", &[0])]))
        .expect("sound");
    assert_eq!(one.canonical(), other.canonical());
    assert_eq!(one.paths().collect::<Vec<_>>(), ["/keystorage/a", "/keystorage/b", "/keystorage2/a"]);
    assert_eq!((one.len(), one.is_empty(), one.newest_created()), (4, false, Some(107)));
    let text = String::from_utf8_lossy(one.canonical());
    assert!(text.contains("\n{\"created\": 101, \"private_key\": \"x\", \"version\": 1},\n"), "{text}");
    let again = ZuulKeys::parse(one.canonical()).expect("the form can be read");
    assert_eq!(again.canonical(), one.canonical());
    // Zuul uses the first key of a path: their order is of the essence.
    let turned = parse(&export(&[("/keystorage/a", &[7]), ("/keystorage/b", &[0, 1]), ("/keystorage2/a", &[0])]))
        .expect("sound");
    assert_ne!(one.canonical(), turned.canonical());
}

#[test]
fn fields_nobody_knows_are_kept() {
    let text = |a: &str, b: &str| {
        let key = r#"{"version": 0, "private_key": "\u00e4\n", "z": [1.5, {"c": null, "b": true}], "a": -1}"#;
        format!(r#"{{"x": "y", "keys": {{"/keystorage/a": {{"schema": 1, {a}, {b}, "keys": [{key}]}}}}}}"#)
    };
    let keys = parse(&text(r#""m": 1"#, r#""n": {}"#)).expect("sound");
    assert_eq!(keys.canonical(), parse(&text(r#""n": {}"#, r#""m": 1"#)).expect("sound").canonical());
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
    assert_eq!(value(keys.canonical()), value(text(r#""m": 1"#, r#""n": {}"#).as_bytes()));
    assert_eq!(keys.newest_created(), None);
}

#[test]
fn an_export_without_keys_is_one() {
    let keys = parse(r#"{"keys": {}}"#).expect("sound");
    assert!(keys.is_empty());
    assert_eq!(keys.prove(b"password"), Ok(()));
}

#[test]
fn what_would_not_be_imported_as_it_is_is_refused() {
    let path = || "/keystorage/a".to_owned();
    let whole = || "the export".to_owned();
    let sound = export(&[("/keystorage/a", &[0])]);
    for (text, expected) in [
        (format!("{sound} }}"), KeysError::Trailing { line: 1, column: sound.len() + 2 }),
        (sound.replace("schema\": 1", "schema\": 2"), KeysError::Schema { path: path() }),
        (sound.replace("schema\": 1", "schema\": \"1\""), KeysError::Schema { path: path() }),
        (sound.replace("schema", "scheme"), KeysError::Schema { path: path() }),
        (export(&[("/zuul/a", &[0])]), KeysError::Path { path: "/zuul/a".to_owned() }),
        (export(&[("/keystorage/a", &[0]), ("/keystorage/a", &[0])]), KeysError::Duplicate { place: whole() }),
        (sound.replace("\"schema\": 1", "\"schema\": 1, \"schema\": 1"), KeysError::Duplicate { place: path() }),
        (sound.replace("\"version\": 0", "\"version\": 0, \"version\": 0"), KeysError::Duplicate { place: path() }),
        (r#"{"keys": {}, "keys": {}}"#.to_owned(), KeysError::Duplicate { place: whole() }),
        (sound.replace("100", "100, \"x\": 18446744073709551616"), KeysError::Number { place: path() }),
        (export(&[("/keystorage/a", &[])]), KeysError::NoKeys { path: path() }),
        (export(&[("/keystorage/a", &[3, 3])]), KeysError::Version { path: path(), version: 3 }),
        (sound.replace("version", "versions"), KeysError::Field { place: path(), field: "version" }),
        (sound.replace("100", "\"100\""), KeysError::Field { place: path(), field: "created" }),
        (sound.replace("\"x\"", "[]"), KeysError::Field { place: path(), field: "private_key" }),
        ("[]".to_owned(), KeysError::Field { place: whole(), field: "keys" }),
        ("{}".to_owned(), KeysError::Field { place: whole(), field: "keys" }),
        (r#"{"keys": []}"#.to_owned(), KeysError::Field { place: whole(), field: "keys" }),
    ] {
        assert_eq!(parse(&text).expect_err(&text), expected, "{text}");
    }
    for len in 0..sound.len() {
        assert!(matches!(parse(&sound[..len]), Err(KeysError::Json { .. })), "cut at {len}");
    }
    assert!(matches!(parse(&"[".repeat(100_000)), Err(KeysError::Json { .. })));
}
