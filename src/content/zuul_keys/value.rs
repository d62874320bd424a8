//! JSON values in memory that is wiped, and the one way in which they are written.

use std::fmt;
use std::io::{self, Write};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use zeroize::Zeroizing;

/// Whole numbers from here on are not all the same as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value. Fields are in the order of the text, and may come twice, until [`Value::sort`].
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(Zeroizing<String>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Why a value has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ambiguous {
    Duplicate,
    Number,
}

impl Value {
    /// The fields of an object.
    pub(super) fn fields(self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The field with this name of an object.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&Zeroizing<String>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Sorts the fields of all objects.
    pub(super) fn sort(&mut self) -> Result<(), Ambiguous> {
        match self {
            Self::List(values) => values.iter_mut().try_for_each(Self::sort),
            Self::Object(fields) => {
                sort_fields(fields)?;
                fields.iter_mut().try_for_each(|(_, value)| value.sort())
            }
            // A whole number too large for 64 bits was read as a float, which is another number.
            Self::Number(number) if number.as_f64().is_some_and(|float| number.is_f64() && float.abs() >= EXACT) => {
                Err(Ambiguous::Number)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Null => out.write_all(b"null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Text(text) => write_text(out, text),
            Self::List(values) => {
                out.write_all(b"[")?;
                for (place, value) in values.iter().enumerate() {
                    out.write_all(if place == 0 { b"" } else { b", " })?;
                    value.write(out)?;
                }
                out.write_all(b"]")
            }
            Self::Object(fields) => {
                out.write_all(b"{")?;
                for (place, (name, value)) in fields.iter().enumerate() {
                    out.write_all(if place == 0 { b"" } else { b", " })?;
                    write_text(out, name)?;
                    out.write_all(b": ")?;
                    value.write(out)?;
                }
                out.write_all(b"}")
            }
        }
    }
}

/// Sorts fields, and refuses two with one name.
pub(super) fn sort_fields(fields: &mut [(String, Value)]) -> Result<(), Ambiguous> {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    if fields.windows(2).any(|pair| pair[0].0 == pair[1].0) { Err(Ambiguous::Duplicate) } else { Ok(()) }
}

/// Writes a string, without a copy of it.
pub(super) fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Value::Object(fields))
    }
}
