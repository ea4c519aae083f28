//! `bindings/python/options.json` is the table of options. The Python package makes its types of it.

use std::fs;
use std::path::Path;

use fleming::wire::{Form, Row, Subject, options};
use serde_json::{Value, json};

/// What an option is about, in a word.
fn subject(row: &Row) -> &'static str {
    match row.subject {
        Subject::Engine => "engine",
        Subject::Look(modality) => modality.name(),
        Subject::Wording => "wording",
        Subject::Generation => "generation",
        _ => panic!("{}: a subject that the bindings do not know", row.name),
    }
}

/// What values it has, in a word, and the words that are all of them.
fn form(row: &Row) -> (&'static str, &'static [&'static str]) {
    let name = match &row.form {
        Form::Whole(..) => "whole",
        Form::Real(..) => "real",
        Form::Switch(..) => "switch",
        Form::Word(words, ..) => return ("word", words),
        Form::Text(..) | Form::Parsed(..) => "text",
        Form::Path(..) => "path",
        Form::Texts(..) => "texts",
        Form::Pairs(..) => "pairs",
        Form::Document(..) => "document",
        _ => panic!("{}: a form that the bindings do not know", row.name),
    };
    (name, &[])
}

fn table() -> String {
    let row = |row: &'static Row| -> Value {
        let (form, words) = form(row);
        json!({
            "name": row.name,
            "subject": subject(row),
            "form": form,
            "words": words,
            "help": row.help,
            "default": row.default(),
            "may_be": row.may_be(),
        })
    };
    let rows: Vec<_> = options().map(row).collect();
    serde_json::to_string_pretty(&rows).unwrap() + "\n"
}

#[test]
fn the_options_of_the_bindings_are_those_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings/python/options.json");
    let wanted = table();
    if std::env::var_os("FLEMING_WRITE_HEADER").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == wanted, "bindings/python/options.json is not the table: `make header` writes it");
}
