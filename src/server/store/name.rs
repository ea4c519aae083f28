//! Names that clients give their files. They are shown, and lead nowhere.

/// Bytes of a name.
const LONGEST: usize = 255;
/// Letters of a name's end that are kept when it is too long: what programs know a file by.
const ENDING: usize = 16;
/// What a file without a name is called.
const NAMELESS: &str = "file";

/// A name without folders and without letters that cannot be seen or that turn the direction of writing, of at most 255
/// bytes.
pub(in crate::server) fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|letter| !is_hidden(*letter)).collect();
    match seen.trim() {
        "" | "." | ".." => NAMELESS.into(),
        name if name.len() <= LONGEST => name.into(),
        name => {
            let ending =
                name.rfind('.').filter(|dot| name.len() - dot <= ENDING).map_or("", |dot| &name[dot..]);
            let room = LONGEST - ending.len() - '…'.len_utf8();
            let cut = (0..=room).rev().find(|place| name.is_char_boundary(*place)).unwrap_or_default();
            format!("{}…{ending}", &name[..cut])
        }
    }
}

/// Control characters, and those of Unicode that are not seen or that turn the direction of writing.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_nowhere_and_show_what_they_are() {
        for (given, shown) in [
            ("scan.nii.gz", "scan.nii.gz"),
            ("../x", "x"),
            ("/etc/passwd", "passwd"),
            ("C:\\scans\\ct.dcm", "ct.dcm"),
            ("..", "file"),
            ("a/..", "file"),
            ("", "file"),
            ("  ", "file"),
            ("a\0b\n\u{1b}[31m.png", "ab[31m.png"),
            ("photo\u{202e}gnp.exe", "photognp.exe"),
            ("Röntgen 胸部.png", "Röntgen 胸部.png"),
        ] {
            assert_eq!(clean_name(given), shown, "{given:?}");
        }
        let long = clean_name(&format!("{}.nii.gz", "ä".repeat(4096)));
        assert!(long.len() <= LONGEST && long.ends_with("….gz"), "{long}");
        assert!(clean_name(&"x".repeat(4096)).len() <= LONGEST);
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_that_can_be_shown(name in "\\PC{0,20}[\\x00-\\x1f/\\\\.\u{202e}\u{200f}]{0,9}\\PC{0,400}") {
            let shown = clean_name(&name);
            prop_assert!((1..=LONGEST).contains(&shown.len()));
            prop_assert!(!shown.contains(['/', '\\']) && !shown.chars().any(is_hidden));
            prop_assert!(shown != "." && shown != "..");
            prop_assert_eq!(clean_name(&shown), shown);
        }
    }
}
