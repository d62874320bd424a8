//! Zuul's keys, made by real programs while the tests run: OpenSSL, and what Zuul itself uses where it is installed.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use sfarc::content::zuul_keys::{KeysError, ZuulKeys};

const PASSWORD: &str = "test-only";

/// Runs a program, with the password in its environment; `None` if it is not installed.
fn run(program: &str, args: &[&str], input: &str) -> Option<String> {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(args)
        .env("KEY_PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// Keys by the cipher they are encrypted with; `None` where OpenSSL is not installed.
static KEYS: LazyLock<Option<BTreeMap<&str, String>>> = LazyLock::new(|| {
    let mut keys = BTreeMap::new();
    for cipher in ["aes256", "aes192", "aes128", "des3", "none"] {
        let plain = run("openssl", &["genrsa", "-traditional", "2048"], "")?;
        let cipher_option = format!("-{cipher}");
        let key = match cipher {
            "none" => plain,
            _ => run("openssl", &["rsa", &cipher_option, "-traditional", "-passout", "env:KEY_PASSWORD"], &plain)?,
        };
        keys.insert(cipher, key);
    }
    Some(keys)
});

fn keys() -> Option<&'static BTreeMap<&'static str, String>> {
    if KEYS.is_none() {
        eprintln!("not run: openssl is not installed");
    }
    KEYS.as_ref()
}

fn export<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> ZuulKeys {
    let stored = |pem: &str| json!({"schema": 1, "keys": [{"version": 4, "created": 1, "private_key": pem}]});
    let paths: serde_json::Map<String, Value> =
        keys.into_iter().map(|(path, pem)| (path.to_owned(), stored(pem))).collect();
    ZuulKeys::parse(json!({ "keys": paths }).to_string().as_bytes()).expect("the export is sound")
}

const PATH: &str = "/keystorage/gerrit/config/config/secrets";

fn proven(pem: &str, password: &str) -> Result<(), KeysError> {
    let verdict = export([(PATH, pem)]).prove(password.as_bytes());
    if let Err(error) = &verdict {
        assert!(error.to_string().contains(PATH), "{error}");
        assert!(!format!("{error:?}").contains(pem.lines().nth(6).unwrap_or("-")), "the error quotes the key");
    }
    verdict
}

fn path() -> String {
    PATH.to_owned()
}

#[test]
fn keys_of_openssl_open_with_their_password() {
    let Some(keys) = keys() else { return };
    for cipher in ["aes256", "aes192", "aes128"] {
        assert_eq!(proven(&keys[cipher], PASSWORD), Ok(()), "{cipher}");
        for wrong in ["", "test-onlY", "test-only "] {
            assert_eq!(proven(&keys[cipher], wrong), Err(KeysError::WrongPassword { path: path(), version: 4 }));
        }
    }
    assert_eq!(proven(&keys["des3"], PASSWORD), Err(KeysError::Cipher { path: path(), version: 4 }));
    assert_eq!(proven(&keys["none"], PASSWORD), Err(KeysError::NotEncrypted { path: path(), version: 4 }));
    let all = export([("/keystorage/a", &keys["aes256"][..]), ("/keystorage2/b", &keys["aes128"])]);
    assert_eq!(all.prove(PASSWORD.as_bytes()), Ok(()));
    let one = export([("/keystorage/a", &keys["aes256"][..]), ("/keystorage2/b", &keys["none"])]);
    let expected = KeysError::NotEncrypted { path: "/keystorage2/b".to_owned(), version: 4 };
    assert_eq!(one.prove(PASSWORD.as_bytes()), Err(expected));
}

#[test]
fn damaged_keys_do_not_pass() {
    let Some(keys) = keys() else { return };
    let key = &keys["aes256"];
    let lines: Vec<&str> = key.lines().collect();
    let without = |line: usize| [&lines[..line], &lines[line + 1..]].concat().join("\n");
    let replaced = |line: usize, by: &str| [&lines[..line], &[by], &lines[line + 1..]].concat().join("\n");
    for (damaged, why) in [
        (replaced(8, "!!!!"), "no base64"),
        (without(lines.len() - 1), "no end"),
        (without(3), "no blank line"),
        (format!("{key}\n{key}"), "two keys"),
    ] {
        assert_eq!(proven(&damaged, PASSWORD), Err(KeysError::Pem { path: path(), version: 4 }), "{why}");
    }
    let other: Vec<&str> = keys["aes192"].lines().collect();
    let mixed = [&lines[..4], &other[4..]].concat().join("\n");
    assert_eq!(proven(&mixed, PASSWORD), Err(KeysError::WrongPassword { path: path(), version: 4 }), "another's body");
    assert!(proven(&without(8), PASSWORD).is_err(), "a line is missing");
    // Every line of the body matters: with one bit changed anywhere, a key is none any more.
    for (line, text) in lines.iter().enumerate().take(lines.len() - 1).skip(4) {
        let letter = if text.starts_with('A') { "B" } else { "A" };
        let changed = replaced(line, &format!("{letter}{}", &text[1..]));
        let verdict = proven(&changed, PASSWORD);
        let expected = [
            KeysError::WrongPassword { path: path(), version: 4 },
            KeysError::Inconsistent { path: path(), version: 4 },
        ];
        assert!(verdict.as_ref().is_err_and(|error| expected.contains(error)), "line {line}: {verdict:?}");
    }
}

#[test]
fn swapped_keys_have_another_form() {
    let Some(keys) = keys() else { return };
    let (a, b) = (&keys["aes256"][..], &keys["aes128"][..]);
    let (one, other) =
        (export([("/keystorage/a", a), ("/keystorage/b", b)]), export([("/keystorage/a", b), ("/keystorage/b", a)]));
    assert_eq!(other.prove(PASSWORD.as_bytes()), Ok(()));
    assert_ne!(one.canonical(), other.canonical());
}

#[test]
fn keys_as_zuul_makes_them_open_with_their_password() {
    let Some(python) = std::env::var_os("SFARC_READER_PYTHON") else {
        eprintln!("not run: tests/run installs the Python package cryptography and sets SFARC_READER_PYTHON");
        return;
    };
    let script = "
import os
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
print(key.private_bytes(
    encoding=serialization.Encoding.PEM, format=serialization.PrivateFormat.TraditionalOpenSSL,
    encryption_algorithm=serialization.BestAvailableEncryption(os.environb[b'KEY_PASSWORD'])).decode(), end='')
";
    let key = run(&python.to_string_lossy(), &["-c", script], "").expect("Python runs");
    assert_eq!(proven(&key, PASSWORD), Ok(()));
    assert_eq!(proven(&key, "wrong"), Err(KeysError::WrongPassword { path: path(), version: 4 }));
}
