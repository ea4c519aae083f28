//! What stands behind the `?` of a path.

use std::collections::BTreeMap;

use axum::extract::Query as Pairs;
use axum::http::Uri;
use serde_json::{Map, Value};

use crate::limits::Whole;
use crate::server::fault::Fault;
use crate::server::openai::with_param;
use crate::study::{Look, Preprocessing};
use crate::wire::{Chosen, Files, Form, Row, Subject, option};

/// Fields of a query that nobody has read yet.
pub(super) struct Query(BTreeMap<String, String>);

/// How a study is to be looked at.
pub(super) struct StudyQuery {
    pub(super) look: Look,
    pub(super) preprocessing: Preprocessing,
    /// What was asked, in one spelling.
    pub(super) spelled: String,
}

/// The option that says how faithfully studies are read.
const PREPROCESSING: &str = "preprocessing";

impl Query {
    /// Reads all fields.
    ///
    /// # Errors
    /// Status 400 for what is no query, and for a field that is there twice.
    pub(super) fn of(uri: &Uri) -> Result<Self, Fault> {
        let pairs: Pairs<Vec<(String, String)>> = Pairs::try_from_uri(uri)
            .map_err(|_| Fault::field("query", "fields like name=value", "another text").hint("encode it"))?;
        let mut fields = BTreeMap::new();
        for (name, value) in pairs.0 {
            if fields.contains_key(&name) {
                return Err(Fault::field(&name, "one value", "two").hint("leave one of them out"));
            }
            fields.insert(name, value);
        }
        Ok(Self(fields))
    }

    /// A field, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A whole number, if it is there.
    ///
    /// # Errors
    /// Status 400 naming the field if it is no such number.
    pub(super) fn whole(&mut self, name: &str, range: Whole) -> Result<Option<u64>, Fault> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match text.parse().ok().filter(|number| range.contains(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::field(name, format!("a whole number, {range}"), text)
                .hint("choose a number in this range")),
        }
    }

    /// One of these words, if it is there.
    ///
    /// # Errors
    /// Status 400 naming the field if it is another one.
    pub(super) fn word(&mut self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Fault> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(Fault::field(name, words.join(" or "), text).hint("correct it, or leave it out")),
        }
    }

    /// Refuses what was not read.
    ///
    /// # Errors
    /// Status 400 naming the first such field.
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.0.into_keys().next() {
            Some(name) => Err(unknown(&name)),
            None => Ok(()),
        }
    }

    /// All other fields as options of a study.
    ///
    /// # Errors
    /// Status 400 naming a field that is none, or whose value cannot be.
    pub(super) fn study(self) -> Result<StudyQuery, Fault> {
        let mut fields = Map::new();
        for (name, text) in &self.0 {
            let row = option(name).filter(|row| is_of_query(row));
            let row = row.ok_or_else(|| unknown(name))?;
            let value = match (&row.form, text.as_str()) {
                (Form::Switch(..), "true") => Value::Bool(true),
                (Form::Switch(..), "false") => Value::Bool(false),
                _ => Value::String(text.clone()),
            };
            fields.insert(name.clone(), value);
        }
        let all = |subject| is_of_study(subject) || subject == Subject::Generation;
        let read = Chosen::of(&fields, all, Files::Refused).and_then(|(chosen, _)| chosen.options());
        let options = read.and_then(|options| options.look.check().map(|()| options)).map_err(of_query)?;
        let mut spelled = String::new();
        for (name, value) in &self.0 {
            // Neither can hold a line break that was not encoded as one.
            spelled.push_str(&format!("{name}={value:?}\n"));
        }
        Ok(StudyQuery { look: options.look, preprocessing: options.ask.preprocessing, spelled })
    }
}

/// An error of the library about a field of a query.
pub(super) fn of_query(error: crate::Error) -> Fault {
    let mut fault = with_param(error);
    if let Some(name) = fault.param.as_deref().and_then(|param| param.strip_prefix("fleming.")) {
        fault.param = Some(name.to_owned());
    }
    fault
}

/// Whether an option is a field of a query.
pub(super) fn is_of_query(row: &Row) -> bool {
    is_of_study(row.subject) || row.name == PREPROCESSING
}

fn is_of_study(subject: Subject) -> bool {
    matches!(subject, Subject::Look(_))
}

fn unknown(name: &str) -> Fault {
    let name = crate::error::shortened(name, 100);
    Fault::field(&name, "a field of this call", "an unknown one")
        .code("unknown_parameter")
        .hint("leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Plane;

    fn query(text: &str) -> Result<StudyQuery, Fault> {
        Query::of(&format!("/x?{text}").parse().unwrap())?.study()
    }

    #[test]
    fn options_of_a_study_are_read_as_the_table_says() {
        let read =
            query("plane=coronal&window=-600%2F1500&reverse=true&time=2&preprocessing=reference").unwrap();
        assert_eq!(
            (read.look.plane, read.look.time, read.look.reverse),
            (Some(Plane::Coronal), Some(2), true)
        );
        assert_eq!(read.preprocessing, Preprocessing::Reference);
        assert_eq!(
            read.spelled,
            query("time=2&reverse=true&preprocessing=reference&window=-600/1500&plane=coronal")
                .unwrap()
                .spelled
        );
        assert_eq!(query("").unwrap().look, Look::default());
        for (text, param) in [
            ("plane=oblique", "plane"),
            ("slices=0", "slices"),
            ("slices=-1", "slices"),
            ("slices=1e9", "slices"),
            ("frames=2&seconds=3", "frames"),
            ("reverse=yes", "reverse"),
            ("temperature=1", "temperature"),
            ("json_schema=%2Fetc%2Fpasswd", "json_schema"),
            ("max_pixels=9", "max_pixels"),
            ("x=1", "x"),
            ("plane=axial&plane=axial", "plane"),
        ] {
            let fault = query(text).err().unwrap();
            assert_eq!(
                (fault.status.as_u16(), fault.param.as_deref()),
                (400, Some(param)),
                "{text}: {}",
                fault.facts
            );
        }
    }

    #[test]
    fn numbers_and_words_are_named_when_they_are_wrong() {
        for text in ["index=-1", "index=1.5", "index=", "index=99999999999999999999", "index=x"] {
            let mut query = Query::of(&format!("/x?{text}").parse().unwrap()).unwrap();
            let fault = query.whole("index", Whole::new(0, 10)).unwrap_err();
            assert_eq!(fault.param.as_deref(), Some("index"));
        }
        let mut query = Query::of(&"/x?order=up&other=1".parse().unwrap()).unwrap();
        assert!(query.word("order", &["asc", "desc"]).is_err());
        assert_eq!(query.end().unwrap_err().param.as_deref(), Some("other"));
    }
}
