//! Whether a stream is exactly one JSON value (RFC 8259), in UTF-8.

/// Deepest nesting of arrays and objects.
pub const DEPTH: usize = 512;

/// Checks a JSON text as it streams by, in constant memory. Keys that come twice in an object are not seen.
#[derive(Debug, Default)]
pub struct JsonCheck {
    state: State,
    nesting: Nesting,
    text: Utf8,
    seen: u64,
    failed: Option<JsonError>,
}

/// Why bytes are not one JSON value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// There is nothing but white space.
    #[error("there is no JSON value")]
    Empty,
    /// The end is missing.
    #[error("the JSON value breaks off after {after_bytes} bytes")]
    Cut {
        /// The bytes before the end.
        after_bytes: u64,
    },
    /// Something stands where it cannot.
    #[error("byte {at} is not JSON")]
    Malformed {
        /// The byte, counted from 0.
        at: u64,
    },
    /// Nested deeper than anybody nests.
    #[error("byte {at} begins more than 512 nested JSON values")]
    TooDeep {
        /// The byte, counted from 0.
        at: u64,
    },
    /// The value is whole, but it is not all.
    #[error("the JSON value ends before byte {at}, but something follows")]
    Trailing {
        /// The byte, counted from 0.
        at: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Before the whole value.
    #[default]
    Start,
    /// Before a value.
    Value,
    /// After `[`.
    FirstElement,
    /// After `{`.
    FirstKey,
    /// After a comma in an object.
    Key,
    /// After a key.
    Colon,
    /// In a string; true if it is a key.
    String(bool),
    /// After a backslash.
    Escape(bool),
    /// In `\u`, with so many digits to come.
    Hex(bool, u8),
    /// In a number.
    Number(Number),
    /// In `true`, `false` or `null`: what is still to come.
    Literal(&'static [u8]),
    /// After a value in an array or object.
    AfterValue,
    /// After the whole value.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Power)
    }
}

/// The open arrays (0) and objects (1), a bit each.
#[derive(Debug)]
struct Nesting {
    bits: [u64; DEPTH / 64],
    depth: usize,
}

impl Default for Nesting {
    fn default() -> Self {
        Self { bits: [0; DEPTH / 64], depth: 0 }
    }
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        let bits = self.bits.get_mut(self.depth / 64).ok_or(Fault::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *bits = if object { *bits | bit } else { *bits & !bit };
        self.depth += 1;
        Ok(())
    }

    /// True if the innermost is an object; `None` if nothing is open.
    fn innermost(&self) -> Option<bool> {
        let last = self.depth.checked_sub(1)?;
        Some(self.bits[last / 64] >> (last % 64) & 1 == 1)
    }
}

/// The bytes that a character in a string still needs.
#[derive(Debug, Clone, Copy, Default)]
struct Utf8 {
    missing: u8,
    /// Bounds of the next byte.
    low: u8,
    high: u8,
}

impl Utf8 {
    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.missing > 0 {
            if !(self.low..=self.high).contains(&byte) {
                return Err(Fault::Malformed);
            }
            *self = Self { missing: self.missing - 1, low: 0x80, high: 0xbf };
            return Ok(());
        }
        let (missing, low, high) = match byte {
            0x00..=0x7f => (0, 0, 0),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return Err(Fault::Malformed),
        };
        *self = Self { missing, low, high };
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Malformed,
    TooDeep,
    Trailing,
}

impl JsonCheck {
    /// Takes the next bytes. After bytes that are not JSON, it takes no more notice.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.failed.is_none() && !rest.is_empty() {
            let taken = match self.state {
                State::String(_) if self.text.missing == 0 => plain(rest),
                _ => 0,
            };
            rest = &rest[taken..];
            self.seen += taken as u64;
            if let Some((&byte, after)) = rest.split_first() {
                self.take(byte);
                rest = after;
            }
        }
    }

    /// The verdict, after the last byte.
    pub fn finish(mut self) -> Result<(), JsonError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let State::Number(number) = self.state
            && number.may_end()
        {
            self.state = self.after_value();
        }
        match self.state {
            State::End => Ok(()),
            State::Start => Err(JsonError::Empty),
            _ => Err(JsonError::Cut { after_bytes: self.seen }),
        }
    }

    fn take(&mut self, byte: u8) {
        let at = self.seen;
        match self.step(byte) {
            Ok(state) => self.state = state,
            Err(Fault::Malformed) => self.failed = Some(JsonError::Malformed { at }),
            Err(Fault::TooDeep) => self.failed = Some(JsonError::TooDeep { at }),
            Err(Fault::Trailing) => self.failed = Some(JsonError::Trailing { at }),
        }
        self.seen += 1;
    }

    fn step(&mut self, byte: u8) -> Result<State, Fault> {
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            State::String(key) => self.string(byte, key),
            State::Escape(key) => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(State::String(key)),
                b'u' => Ok(State::Hex(key, 4)),
                _ => Err(Fault::Malformed),
            },
            State::Hex(_, _) if !byte.is_ascii_hexdigit() => Err(Fault::Malformed),
            State::Hex(key, 1) => Ok(State::String(key)),
            State::Hex(key, digits) => Ok(State::Hex(key, digits - 1)),
            State::Literal(rest) => match rest.split_first() {
                Some((expected, [])) if *expected == byte => Ok(self.after_value()),
                Some((expected, rest)) if *expected == byte => Ok(State::Literal(rest)),
                _ => Err(Fault::Malformed),
            },
            State::Number(number) => match number.next(byte) {
                Some(number) => Ok(State::Number(number)),
                None if number.may_end() => {
                    self.state = self.after_value();
                    self.step(byte)
                }
                None => Err(Fault::Malformed),
            },
            state if space => Ok(state),
            State::End => Err(Fault::Trailing),
            State::FirstElement if byte == b']' => self.close(false),
            State::FirstKey if byte == b'}' => self.close(true),
            State::Start | State::Value | State::FirstElement => self.value(byte),
            State::FirstKey | State::Key if byte == b'"' => Ok(State::String(true)),
            State::Colon if byte == b':' => Ok(State::Value),
            State::AfterValue => self.between(byte),
            State::FirstKey | State::Key | State::Colon => Err(Fault::Malformed),
        }
    }

    fn value(&mut self, byte: u8) -> Result<State, Fault> {
        Ok(match byte {
            b'[' | b'{' => {
                self.nesting.push(byte == b'{')?;
                if byte == b'{' { State::FirstKey } else { State::FirstElement }
            }
            b'"' => State::String(false),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => return Err(Fault::Malformed),
        })
    }

    fn between(&mut self, byte: u8) -> Result<State, Fault> {
        match (byte, self.nesting.innermost()) {
            (b',', Some(true)) => Ok(State::Key),
            (b',', _) => Ok(State::Value),
            (b']', _) => self.close(false),
            (b'}', _) => self.close(true),
            _ => Err(Fault::Malformed),
        }
    }

    fn close(&mut self, object: bool) -> Result<State, Fault> {
        if self.nesting.innermost() != Some(object) {
            return Err(Fault::Malformed);
        }
        self.nesting.depth -= 1;
        Ok(self.after_value())
    }

    fn string(&mut self, byte: u8, key: bool) -> Result<State, Fault> {
        self.text.take(byte)?;
        match byte {
            b'"' if key => Ok(State::Colon),
            b'"' => Ok(self.after_value()),
            b'\\' => Ok(State::Escape(key)),
            0..=0x1f => Err(Fault::Malformed),
            _ => Ok(State::String(key)),
        }
    }

    fn after_value(&self) -> State {
        if self.nesting.depth == 0 { State::End } else { State::AfterValue }
    }
}

/// The number of bytes before the next one that is more than a character of a string.
fn plain(bytes: &[u8]) -> usize {
    let special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    bytes.iter().position(special).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests;
