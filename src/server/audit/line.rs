//! JSON in one line that nothing in it can end, and that a terminal shows as it is.

use std::fmt::Write as _;

use serde::Serialize;

/// A value as one line with its end. JSON escapes the control characters of ASCII; the others, and those that turn the
/// direction of writing or end a line for some readers, are escaped here. Such a character only occurs inside a JSON string.
pub(super) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut line = String::with_capacity(json.len() + 1);
    for letter in json.chars() {
        match is_hidden(letter) {
            true => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    // Writing to a string cannot fail.
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            false => line.push(letter),
        }
    }
    line.push('\n');
    Ok(line)
}

fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_ends_a_line_or_turns_it() {
        let text = "a\r\nb\u{1b}[2J\u{7f}\u{85}\u{9b}1m\u{2028}\u{202e}\u{feff}ä中\u{1f600}\"\\";
        let line = line(&text).unwrap();
        let wanted = r#""a\r\nb\u001b[2J\u007f\u0085\u009b1m\u2028\u202e\ufeffä中😀\"\\""#;
        assert_eq!(line, format!("{wanted}\n"));
    }

    proptest! {
        #[test]
        fn a_line_says_what_was_put_in(text in any::<String>()) {
            let line = line(&[&text]).unwrap();
            let body = line.strip_suffix('\n').unwrap();
            prop_assert!(!body.contains(is_hidden), "{body:?}");
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(body).unwrap(), [text]);
        }
    }
}
