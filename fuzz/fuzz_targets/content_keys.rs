//! Exports of Zuul's keys: one form for equal keys, which reads as itself and says what the source said.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sfarc::content::zuul_keys::{KeysError, ZuulKeys};
use sfarc_fuzz::{Choices, sow};

const WORDS: &[&str] = &[
    r#"{"keys": {"#,
    r#""/keystorage/a/b/c/secrets": "#,
    r#""/keystorage2/tenant/a/ssh": "#,
    r#"{"schema": 1, "keys": ["#,
    r#"{"version": 0, "created": 7, "private_key": ""#,
    r#"{"version": 1, "private_key": ""#,
    r"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
    r"DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n",
    r"DEK-Info: AES-128-CBC,00\n\n",
    r"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
    r"-----END RSA PRIVATE KEY-----\n",
    r#""}"#,
    "]}",
    "}}",
    ",",
    r#", "x": 1.5"#,
    r#", "y": [null, {"b": 1, "a": true}]"#,
    " ",
    "}",
    "]",
    "\"",
    "1",
];

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let mut choices = Choices(input);
    let text = if choices.byte() & 1 == 0 {
        choices.0.to_vec()
    } else {
        choices.0.iter().map(|byte| WORDS[usize::from(*byte) % WORDS.len()]).collect::<String>().into_bytes()
    };
    let Ok(keys) = ZuulKeys::parse(&text) else { return };
    let again = ZuulKeys::parse(keys.canonical()).expect("the form can be read");
    assert_eq!(again.canonical(), keys.canonical());
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("it is JSON");
    assert_eq!(value(keys.canonical()), value(&text));
    assert!(keys.len() >= keys.paths().count());
    let verdict = keys.prove(b"password");
    assert_eq!(verdict.is_ok(), keys.is_empty(), "nobody made a key here: {verdict:?}");
    assert!(!matches!(verdict, Err(KeysError::Inconsistent { .. })));
});

fn seeds() -> Vec<Vec<u8>> {
    let pem = [0, 1, 3, 4, 6, 7, 9, 10, 11, 12, 13];
    vec![
        [&[1], &pem[..]].concat(),
        vec![1, 0, 1, 3, 5, 6, 8, 9, 10, 11, 14, 4, 11, 12, 14, 2, 3, 4, 11, 12, 13],
        br#"0{"keys": {}, "x": 1}"#.to_vec(),
        br#"0{"keys": {"/keystorage/a": {"schema": 1, "z": {"b": 1}, "keys": [{"version": 0, "created": 1, "private_key": "x"}]}}}"#
            .to_vec(),
    ]
}
