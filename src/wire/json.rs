//! JSON in which a name stands for one thing.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Reads JSON. A field that is there twice in an object is refused: readers differ in which one they take.
///
/// # Errors
/// What is wrong and where.
pub fn json(text: &str) -> serde_json::Result<Value> {
    Ok(serde_json::from_str::<Single>(text)?.0)
}

/// Reads a JSON object, as [`json`] reads it.
///
/// # Errors
/// What is wrong and where, or that it is no object.
pub fn json_object(text: &str) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_value(json(text)?)
}

/// A value in whose objects each field is there once.
struct Single(Value);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(OfSingle).map(Single)
    }
}

struct OfSingle;

impl<'de> Visitor<'de> for OfSingle {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Single(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let Single(value) = object.next_value()?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field {name} twice")));
            }
            fields.insert(name, value);
        }
        Ok(fields.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_there_once() {
        let whole = r#"{"a": [null, true, -1, 18446744073709551615, 1.5, "ü", {"b": {}}], "c": []}"#;
        assert_eq!(json(whole).unwrap(), serde_json::from_str::<Value>(whole).unwrap());
        for twice in [r#"{"a": 1, "a": 1}"#, r#"{"c": [{"a": 1, "b": 2, "a": null}]}"#] {
            assert!(json(twice).unwrap_err().to_string().contains("the field a twice"));
        }
        assert!(json("{\"a\": 1} x").is_err() && json("").is_err() && json_object("[1]").is_err());
        assert!(json(&"[".repeat(10_000)).is_err(), "nesting ends at a depth of 128");
    }
}
