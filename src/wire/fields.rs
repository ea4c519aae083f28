//! Fields of a question that are not read: a label is passed over, what looks like more is refused.

use super::options::{option, options};
use super::study::KINDS;
use crate::error::{Error, Result};
use crate::limits::Subject;

/// Fields that a question is made of, beside files and options.
pub(super) const OWN: [&str; 3] = ["question", "history", "studies"];
/// What is chosen for a whole run, and no option of the table.
const OF_A_RUN: [&str; 5] = ["model", "session", "trace", "concurrency", "shard"];

/// Refuses a field that would change the answer if it were read: what holds for a whole run, and a slip in the name of a
/// field.
///
/// # Errors
/// [`Error::Request`] naming the field.
pub(super) fn check_label(field: &str) -> Result<()> {
    let whole_run = option(field).filter(|row| row.subject == Subject::Engine).map(|row| row.long());
    let whole_run = whole_run.or_else(|| OF_A_RUN.contains(&field).then(|| field.to_owned()));
    if let Some(long) = whole_run {
        return Err(Error::request(field, "a field of one question", "what holds for all of them")
            .hint(format!("give --{long} on the command line; a label needs another name")));
    }
    let plain = field.to_lowercase().replace('-', "_");
    let most = if plain.chars().count() > 4 { 2 } else { 1 };
    let known = options().filter(|row| row.subject != Subject::Engine).map(|row| row.name.to_owned());
    let files = KINDS.iter().flat_map(|(kind, _)| [(*kind).to_owned(), format!("{kind}s")]);
    let near = known.chain(files).chain(OWN.map(str::to_owned)).find(|name| distance(&plain, name) <= most);
    match near {
        Some(name) => {
            Err(Error::request(field, "a field that is read, or a label", format!("nearly {name}"))
                .hint(format!("write {name}; a label needs another name")))
        }
        None => Ok(()),
    }
}

/// How many letters are to be put in, taken out or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, letter) in (1..).zip(one.chars()) {
        let mut before = std::mem::replace(&mut row[0], number);
        for place in 0..other.len() {
            let changed = before + usize::from(letter != other[place]);
            before = row[place + 1];
            row[place + 1] = changed.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_what_holds_for_a_run_are_refused() {
        for (field, hint) in [
            ("max_new_token", "write max_new_tokens"),
            ("max-new-tokens", "write max_new_tokens"),
            ("Question", "write question"),
            ("temprature", "write temperature"),
            ("vidoe", "write video"),
            ("max_pixels", "--max-pixels"),
            ("session", "--session"),
        ] {
            let error = check_label(field).unwrap_err();
            assert!(error.facts().thing == field && error.facts().hint.contains(hint), "{error}");
        }
        for label in
            ["fact", "source", "split", "difficulty", "expected", "type", "date", "comment", "x", "ü"]
        {
            check_label(label).unwrap();
        }
    }

    #[test]
    fn words_differ_by_letters() {
        let table =
            [("", "", 0), ("a", "", 1), ("abc", "abd", 1), ("abc", "xabc", 1), ("kitten", "sitting", 3)];
        for (one, other, letters) in table {
            assert_eq!([distance(one, other), distance(other, one)], [letters; 2]);
        }
    }
}
