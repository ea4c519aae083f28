//! Volumes in patient space, whatever format they come from: what a header says of one, and where its values come from.
//!
//! Directions and places are DICOM's: x rises to the patient's left, y to posterior, z to the head (LPS).

use crate::error::{Error, Result};
pub(in crate::input) use crate::study::VolumeKind as Kind;
use crate::study::Window;

/// What a header says of a volume.
#[derive(Debug, Clone)]
pub(in crate::input) struct Space {
    /// For messages.
    pub(in crate::input) name: String,
    /// Slices, rows and columns, as they are stored. A slice is what the file holds in one piece.
    pub(in crate::input) shape: [usize; 3],
    /// Where it lies in the patient; none if the header does not say.
    pub(in crate::input) placement: Option<Placement>,
    /// Distances of neighbouring slices, rows and columns in millimetres, where all three are known.
    pub(in crate::input) spacing_mm: Option<[f64; 3]>,
    pub(in crate::input) kind: Kind,
    /// The plane that is looked at where none is asked for.
    pub(in crate::input) usual_plane: UsualPlane,
    /// Of each slice, the windows that the file has for it, in the file's order; empty if it has none at all.
    pub(in crate::input) windows: Vec<Vec<Window>>,
    /// The lowest and the highest value to be displayed, as the header says; what NIfTI has in place of a window.
    pub(in crate::input) display: Option<[f64; 2]>,
    /// The modality value of pixels outside the picture. Statistics leave it out.
    pub(in crate::input) padding: Option<f32>,
    /// Of each slice, the name of its file; empty if all are in one.
    pub(in crate::input) parts: Vec<String>,
    /// Whether slices are colour pictures and hold no values.
    pub(in crate::input) colour: bool,
    /// What the reader has to say of the volume, one sentence each.
    pub(in crate::input) notes: Vec<String>,
}

/// Where the slices of a volume lie.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::input) struct Placement {
    /// In which direction slices, rows and columns follow one another; unit vectors. Of a series, that of the slices is the
    /// normal of their plane, turned to where places rise.
    pub(in crate::input) directions: [[f64; 3]; 3],
    /// The middle of the first pixel of the first slice in millimetres.
    pub(in crate::input) origin: [f64; 3],
    /// Of each slice, its place along the first direction in millimetres; they rise. Empty if distances are not known.
    pub(in crate::input) slices_mm: Vec<f64>,
}

/// The plane that is looked at where none is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) enum UsualPlane {
    /// That of the stored slices, as of a scanner's series.
    Stored,
    /// That across the axis whose spacing is at least twice the next; else the axial one.
    Thickest,
}

/// One slice, row by row.
pub(in crate::input) enum Samples<'a> {
    /// Modality values, such as Hounsfield units.
    Values(&'a [f32]),
    /// Colours, 8 bits each of red, green, blue.
    Rgb(&'a [u8]),
}

/// Where the slices of a volume come from.
pub(in crate::input) trait Values {
    /// Hands over each of these slices, counted as they are stored. `slices` rise, and only they are read where the format
    /// allows it. May be called again.
    ///
    /// # Errors
    /// If a slice cannot be read, or `take` fails.
    fn each(
        &mut self,
        slices: &[usize],
        take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
    ) -> Result<()>;
}

impl Space {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Input`] naming shape, spacing or places.
    pub(in crate::input) fn check(&self) -> Result<()> {
        let name = &self.name;
        if self.shape.contains(&0) {
            let got = format!("shape {:?}", self.shape);
            return Err(Error::input(name, "at least one slice, row and column", got)
                .hint("the header is damaged: copy or export the volume again"));
        }
        let wrong = |distance: &f64| !(distance.is_finite() && *distance > 0.0);
        if let Some(spacing) = self.spacing_mm.filter(|spacing| spacing.iter().any(wrong)) {
            let thing = format!("{name}: spacing");
            return Err(Error::input(thing, "millimetres above 0", format!("{spacing:?}"))
                .hint("correct the header, or write the volume as .npy"));
        }
        let Some(Placement { directions, origin, slices_mm }) = &self.placement else { return Ok(()) };
        let numbers = directions.iter().flatten().chain(origin).chain(slices_mm);
        if !(slices_mm.is_empty() || slices_mm.len() == self.shape[0])
            || numbers.clone().any(|number| !number.is_finite())
        {
            let wanted = "a finite place for each slice";
            return Err(Error::input(format!("{name}: position"), wanted, "something else")
                .hint("correct the header, or write the volume as .npy"));
        }
        Ok(())
    }

    /// The file's window of this number, counted from 0, for the slice in the middle; none if it is no lawful one.
    pub(in crate::input) fn file_window(&self, number: usize) -> Option<Window> {
        self.windows.get(self.windows.len() / 2)?.get(number).copied().filter(Window::is_sound)
    }
}

impl Placement {
    /// The place of a slice, row or column (axis 0, 1 or 2) along its direction, in millimetres.
    pub(super) fn place(&self, axis: usize, index: usize, spacing: f64) -> f64 {
        match axis {
            0 => self.slices_mm.get(index).copied().unwrap_or_default(),
            _ => dot(self.origin, self.directions[axis]) + index as f64 * spacing,
        }
    }
}

pub(in crate::input) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(in crate::input) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
