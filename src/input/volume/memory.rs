//! Volumes that the caller already has.

use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::grid::{Grid, SliceChoice, Slices};
use super::number::{Number, rescaled};
use super::space::{Placement, Samples, Space, UsualPlane, Values, dot};
use super::stack::choose;
use super::window::{Sample, Scaled, Scaling};
use crate::error::Result;
use crate::frame::{Modality, Study};
use crate::study::{Look, PatientSpace, RawVolume, Rescale, Voxels};

/// A volume in memory.
///
/// # Errors
/// [`crate::Error::Input`] if it contradicts itself.
pub(in crate::input) fn open(volume: RawVolume) -> Result<Box<dyn Header>> {
    volume.check()?;
    Ok(Box::new(Memory(volume)))
}

struct Memory(RawVolume);

impl Header for Memory {
    fn modality(&self) -> Modality {
        Modality::Volume
    }

    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let RawVolume { source, shape, spacing_mm, voxels, rescale, space, .. } = self.0;
        let Some(patient) = space else {
            let choice = Grid { name: source, shape, spacing_mm }.choose(look)?;
            let axis = choice.axis;
            return Ok(Box::new(Picked { choice, slices: Strided { voxels, shape, axis, rescale } }));
        };
        let space = in_patient((source, shape), spacing_mm, patient);
        choose(space, Box::new(Strided { voxels, shape, axis: 0, rescale }), look)
    }
}

/// What a volume that lies in a patient says of itself.
fn in_patient(
    (name, shape): (String, [usize; 3]),
    spacing_mm: Option<[f64; 3]>,
    PatientSpace { directions, origin_mm, kind }: PatientSpace,
) -> Space {
    let first = dot(origin_mm, directions[0]);
    let slice = |spacing: f64| (0..shape[0]).map(|slice| first + slice as f64 * spacing).collect();
    let slices_mm = spacing_mm.map(|[spacing, ..]| slice(spacing)).unwrap_or_default();
    Space {
        name,
        shape,
        placement: Some(Placement { directions, origin: origin_mm, slices_mm }),
        spacing_mm,
        kind,
        usual_plane: UsualPlane::Stored,
        windows: Vec::new(),
        display: None,
        padding: None,
        parts: Vec::new(),
        colour: false,
        notes: Vec::new(),
    }
}

struct Picked {
    choice: SliceChoice,
    slices: Strided,
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        self.choice.measured()
    }

    fn read(mut self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        self.choice.read(&mut self.slices, options)
    }
}

/// Numbers in the order of the axes, the last one fastest.
struct Strided {
    voxels: Voxels,
    shape: [usize; 3],
    axis: usize,
    rescale: Rescale,
}

/// Does something with the numbers, whatever their type.
macro_rules! of_numbers {
    ($voxels:expr, $values:ident => $work:expr) => {
        match $voxels {
            Voxels::I8($values) => $work,
            Voxels::U8($values) => $work,
            Voxels::I16($values) => $work,
            Voxels::U16($values) => $work,
            Voxels::I32($values) => $work,
            Voxels::U32($values) => $work,
            Voxels::I64($values) => $work,
            Voxels::U64($values) => $work,
            Voxels::F32($values) => $work,
            Voxels::F64($values) => $work,
        }
    };
}

impl Slices for Strided {
    fn number(&self) -> Number {
        match self.voxels {
            // What slope and intercept make of any number.
            _ if !self.rescale.is_identity() => Number::F32,
            Voxels::I8(_) => Number::I8,
            Voxels::U8(_) => Number::U8,
            Voxels::I16(_) => Number::I16,
            Voxels::U16(_) => Number::U16,
            Voxels::I32(_) => Number::I32,
            Voxels::U32(_) => Number::U32,
            Voxels::I64(_) => Number::I64,
            Voxels::U64(_) => Number::U64,
            Voxels::F32(_) => Number::F32,
            Voxels::F64(_) => Number::F64,
        }
    }

    fn each(
        &mut self,
        places: &[usize],
        scaling: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()> {
        for &place in places {
            let scaled = of_numbers!(&self.voxels, values => self.scaled(values, place, scaling));
            take(place, scaled?)?;
        }
        Ok(())
    }
}

impl Strided {
    fn scaled<T: Sample>(&self, values: &[T], place: usize, scaling: &Scaling<'_>) -> Result<Scaled> {
        let [depth, height, width] = self.shape;
        let slice: Vec<T> = match self.axis {
            0 => return self.scale(self.slice(values, place), place, scaling),
            1 => {
                let planes = values.chunks_exact(height * width);
                planes.flat_map(|plane| &plane[place * width..][..width]).copied().collect()
            }
            _ => values.iter().skip(place).step_by(width).take(depth * height).copied().collect(),
        };
        self.scale(&slice, place, scaling)
    }

    fn scale<T: Sample>(&self, slice: &[T], place: usize, scaling: &Scaling<'_>) -> Result<Scaled> {
        match self.rescale.is_identity() {
            true => scaling.scale(place, slice),
            false => scaling.scale(place, &self.values(slice)),
        }
    }

    /// A slice of the first axis.
    fn slice<'a, T>(&self, values: &'a [T], place: usize) -> &'a [T] {
        let [_, height, width] = self.shape;
        &values[place * height * width..][..height * width]
    }

    /// The values of these numbers.
    fn values<T: Sample>(&self, numbers: &[T]) -> Vec<f32> {
        let Rescale { slope, intercept } = self.rescale;
        numbers.iter().map(|number| rescaled(number.value(), [slope, intercept])).collect()
    }
}

impl Values for Strided {
    fn each(
        &mut self,
        slices: &[usize],
        take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
    ) -> Result<()> {
        for &place in slices {
            let values = of_numbers!(&self.voxels, numbers => self.values(self.slice(numbers, place)));
            take(place, Samples::Values(&values))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::frame::Provenance;
    use crate::study::{StudyInput, Window, Windowing};

    fn read(volume: RawVolume, look: Look) -> Result<Study> {
        crate::input::read(&StudyInput::raw(volume).look(look), &ReadOptions::default())
    }

    fn volume(shape: [usize; 3], voxels: Voxels) -> RawVolume {
        RawVolume::new("ct", shape, voxels).spacing_mm([5.0, 0.5, 0.25])
    }

    #[test]
    fn a_window_cuts_off_what_is_beyond_it() {
        let look = Look::default().slices(2).window(Window::linear_exact(40.0, 400.0));
        let values = Voxels::I16([-1000, -160, 40, 240, -32768, 32767, -159, 239].into());
        let study = read(volume([2, 1, 4], values), look.clone()).unwrap();
        assert_eq!(study.frames[0].samples(), [0, 0, 127, 255]);
        assert_eq!(study.frames[1].samples(), [0, 255, 0, 254]);
        assert_eq!(study.frames[1].provenance().window, Some([-160.0, 240.0]));
        let values = Voxels::U16([0, 65535, 40, 240, 1, 2, 3, 4].into());
        assert_eq!(read(volume([2, 1, 4], values), look).unwrap().frames[0].samples(), [102, 255, 127, 255]);
    }

    /// A window, values, what it makes of them, and its ends.
    type Curve<'a> = (Window, [f64; 4], [u8; 4], [f64; 2]);

    #[test]
    fn windows_follow_dicoms_functions() {
        // PS3.3 C.11.2.1.2.1, note 2: centre 2048 and width 4096 take 0 to 0 and 4095 to 255; 0 and 100: -50 and 49.
        let rows: [Curve; 6] = [
            (Window::linear(2048.0, 4096.0), [-1.0, 0.0, 4095.0, 4096.0], [0, 0, 255, 255], [0.0, 4095.0]),
            (Window::linear(0.0, 100.0), [-51.0, -50.0, 49.0, 50.0], [0, 0, 255, 255], [-50.0, 49.0]),
            (Window::linear(0.0, 1.0), [-1.0, -0.5, 0.0, 1.0], [0, 0, 255, 255], [-0.5, -0.5]),
            (Window::linear(2.0, 2.0), [1.0, 1.25, 1.75, 2.0], [0, 63, 191, 255], [1.0, 2.0]),
            (Window::linear_exact(0.0, 100.0), [-50.0, 0.0, 49.0, 50.0], [0, 127, 252, 255], [-50.0, 50.0]),
            (Window::sigmoid(0.0, 4.0), [-1e9, 0.0, 1.0, 1e9], [0, 127, 186, 255], [-2.0, 2.0]),
        ];
        for (window, values, grey, ends) in rows {
            let voxels = Voxels::F64(values.into());
            let study = read(volume([1, 1, 4], voxels), Look::default().slices(1).window(window)).unwrap();
            assert_eq!(study.frames[0].samples(), grey, "{window:?}");
            assert_eq!(study.frames[0].provenance().window, Some(ends), "{window:?}");
        }
    }

    #[test]
    fn each_axis_can_count_the_slices() {
        let values: Vec<u8> = (0..24).collect();
        for (axis, place, wanted, sides, spacing) in [
            (0, 1, vec![12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23], (4, 3), [5.0, 0.5, 0.25]),
            (1, 2, vec![8, 9, 10, 11, 20, 21, 22, 23], (4, 2), [0.5, 5.0, 0.25]),
            (2, 3, vec![3, 7, 11, 15, 19, 23], (3, 2), [0.25, 5.0, 0.5]),
        ] {
            // Grey is the value itself.
            let look = Look::default().slices(1).axis(axis).range([place, place]);
            let look = look.window(Window::linear_exact(127.5, 255.0));
            let study = read(volume([2, 3, 4], Voxels::U8(values.clone().into())), look).unwrap();
            let frame = &study.frames[0];
            assert_eq!((frame.samples(), (frame.width(), frame.height())), (wanted.as_slice(), sides));
            let place = Provenance {
                axis: Some(axis),
                spacing_mm: Some(spacing),
                ..Provenance::volume(place, [0.0, 255.0])
            };
            assert_eq!(frame.provenance(), &place);
        }
    }

    #[test]
    fn every_number_type_is_scaled_from_its_own_range() {
        let all: [Voxels; 10] = [
            Voxels::I8([0, 1, 2, 4].into()),
            Voxels::U8([0, 1, 2, 4].into()),
            Voxels::I16([0, 1, 2, 4].into()),
            Voxels::U16([0, 1, 2, 4].into()),
            Voxels::I32([0, 1, 2, 4].into()),
            Voxels::U32([0, 1, 2, 4].into()),
            Voxels::I64([0, 1, 2, 4].into()),
            Voxels::U64([0, 1, 2, 4].into()),
            Voxels::F32([0.0, 1.0, 2.0, 4.0].into()),
            Voxels::F64([0.0, 1.0, 2.0, 4.0].into()),
        ];
        for voxels in all {
            let study = read(volume([1, 2, 2], voxels), Look::default().slices(1)).unwrap();
            assert_eq!(study.frames[0].samples(), [0, 63, 127, 255]);
        }
    }

    #[test]
    fn slices_without_contrast_are_told() {
        let values = Voxels::I16([3, 3, 0, 9, -7, -7].into());
        let said = |look: Look| read(volume([3, 1, 2], values.clone()), look.slices(3)).unwrap().warnings;
        let told =
            |said: Vec<String>| said.iter().any(|warning| warning.starts_with("slices 0, 2 have one value"));
        assert!(told(said(Look::default())));
        assert!(!told(said(Look::default().window(Windowing::Window(Window::linear_exact(0.0, 9.0))))));
    }

    type Row<'a> = (&'a str, fn(&mut RawVolume));

    #[test]
    fn a_raw_volume_that_contradicts_itself_is_refused() {
        let sound = volume([1, 2, 2], Voxels::U16([1, 2, 3, 4].into()));
        let table: [Row; 5] = [
            ("ct", |v| v.shape = [2, 2, 2]),
            ("ct", |v| v.shape = [0, 2, 2]),
            ("ct", |v| v.shape = [usize::MAX, 2, 2]),
            ("ct: spacing", |v| v.spacing_mm = Some([1.0, 0.0, 1.0])),
            ("ct: spacing", |v| v.spacing_mm = Some([1.0, f64::NAN, 1.0])),
        ];
        for (thing, spoil) in table {
            let mut volume = sound.clone();
            read(volume.clone(), Look::default()).unwrap();
            spoil(&mut volume);
            let error = read(volume, Look::default()).unwrap_err();
            assert!(matches!(&error, Error::Input(facts) if facts.thing == thing), "{error}");
        }
    }
}
