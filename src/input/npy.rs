//! Volumes in NumPy's `.npy` format, alone or in an `.npz`.

mod archive;
mod window;

use std::io::{Read, Seek, SeekFrom};

use ndarray_npy::npy::header::{Header, ReadHeaderError};

use super::{Content, HEAD, open, unreadable};
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::study::{Look, Preprocessing, RawVolume, Source, Voxels, Windowing};
use window::{ByteOrder, Number, Scaled, scaled};

const MAGIC: &[u8] = b"\x93NUMPY";
const SHAPES: &str = "an array of shape (depth, height, width) or (1, depth, height, width)";

pub(super) fn is_npy(head: &[u8]) -> Option<&'static str> {
    (head.starts_with(MAGIC) || archive::is_archive(head)).then_some("NumPy array")
}

/// The chosen slices of an array `(D, H, W)` or `(1, D, H, W)` of any number type, byte order and memory order, each
/// scaled from its own range to 0..255.
pub(super) fn read(source: &Source, look: &Look, preprocessing: Preprocessing) -> Result<Study> {
    let name = source.name();
    let mut file = array(source)?;
    let volume = Volume::read_header(source, &mut file)?;
    let grid = Grid { name: &name, shape: volume.shape, spacing_mm: None };
    let windowing = look.window.unwrap_or(Windowing::OwnRange);
    let (mut study, wrapped) = grid.look(look, |index| {
        let bytes = volume.read_slice(&mut file, index).map_err(|error| unreadable(source, &error))?;
        volume.number.scale(
            &format!("{name}: slice {index}"),
            (&bytes, volume.order),
            windowing,
            preprocessing,
        )
    })?;
    study.warnings.extend(volume.number.warning(&wrapped, preprocessing));
    Ok(study)
}

/// The chosen slices of a volume in memory.
pub(super) fn raw(volume: &RawVolume, look: &Look, preprocessing: Preprocessing) -> Result<Study> {
    volume.check()?;
    let [_, height, width] = volume.shape;
    let size = height * width;
    let grid = Grid { name: &volume.source, shape: volume.shape, spacing_mm: volume.spacing_mm };
    let windowing = look.window.unwrap_or(Windowing::OwnRange);
    let (mut study, wrapped) = grid.look(look, |index| {
        let (name, slice) = (format!("{}: slice {index}", volume.source), index * size..(index + 1) * size);
        match &volume.voxels {
            Voxels::I8(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::U8(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::I16(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::U16(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::I32(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::U32(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::I64(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::U64(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::F32(values) => scaled(&name, &values[slice], windowing, preprocessing),
            Voxels::F64(values) => scaled(&name, &values[slice], windowing, preprocessing),
        }
    })?;
    let number = match &volume.voxels {
        Voxels::F32(_) => Number::F32,
        Voxels::F64(_) => Number::F64,
        _ => Number::I64,
    };
    study.warnings.extend(number.warning(&wrapped, preprocessing));
    Ok(study)
}

/// What there is to choose slices from.
struct Grid<'a> {
    name: &'a str,
    /// Depth, height, width.
    shape: [usize; 3],
    spacing_mm: Option<[f64; 3]>,
}

impl Grid<'_> {
    /// The chosen slices as `scale` brings them to 8 bits, and the indices of those whose range was wider than their type.
    fn look(
        &self,
        look: &Look,
        mut scale: impl FnMut(usize) -> Result<Scaled>,
    ) -> Result<(Study, Vec<usize>)> {
        let [depth, height, width] = self.shape;
        let chosen = slices(self.name, depth, look.slices.unwrap_or(Look::SLICES))?;
        let warnings = self.warnings(chosen.len());
        let mut frames = Vec::with_capacity(chosen.len());
        let mut wrapped = Vec::new();
        for index in chosen {
            let scaled = scale(index)?;
            if scaled.wraps && wrapped.last() != Some(&index) {
                wrapped.push(index);
            }
            let provenance =
                Provenance { spacing_mm: self.spacing_mm, ..Provenance::volume(index, scaled.window) };
            frames.push(Frame::new(width as u32, height as u32, PixelMode::Grey, scaled.grey, provenance)?);
        }
        let study = Study { modality: Modality::Volume, source: self.name.to_owned(), frames, warnings };
        Ok((study, wrapped))
    }

    fn warnings(&self, slices: usize) -> Vec<String> {
        let [depth, height, width] = self.shape;
        let mut warnings = Vec::new();
        if slices > depth {
            warnings.push(format!("{slices} slices were asked of a volume of {depth}: some are seen twice"));
        }
        if height != width {
            warnings.push(format!("slices of {width}×{height} pixels are stretched to a square"));
        }
        warnings
    }
}

/// The bytes of the array, unpacked if need be.
fn array(source: &Source) -> Result<Box<dyn Content + '_>> {
    let mut head = Vec::new();
    open(source)?.take(HEAD).read_to_end(&mut head).map_err(|error| unreadable(source, &error))?;
    match archive::is_archive(&head) {
        true => Ok(Box::new(archive::read(source)?)),
        false => open(source),
    }
}

/// Where the numbers of a volume are in its file.
struct Volume {
    number: Number,
    order: ByteOrder,
    fortran: bool,
    /// Depth, height, width.
    shape: [usize; 3],
    /// Offset of the first number in bytes.
    start: u64,
}

impl Volume {
    /// Reads the header and makes sure, before anything is allocated, that the file holds what it promises.
    fn read_header(source: &Source, file: &mut (impl Read + Seek)) -> Result<Self> {
        let name = &source.name();
        let header = Header::from_reader(file).map_err(|error| match error {
            ReadHeaderError::Io(error) => unreadable(source, &error),
            // The parser's own words go over several lines.
            ReadHeaderError::Parse(_) => Error::input(name, "a NumPy array", "a file with a damaged header"),
        })?;
        let descriptor = header.type_descriptor.as_string().map(String::as_str).unwrap_or("a structure");
        let (order, number) = Number::of(descriptor).ok_or_else(|| {
            Error::input(name, "an array of integers or floating-point numbers", format!("type {descriptor}"))
                .hint("save it as one of int8 to int64, uint8 to uint64, float16 to float64")
        })?;
        let shape = match header.shape[..] {
            [depth, height, width] | [1, depth, height, width] => [depth, height, width],
            _ => return Err(Error::input(name, SHAPES, format!("shape {:?}", header.shape))),
        };
        let sides = [shape[1], shape[2]];
        if shape.contains(&0) || sides.iter().any(|&side| u32::try_from(side).is_err()) {
            return Err(Error::input(name, "at least one slice, row and column", format!("shape {shape:?}")));
        }
        let start = file.stream_position().map_err(|error| unreadable(source, &error))?;
        let end = file.seek(SeekFrom::End(0)).map_err(|error| unreadable(source, &error))?;
        let there = end.saturating_sub(start);
        let promised = shape.iter().try_fold(number.size(), |bytes, &size| bytes.checked_mul(size));
        if promised.is_none_or(|bytes| bytes as u64 > there) {
            let promised = promised.map_or("more bytes than can be counted".into(), |n| format!("{n} bytes"));
            return Err(Error::input(
                name,
                format!("{promised} of data for shape {shape:?}"),
                format!("{there} bytes"),
            )
            .hint("the file was cut short"));
        }
        Ok(Self { number, order, fortran: header.layout.is_fortran(), shape, start })
    }

    /// The bytes of one slice, row by row.
    fn read_slice(&self, file: &mut (impl Read + Seek), index: usize) -> std::io::Result<Vec<u8>> {
        let [depth, height, width] = self.shape;
        let size = self.number.size();
        let mut slice = vec![0; height * width * size];
        if !self.fortran {
            file.seek(SeekFrom::Start(self.start + (index * slice.len()) as u64))?;
            file.read_exact(&mut slice)?;
            return Ok(slice);
        }
        // Depth runs fastest, then height: a column of pixels is one run in the file.
        let mut column = vec![0; depth * height * size];
        for x in 0..width {
            file.seek(SeekFrom::Start(self.start + (x * column.len()) as u64))?;
            file.read_exact(&mut column)?;
            for y in 0..height {
                let from = (y * depth + index) * size;
                let to = (y * width + x) * size;
                slice[to..to + size].copy_from_slice(&column[from..from + size]);
            }
        }
        Ok(slice)
    }
}

/// `count` indices from the first to the last of `depth` slices, as `numpy.linspace(0, depth - 1, count, dtype=int)`.
fn slices(name: &str, depth: usize, count: usize) -> Result<Vec<usize>> {
    if count == 0 {
        return Err(Error::request(format!("{name}: slices"), "at least 1", 0));
    }
    let last = depth - 1;
    let step = last as f64 / (count.max(2) - 1) as f64;
    let index = |place: usize| match place + 1 == count && count > 1 {
        true => last,
        false => (place as f64 * step).floor() as usize,
    };
    Ok((0..count).map(index).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Window;

    #[test]
    fn slices_are_numpys() {
        for (depth, count, wanted) in [
            (32, 11, &[0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 31][..]),
            (1, 3, &[0, 0, 0]),
            (5, 11, &[0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4]),
            (7, 1, &[0]),
            (100, 2, &[0, 99]),
        ] {
            assert_eq!(slices("", depth, count).unwrap(), wanted, "{count} of {depth}");
        }
        assert!(slices("", 3, 0).is_err());
    }

    type Row<'a> = (&'a str, fn(&mut RawVolume));

    fn raw_study(voxels: Voxels, window: Option<Window>) -> Study {
        let volume =
            RawVolume { source: "ct".into(), shape: [2, 1, 4], voxels, spacing_mm: Some([5.0, 0.5, 0.5]) };
        let look = Look { window: window.map(Windowing::Window), ..Look::default().slices(2) };
        raw(&volume, &look, Preprocessing::Clinical).unwrap()
    }

    #[test]
    fn raw_slices_are_those_of_an_array() {
        let values = [-1000, -600, 0, 3000, -32768, 0, 1, 32767];
        let bytes: Vec<u8> = values.iter().flat_map(|value: &i16| value.to_le_bytes()).collect();
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1, 4), }\n";
        let source = Source::Bytes { name: "ct".into(), bytes: npy(header, &bytes).into() };
        let array = read(&source, &Look::default().slices(2), Preprocessing::Clinical).unwrap();
        let study = raw_study(Voxels::I16(values.into()), None);
        assert_eq!(study.warnings, array.warnings);
        for (raw, read) in study.frames.iter().zip(&array.frames) {
            assert_eq!(raw.samples(), read.samples());
        }
        let place =
            Provenance { spacing_mm: Some([5.0, 0.5, 0.5]), ..Provenance::volume(0, [-1000.0, 3000.0]) };
        assert_eq!(study.frames[0].provenance(), &place);
    }

    #[test]
    fn a_window_cuts_off_what_is_beyond_it() {
        let window = Some(Window::linear_exact(40.0, 400.0));
        let study = raw_study(Voxels::I16([-1000, -160, 40, 240, -32768, 32767, -159, 239].into()), window);
        assert_eq!(study.frames[0].samples(), [0, 0, 127, 255]);
        assert_eq!(study.frames[1].samples(), [0, 255, 0, 254]);
        let study = raw_study(Voxels::U16([0, 65535, 40, 240, 1, 2, 3, 4].into()), window);
        assert_eq!(study.frames[0].samples(), [102, 255, 127, 255]);
    }

    #[test]
    fn a_raw_volume_that_contradicts_itself_is_refused() {
        let sound = RawVolume {
            source: "ct".into(),
            shape: [1, 2, 2],
            voxels: Voxels::U16([1, 2, 3, 4].into()),
            spacing_mm: None,
        };
        let table: [Row; 5] = [
            ("ct", |v| v.shape = [2, 2, 2]),
            ("ct", |v| v.shape = [0, 2, 2]),
            ("ct", |v| v.shape = [usize::MAX, 2, 2]),
            ("ct: spacing", |v| v.spacing_mm = Some([1.0, 0.0, 1.0])),
            ("ct: spacing", |v| v.spacing_mm = Some([1.0, f64::NAN, 1.0])),
        ];
        for (thing, spoil) in table {
            let mut volume = sound.clone();
            raw(&volume, &Look::default(), Preprocessing::Clinical).unwrap();
            spoil(&mut volume);
            let error = raw(&volume, &Look::default(), Preprocessing::Clinical).unwrap_err();
            assert_eq!(error.facts().thing, thing, "{error}");
        }
    }

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn study(bytes: Vec<u8>) -> Result<Study> {
        let source = Source::Bytes { name: "volume".into(), bytes: bytes.into() };
        read(&source, &Look::default().slices(3), Preprocessing::Clinical)
    }

    proptest::proptest! {
        #[test]
        fn headers_of_all_kinds_are_read_or_refused(
            order in "[<>|=!]?",
            kind in "[fiubcUOV][0-9]{0,2}",
            fortran in "True|False|None",
            shape in "[(][0-9 ,-]{0,12}[)]",
            data in proptest::collection::vec(0u8.., 0..200),
        ) {
            let header = format!("{{'descr': '{order}{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
            if let Ok(study) = study(npy(&header, &data)) {
                proptest::prop_assert_eq!(study.frames.len(), 3);
            }
        }

        #[test]
        fn damaged_files_are_read_or_refused(at in 0usize..110, byte in 0u8.., length in 0usize..200) {
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }\n";
            let mut bytes = npy(header, &[7; 96]);
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            bytes.truncate(length.max(at));
            let _ = study(bytes);
        }
    }
}
