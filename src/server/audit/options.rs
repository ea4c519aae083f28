//! The options of a request as the audit keeps them: numbers, switches and words of a fixed list as they are, of texts only
//! their size. A text may name a patient.

use serde_json::{Map, Value, json};

use crate::wire::{self, Form, Options};

/// Names and values of the options that were set.
pub(super) fn without_content(options: &Map<String, Value>) -> Map<String, Value> {
    options.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect()
}

fn shown(name: &str, value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) if is_harmless(name, text) => value.clone(),
        // Windows, ranges, crops: numbers.
        Value::Array(all) if all.len() <= 8 && all.iter().all(Value::is_number) => value.clone(),
        Value::String(text) => json!({"bytes": text.len()}),
        Value::Array(_) | Value::Object(_) => json!({"bytes": value.to_string().len()}),
    }
}

/// Whether a text is one of the words that the option has, or of the form that it has.
fn is_harmless(name: &str, text: &str) -> bool {
    match wire::option(name).map(|row| &row.form) {
        Some(Form::Word(words, ..)) => words.contains(&text),
        Some(Form::Parsed(_, set, _)) => set(&mut Options::default(), text),
        Some(Form::Whole(..) | Form::Real(..)) => text.parse::<f64>().is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_leave_their_size_alone() {
        for (name, value, wanted) in [
            ("max_new_tokens", json!(12), json!(12)),
            ("ignore_eos", json!(true), json!(true)),
            ("seed", json!(null), json!(null)),
            ("plane", json!("coronal"), json!("coronal")),
            ("plane", json!("John Doe"), json!({"bytes": 8})),
            ("window", json!([40, 400]), json!([40, 400])),
            ("window", json!("John Doe"), json!({"bytes": 8})),
            ("temperature", json!("0.5"), json!("0.5")),
            ("series", json!("1.2.3"), json!({"bytes": 5})),
            ("choice", json!(["John", "Jane"]), json!({"bytes": 15})),
            ("grammar", json!("start: \"x\""), json!({"bytes": 10})),
            ("unheard_of", json!("John Doe"), json!({"bytes": 8})),
        ] {
            let options = Map::from_iter([(name.to_owned(), value.clone())]);
            assert_eq!(without_content(&options)[name], wanted, "{name} {value}");
        }
    }
}
