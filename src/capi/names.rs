//! What options are called in C. The library's messages have the names of the command line.

use crate::wire::options;
use crate::{Error, Facts};

/// Options by their long names, and other things by their names in messages, whose field is not called like the option in
/// JSON.
const FIELDS: [(&str, &str); 7] = [
    ("stop", "stops"),
    ("stop texts", "stops"),
    ("choice", "choices"),
    ("timeout", "timeout_ms"),
    ("logit-bias", "biases"),
    ("logprobs", "top_logprobs"),
    ("provider-option", "provider_options"),
];

/// The field of an option.
fn field(long: &str) -> Option<&'static str> {
    match FIELDS.iter().find(|(name, _)| *name == long) {
        Some((_, field)) => Some(field),
        // In a message it is the whole prompt; the option is called `instruction` here.
        None if long == "prompt" => None,
        None => options().find(|row| row.long() == long).map(|row| row.name),
    }
}

/// The facts of a failure with the names of C. What a file is called stays.
pub(super) fn facts_in_c(error: &Error) -> Facts {
    let mut facts = error.facts().clone();
    if let Error::Request(_) = error {
        facts.thing = thing_in_c(&facts.thing);
    }
    facts.wanted = in_c(&facts.wanted);
    facts.hint = in_c(&facts.hint);
    facts
}

/// The thing of a failure: an option, perhaps after the name of a study and before that of a detail.
fn thing_in_c(thing: &str) -> String {
    let start = thing.rfind(": ").map_or(0, |colon| colon + 2);
    let (study, option) = thing.split_at(start);
    if let Some(field) = field(option) {
        return format!("{study}{field}");
    }
    match option.split_once(' ').and_then(|(first, rest)| Some((field(first)?, rest))) {
        Some((field, rest)) => format!("{study}{field} {rest}"),
        None => thing.to_owned(),
    }
}

/// A text of the library's, in which `--max-pixels` and `max-pixels` become `max_pixels`.
pub(super) fn in_c(text: &str) -> String {
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '/' | '.');
    let renamed = |piece: &str| {
        // What ends a sentence is no part of a name.
        let name = piece.trim_end_matches(|letter| !of_name(letter)).trim_end_matches(['.', '-']);
        let known = match name.strip_prefix("--") {
            Some(long) => field(long),
            None if name.contains('-') => field(name),
            None => None,
        };
        known.unwrap_or(name).to_owned() + &piece[name.len()..]
    };
    text.split_inclusive(|letter| !of_name(letter)).map(renamed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_called_as_their_fields() {
        for (text, wanted) in [
            ("", ""),
            ("scale it down, or raise --max-pixels", "scale it down, or raise max_pixels"),
            ("leave max-frames or --range out.", "leave max_frames or range out."),
            (
                "`--provider-option enable_cuda_graph=false` runs",
                "`provider_options enable_cuda_graph=false` runs",
            ),
            ("above --timeout, --stop... and - -- .", "above timeout_ms, stops... and - -- ."),
            // Neither an option of ours nor a name.
            (
                "export with --precision bf16; a 16-bit top-k.png",
                "export with --precision bf16; a 16-bit top-k.png",
            ),
            ("/tmp/max-pixels and größer-als --max-pixel", "/tmp/max-pixels and größer-als --max-pixel"),
        ] {
            assert_eq!(in_c(text), wanted);
        }
        for (thing, wanted) in [
            ("max-new-tokens", "max_new_tokens"),
            ("stop texts", "stops"),
            ("a: b.nii: window", "a: b.nii: window"),
            ("clip.mp4: max-frames", "clip.mp4: max_frames"),
            ("provider-option use_arena", "provider_options use_arena"),
            ("prompt", "prompt"),
            ("question", "question"),
        ] {
            assert_eq!(thing_in_c(thing), wanted);
        }
        let of_a_file = Error::input("timeout", "a file", "none").hint("raise --max-pixels");
        let facts = facts_in_c(&of_a_file);
        assert_eq!((facts.thing.as_str(), facts.hint.as_str()), ("timeout", "raise max_pixels"));
    }

    /// Every option is a field of a struct of the header, or goes through a text of JSON by this name.
    #[test]
    fn every_option_is_a_field() {
        let header = include_str!("../../include/fleming.h");
        for row in options().filter(|row| row.name != "prompt") {
            let field = field(&row.long()).unwrap();
            let is_field = [";", "[3];"].iter().any(|end| {
                header.contains(&format!(" {field}{end}")) || header.contains(&format!("*{field}{end}"))
            });
            let is_look = matches!(row.subject, crate::wire::Subject::Look(_));
            assert!(is_field || is_look, "{field}");
        }
    }
}
