//! How the values of a volume become grey, in types and in words.

use std::fmt;
use std::str::FromStr;

use super::volume::{Window, WindowFunction};
use crate::error::Error;
use crate::limits::Whole;

/// How the values of a slice become 0..255. Its text is `own-range`, the name of a preset, or `C/W`, centre and width, with
/// DICOM's name of a function behind it where that is not `linear-exact`.
///
/// ```
/// use fleming::{Window, Windowing};
///
/// let lung = Windowing::Window(Window::linear_exact(-600.0, 1500.0));
/// assert_eq!("lung".parse::<Windowing>()?, lung);
/// assert_eq!("-600/1500".parse::<Windowing>()?, lung);
/// # Ok::<(), fleming::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Windowing {
    /// From the lowest to the highest value of each slice, as the reference script does it.
    OwnRange,
    /// By this window.
    Window(Window),
    /// By the window of this number that the file itself has, counted from 1.
    File(usize),
}

impl Windowing {
    /// What its text may be, for messages and help.
    pub(crate) const WANTED: &str = "a centre and a width, such as -600/1500 or 40/400/linear (linear, linear-exact or sigmoid), \
                                     or lung, mediastinum, soft, bone, brain, liver, wide, own-range, or file:1 for the first of \
                                     the file's own";
    /// What [`Windowing::is_sound`] asks, in words.
    pub(super) const SOUND: &str = "a finite centre and a finite width above 0, of a linear window at least 1, or a number from 1 \
                                    of the file's own windows";

    /// Whether its numbers may be.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Windowing::OwnRange => true,
            Windowing::Window(window) => window.is_sound(),
            Windowing::File(number) => NUMBER.contains(*number as u64),
        }
    }
}

/// Of the windows of a file.
const NUMBER: Whole = Whole::new(1, u32::MAX as u64);

const OWN_RANGE: &str = "own-range";
const FILE: &str = "file";

/// Windows of CT by the names that radiologists know them by: centre and width in Hounsfield units.
const PRESETS: [(&str, f64, f64); 7] = [
    ("lung", -600.0, 1500.0),
    ("mediastinum", 50.0, 350.0),
    ("soft", 40.0, 400.0),
    ("bone", 500.0, 2000.0),
    ("brain", 40.0, 80.0),
    ("liver", 60.0, 150.0),
    ("wide", 0.0, 2000.0),
];

/// DICOM's names of functions, in small letters. The second is what a window without a function means.
const FUNCTIONS: [(&str, WindowFunction); 3] = [
    ("linear", WindowFunction::Linear),
    ("linear-exact", WindowFunction::LinearExact),
    ("sigmoid", WindowFunction::Sigmoid),
];

impl FromStr for Windowing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let preset = PRESETS.iter().find(|(name, ..)| *name == text);
        match (text, preset) {
            (OWN_RANGE, _) => Ok(Windowing::OwnRange),
            (_, Some(&(_, center, width))) => Ok(Windowing::Window(Window::linear_exact(center, width))),
            _ => file(text).or_else(|| window(text).map(Windowing::Window)).ok_or_else(|| {
                Error::request("window", Self::WANTED, text).hint("leave it out for each slice's own range")
            }),
        }
    }
}

/// One of the file's own windows; the first where no number stands.
fn file(text: &str) -> Option<Windowing> {
    let number = text.strip_prefix(FILE)?;
    let number = if number.is_empty() { 1 } else { number.strip_prefix(':')?.parse().ok()? };
    Some(Windowing::File(number)).filter(Windowing::is_sound)
}

/// A window from its numbers.
fn window(text: &str) -> Option<Window> {
    let mut words = text.split('/').map(str::trim);
    let (center, width) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let function = match (words.next(), words.next()) {
        (None, _) => WindowFunction::LinearExact,
        (Some(name), None) => FUNCTIONS.iter().find(|(known, _)| *known == name)?.1,
        _ => return None,
    };
    let window = Window { center, width, function };
    window.is_sound().then_some(window)
}

impl fmt::Display for Windowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { center, width, function } = match self {
            Windowing::OwnRange => return f.write_str(OWN_RANGE),
            Windowing::File(number) => return write!(f, "{FILE}:{number}"),
            Windowing::Window(window) => window,
        };
        let name = FUNCTIONS.iter().find(|(_, known)| known == function).map_or("", |(name, _)| name);
        write!(f, "{center}/{width}/{name}")
    }
}

impl From<Window> for Windowing {
    fn from(window: Window) -> Self {
        Windowing::Window(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        for (text, windowing) in [
            ("own-range", Windowing::OwnRange),
            ("file", Windowing::File(1)),
            ("file:3", Windowing::File(3)),
            ("40/400", Window::linear_exact(40.0, 400.0).into()),
            (" 40 / 400 / linear", Window::linear(40.0, 400.0).into()),
            ("-1e2/0.5/sigmoid", Window::sigmoid(-100.0, 0.5).into()),
        ] {
            assert_eq!(text.parse::<Windowing>().unwrap(), windowing, "{text}");
            assert_eq!(windowing.to_string().parse::<Windowing>().unwrap(), windowing, "{text}");
        }
        for wrong in [
            "",
            "40",
            "40/0",
            "file:0",
            "file3",
            "40/0.5/linear",
            "40/400/cubic",
            "40/400/linear/x",
            "nan/1",
            "1/inf",
            "Lung",
        ] {
            let error = wrong.parse::<Windowing>().unwrap_err();
            assert_eq!(error.facts().thing, "window", "{wrong}");
        }
    }

    #[test]
    fn presets_are_windows_that_the_message_names() {
        for (name, center, width) in PRESETS {
            let window = Windowing::Window(Window::linear_exact(center, width));
            assert_eq!(name.parse::<Windowing>().unwrap(), window);
            assert!(Windowing::WANTED.contains(name), "{name}");
        }
    }
}
