use super::*;

fn check(bytes: &[u8], piece: usize) -> Result<(), JsonError> {
    let mut check = JsonCheck::default();
    bytes.chunks(piece).for_each(|piece| check.push(piece));
    check.finish()
}

fn checked(bytes: &[u8]) -> Result<(), JsonError> {
    let verdict = check(bytes, 1);
    for piece in [2, 3, 1000] {
        assert_eq!(check(bytes, piece), verdict, "{bytes:?} in pieces of {piece}");
    }
    verdict
}

#[test]
fn values() {
    for text in [
        "0",
        " -0.5e+10 ",
        "12",
        "1E5",
        "true",
        "\nnull\r\n",
        "[]",
        "{}",
        "[1,2 , 3]",
        r#"{"a":[{},[],"x"],"b":null}"#,
        r#""\"\\\/\b\f\n\r\t\u00fF""#,
        "\"\u{7f}\u{fc}\u{20ac}\u{1f600}\"",
    ] {
        assert_eq!(checked(text.as_bytes()), Ok(()), "{text}");
    }
    let deep = [[b'['; DEPTH], [b']'; DEPTH]].concat();
    assert_eq!(checked(&deep), Ok(()));
    assert_eq!(checked(&[b'['; DEPTH + 1]), Err(JsonError::TooDeep { at: DEPTH as u64 }));
}

#[test]
fn everything_else() {
    for (text, at) in [
        (&b"01"[..], 1),
        (b"+1", 0),
        (b"NaN", 0),
        (b"[1,]", 3),
        (b"{1:2}", 1),
        (b"{\"a\" 1}", 5),
        (b"{\"a\":1,}", 7),
        (b"[}", 1),
        (b"[1}", 2),
        (b"{\"a\":1]", 6),
        (b"1.e5", 2),
        (b"tru ", 3),
        (b"\"\n\"", 1),
        (b"\"\\x\"", 2),
        (b"\"\\u00g0\"", 5),
        (b"\"\xff\"", 1),
        (b"\"\xc3\"", 2),
        (b"\"\xed\xa0\x80\"", 2),
        (b"\xef\xbb\xbf1", 0),
        (b",", 0),
    ] {
        let expected = if at == 1 && text == b"01" { JsonError::Trailing { at } } else { JsonError::Malformed { at } };
        assert_eq!(checked(text), Err(expected), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(checked(b"{} {}"), Err(JsonError::Trailing { at: 3 }));
    assert_eq!(checked(b" \n"), Err(JsonError::Empty));
    assert_eq!(checked(b""), Err(JsonError::Empty));
}

#[test]
fn what_is_cut_is_not_whole() {
    let text = br#"{"a":[{"x":-1.5e1,"y":true},[],"\u00e4\""]}"#;
    for len in 1..text.len() {
        assert_eq!(checked(&text[..len]), Err(JsonError::Cut { after_bytes: len as u64 }));
    }
    assert_eq!(checked(text), Ok(()));
    for cut in ["-", "1.", "1e", "1e+", "nul"] {
        assert!(matches!(checked(cut.as_bytes()), Err(JsonError::Cut { .. })), "{cut}");
    }
}
