//! Secrets as files of sf-operator's backup folders: no text makes the reader panic, and what it reads is written and
//! read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sfarc::engine::sf_operator::secret::{from_yaml, to_yaml};
use sfarc_fuzz::{Choices, sow};

const WORDS: &[&str] = &[
    "apiVersion: v1\n",
    "kind: Secret\n",
    "type: Opaque\n",
    "data:\n",
    "data: {}\n",
    "  priv: ",
    "  \"pub\": ",
    "  a b: ",
    "LS0tLS1CRUdJTgp4Cg==",
    "|\n    -----BEGIN\n    x\n",
    "!!binary gIGC",
    ": !!binary",
    "'it''s'",
    "\"\\u00e9\"",
    "1e3",
    "true",
    "null",
    "[1, 2, 256]",
    "{a: {b: [",
    "metadata:\n  name: k\n",
    "metadata: {name: k, namespace: sf}\n",
    "  annotations: {serial: \"2\"}\n",
    "  namespace: sf\n",
    "&a [*a]",
    "# ",
    "---\n",
    "\n",
    "\t",
];

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let mut choices = Choices(input);
    let text = if choices.byte() & 1 == 0 {
        String::from_utf8_lossy(choices.0).into_owned()
    } else {
        choices.0.iter().map(|byte| WORDS[usize::from(*byte) % WORDS.len()]).collect()
    };
    let Ok(secret) = from_yaml(&text, "k", Some("sf")) else { return };
    let namespace = secret["metadata"]["namespace"].as_str().expect("it has one").to_owned();
    let again = from_yaml(&to_yaml(&secret, &namespace), "k", None).expect("what is written can be read");
    assert_eq!(again["data"], secret["data"]);
    let annotations = |secret: &serde_json::Value| {
        let annotations = secret["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.into_iter().filter(|(_, value)| value.is_string()).collect::<Vec<_>>()
    };
    assert_eq!(annotations(&again), annotations(&secret));
});

fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![1, 0, 3, 5, 9, 6, 12, 26, 1, 19, 2],
        vec![1, 3, 5, 8, 26, 20],
        vec![1, 1, 3, 5, 10, 26, 20, 21],
        b"0data: {a: eA==}\nmetadata: {name: k}\n".to_vec(),
    ]
}
