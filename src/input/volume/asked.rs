//! What may be asked of a volume in patient space.

use super::space::{Kind, Space};
use crate::error::{Error, Result};
use crate::limits::OptionName;
use crate::study::{Look, Windowing};
use crate::view::{Crop, Slab, VolumeForm};

/// Refuses a window that the file does not have.
pub(super) fn check_window(space: &Space, look: &Look) -> Result<()> {
    match look.window {
        Some(Windowing::File(number)) if space.file_window(number - 1).is_none() && !look.is_shared() => {
            let count = (0..).take_while(|number| space.file_window(*number).is_some()).count();
            let got = format!("file:{number} of a file that has {count}");
            Err(Error::request(format!("{}: window", space.name), "a window of the file", got)
                .hint("name a centre and a width"))
        }
        _ => Ok(()),
    }
}

/// The form that a volume is looked at in.
pub(super) fn form(space: &Space, depth: usize, look: &Look) -> Result<VolumeForm> {
    let refuse = |option: OptionName, wanted: &str, got: &str| {
        let error = Error::request(format!("{}: {option}", space.name), wanted, got);
        Err(error.hint(format!("leave {option} out")))
    };
    let usual = match (space.kind, space.colour, depth) {
        (_, true, _) | (Kind::Other, ..) | (_, _, 1) => VolumeForm::Native,
        _ => VolumeForm::Trained,
    };
    let form = look.form.unwrap_or(usual);
    match form {
        _ if look.shared => {}
        _ if look.axis.is_some() => {
            return refuse(Look::AXIS.option, "an array", "a volume whose planes have names; name a plane");
        }
        VolumeForm::Trained if space.colour => {
            return refuse(Look::FORM, "native, of slices in colour", form.name());
        }
        VolumeForm::Native if look.crop == Some(Crop::Foreground) => {
            return refuse(Look::CROP, "none, of slices in the form native", "foreground");
        }
        _ if space.colour && look.window.is_some() => {
            return refuse(Look::WINDOW, "a volume of values", "one of slices in colour");
        }
        _ if space.colour && look.slab.is_some_and(|slab| slab != Slab::None) => {
            return refuse(Look::SLAB, "a volume of values", "one of slices in colour");
        }
        _ => {}
    }
    Ok(if space.colour { VolumeForm::Native } else { form })
}

/// The first and the last slice that lie in a range of millimetres.
pub(super) fn within_mm(name: &str, slices_mm: &[f64], [from, to]: [f64; 2]) -> Result<[usize; 2]> {
    let inside = |place: &f64| (from..=to).contains(place);
    match (slices_mm.iter().position(inside), slices_mm.iter().rposition(inside)) {
        (Some(first), Some(last)) => Ok([first, last]),
        _ => {
            let wanted = match slices_mm {
                [] => "slices by number: where they lie is not known".into(),
                [first, .., last] => format!("a part of {first} mm to {last} mm"),
                [only] => format!("{only} mm"),
            };
            let error = Error::request(format!("{name}: range"), wanted, format!("{from} mm to {to} mm"));
            Err(error.hint("correct it, or leave it out"))
        }
    }
}
