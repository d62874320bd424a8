//! Text that leaves the service: in the environment of a hook, in a message to a webhook, in a label of a metric, on the
//! page, in the status file.
//!
//! What commands, servers and names say may hold anything. It is made safe once, where it comes in: what gives it out
//! takes this type and no other.

use std::borrow::Borrow;
use std::ffi::OsString;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Bytes of a text that stay from its beginning, and from its end.
const HALF: usize = 4096;

/// Text without control characters but for the ends of lines, and of bounded length.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PlainText(String);

impl PlainText {
    /// The longest text in bytes.
    pub const MOST: usize = 2 * HALF + 64;
}

/// Moves the cursor, ends a C string, or turns the direction of what follows it.
fn is_odd(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (letter.is_control() && letter != '\n')
}

/// Leaves out the middle of a text that is too long: its beginning says what failed, its end why.
fn cut(text: String) -> String {
    if text.len() <= PlainText::MOST {
        return text;
    }
    let (head, tail) = (text.floor_char_boundary(HALF), text.ceil_char_boundary(text.len() - HALF));
    format!("{} [... {} bytes ...] {}", &text[..head], tail - head, &text[tail..])
}

impl From<&str> for PlainText {
    fn from(text: &str) -> Self {
        // Escaping makes it longer: the bound is for what comes of it, and what is cut anyway is not looked at.
        let text = cut(text.to_owned());
        if !text.contains(is_odd) {
            return Self(text);
        }
        let mut plain = String::with_capacity(text.len());
        for letter in text.chars() {
            if is_odd(letter) { plain.extend(letter.escape_default()) } else { plain.push(letter) }
        }
        Self(cut(plain))
    }
}

impl From<String> for PlainText {
    fn from(text: String) -> Self {
        Self::from(&text[..])
    }
}

impl From<PlainText> for String {
    fn from(text: PlainText) -> Self {
        text.0
    }
}

impl From<PlainText> for OsString {
    fn from(text: PlainText) -> Self {
        text.0.into()
    }
}

impl Deref for PlainText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PlainText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_are_escaped_and_others_stay() {
        let text = PlainText::from("a\0b\u{1b}[2J\r\nc\u{202e}d \u{fffd} äöü\t");
        assert_eq!(&*text, "a\\u{0}b\\u{1b}[2J\\r\nc\\u{202e}d \u{fffd} äöü\\t");
        assert_eq!(PlainText::from(&*text), text, "it is plain already");
    }

    #[test]
    fn the_middle_of_a_long_text_is_left_out() {
        for letter in ["x", "ä", "\0", "\u{10ffff}"] {
            let text = PlainText::from(format!("begin {} end", letter.repeat(100_000)));
            assert!(text.len() <= PlainText::MOST, "{}", text.len());
            assert!(
                text.starts_with("begin ") && text.ends_with(" end") && text.contains(" bytes ...] "),
                "{letter:?}"
            );
            assert_eq!(PlainText::from(&*text), text, "it is plain already");
        }
    }

    #[test]
    fn what_is_read_from_a_file_is_made_plain_too() {
        let read: PlainText = serde_json::from_str(r#""a\u0000b""#).expect("JSON");
        assert_eq!(&*read, "a\\u{0}b");
    }
}
