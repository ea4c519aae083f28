//! Which values of a picture are shown, and how (PS3.3 C.11.2, C.7.6.3.1.2, C.11.6.1.2).

use super::groups::Groups;
use super::layout::{Layout, Photometric, Sign};
use super::table::Table;
use super::tag;
use super::value::Item;
use crate::error::Result;
use crate::study::{Window, WindowFunction};

/// What a file says of how a frame is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Voi {
    /// Goes before windows.
    pub(super) table: Option<Table>,
    /// Those that are lawful.
    pub(super) windows: Vec<Window>,
    /// Whether there is one that is not.
    pub(super) has_unlawful: bool,
}

impl Voi {
    /// That of a frame.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if a table is not whole.
    pub(super) fn of(name: &str, groups: Groups<'_>, sign: Sign) -> Result<Self> {
        let item = groups.group(tag::FRAME_VOI_LUT_SEQUENCE);
        let table = item
            .first(tag::VOI_LUT_SEQUENCE)
            .map(|table| Table::read(&format!("{name}: VOILUTSequence"), table, sign))
            .transpose()?;
        let all = windows(item);
        let windows: Vec<_> = all.iter().copied().filter(Window::is_sound).collect();
        Ok(Self { table, has_unlawful: windows.len() < all.len(), windows })
    }
}

fn windows(item: &Item) -> Vec<Window> {
    let function = match item.word(tag::VOI_LUT_FUNCTION) {
        Some("LINEAR_EXACT") => WindowFunction::LinearExact,
        Some("SIGMOID") => WindowFunction::Sigmoid,
        _ => WindowFunction::Linear,
    };
    let (centers, widths) = (item.numbers(tag::WINDOW_CENTER), item.numbers(tag::WINDOW_WIDTH));
    let window = |(center, width): (f64, f64)| Window { center, width, function };
    centers.into_iter().zip(widths).map(window).collect()
}

/// Whether the lowest value is white: said by the photometric interpretation or by the presentation, and once where by both.
pub(super) fn is_inverse(set: &Item, layout: &Layout) -> bool {
    layout.photometric == Photometric::Monochrome1 || set.word(tag::PRESENTATION_LUT_SHAPE) == Some("INVERSE")
}
