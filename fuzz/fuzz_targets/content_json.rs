//! Streams that should be JSON: one verdict however they are cut, and the one that serde_json has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use sfarc::content::json::{DEPTH, JsonCheck, JsonError};
use sfarc_fuzz::{Choices, sow};

const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\"a\":",
    b"1",
    b"-0.5e+3",
    b"0",
    b"true",
    b"null",
    b"false",
    b" ",
    b"\n",
    b"\\u00e4",
    b"\\",
    b"\xc3\xa4",
    b"\xff",
    b"\xe2\x82",
    b"\xf0\x9f\x98\x80",
    b".",
    b"e",
];

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let mut choices = Choices(input);
    let mode = choices.byte();
    let piece = 1 + choices.below(64);
    let text: Vec<u8> = if mode & 1 == 0 {
        choices.0.to_vec()
    } else {
        choices.0.iter().flat_map(|byte| WORDS[usize::from(*byte) % WORDS.len()]).copied().collect()
    };
    let whole = check(&text, usize::MAX);
    assert_eq!(check(&text, 1), whole);
    assert_eq!(check(&text, piece), whole);
    // serde_json nests less deeply, and looks at the text of strings only if it is asked for one.
    let depth = text.iter().filter(|byte| b"[{".contains(byte)).count();
    if depth < DEPTH / 8 && std::str::from_utf8(&text).is_ok() {
        assert_eq!(whole.is_ok(), serde_json::from_slice::<IgnoredAny>(&text).is_ok(), "{whole:?}");
    }
});

fn check(text: &[u8], piece: usize) -> Result<(), JsonError> {
    let mut check = JsonCheck::default();
    text.chunks(piece).for_each(|piece| check.push(piece));
    check.finish()
}

fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 4] = [
        br#"{"a":[{},[],"x\u00e4\""],"b":null}"#,
        b" -0.5e+10 ",
        b"[1,2 , true]\n",
        "\"\u{20ac}\u{1f600}\"".as_bytes(),
    ];
    texts.iter().map(|text| [&[0, 3], *text].concat()).collect()
}
