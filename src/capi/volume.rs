//! Numbers that the caller has: a volume, or a radiograph.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::arguments::{given, growing, one_of, optional_text, span, values, zero};
use super::enums::{fleming_modality, fleming_voxel, voxel};
use super::status::{CallResult, Failure};
use super::study::look;
use crate::{
    Look, PatientSpace, RawPicture, RawVolume, Rescale, StudyInput, VolumeKind, Voxels, Window,
    WindowFunction,
};

/// How a window makes grey of a value x; c is its centre and w its width. Grey is cut to a whole number. The names are DICOM's.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_window {
    /// ((x - c) / w + 0.5) * 255, cut off at 0 and 255: from c - w / 2 to c + w / 2. PS3.3 C.11.2.1.3.2.
    LinearExact = 0,
    /// ((x - (c - 0.5)) / (w - 1) + 0.5) * 255, cut off at 0 and 255; w is at least 1. PS3.3 C.11.2.1.2.1: what a DICOM file
    /// means that names no function.
    Linear = 1,
    /// 255 / (1 + exp(-4 * (x - c) / w)). PS3.3 C.11.2.1.3.1.
    Sigmoid = 2,
}

/// What the values of a volume are. It decides which of them are looked at where there is no window, as docs/input.md says.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_volume_kind {
    /// Not known: a CT if the values look like one.
    Unknown = 0,
    /// CT, in Hounsfield units.
    Ct = 1,
    /// MR.
    Mr = 2,
    /// PET.
    Pet = 3,
    /// Something else.
    Other = 4,
}

/// Numbers that you have: a volume of depth slices of height rows of width voxels, or one grey picture, in the machine's byte
/// order. What is written here of the values of a study in a file (slope, window, inversion, place in the patient) gives bit
/// for bit the frames of that file: without directions those of a NumPy array, with them those of a DICOM series or a NIfTI
/// volume, and of a picture those of a radiograph in DICOM.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_volume {
    /// sizeof(fleming_volume)
    pub struct_size: usize,
    /// For messages and the reply; "volume" if NULL.
    pub name: *const c_char,
    /// The first voxel of the first row of the first slice; it may be aligned to anything. Of floating-point numbers, NaN and
    /// infinity are refused in an array, and black in a volume with directions, with a warning; in a picture NaN is black.
    pub voxels: *const c_void,
    /// Slices, rows and columns; a picture has a depth of 1.
    pub depth: usize,
    pub height: usize,
    pub width: usize,
    /// Millimetres between slices, rows and columns; all 0: unknown. Without directions they change no pixel; the reply has
    /// them. A picture has none.
    pub spacing_mm: [f64; 3],
    /// The window, in values: after slope and intercept. A width of 0 (and a centre of 0) is none: each slice of an array is
    /// scaled by its own range, a volume with directions as docs/input.md says, a picture of at most 8 bits is shown as it is,
    /// and any other from its lowest to its highest value, with a warning.
    pub window_center: f64,
    pub window_width: f64,
    /// How many slices, evenly spaced, 1 to 4096; 0: 11. Of a picture 0.
    pub slices: usize,
    /// A fleming_voxel.
    pub voxel: i32,
    /// 0
    pub reserved: i32,
    /// What a number is multiplied by to become a value, in double precision; 0: 1. As DICOM's RescaleSlope.
    pub slope: f64,
    /// What is added then. As DICOM's RescaleIntercept.
    pub intercept: f64,
    /// Bytes from one row to the next, and from one slice to the next; 0: without gaps. Behind the last voxel nothing is read.
    pub row_bytes: usize,
    pub slice_bytes: usize,
    /// Unit vectors: in which directions slices, rows and columns follow one another. x rises to the patient's left, y to
    /// posterior, z to the head, as in DICOM: of ImageOrientationPatient the last three numbers are the directions of rows, and
    /// the first three of columns. All 0: unknown, and the volume is looked at as it is.
    pub directions: [[f64; 3]; 3],
    /// The middle of the first voxel in millimetres, as DICOM's ImagePositionPatient of the first slice. With directions.
    pub origin_mm: [f64; 3],
    /// Other options of docs/input.md, by their names in JSON: {"plane": "coronal", "range": "40-120"}. slices and the window
    /// above hold before them. NULL: none.
    pub options: *const c_char,
    /// FLEMING_MODALITY_VOLUME, which 0 is too, or FLEMING_MODALITY_IMAGE.
    pub modality: i32,
    /// A fleming_volume_kind. With directions.
    pub kind: i32,
    /// A fleming_window, of the window above.
    pub window_function: i32,
    /// How many bits of an integer count, such as 12 of 16: a voxel that takes more is refused. 0: all.
    pub bits: i32,
    /// Of a picture: 1 if the lowest value is white, as of MONOCHROME1; else 0.
    pub inverse: i32,
    /// 0
    pub reserved_2: i32,
}

// `slope` and what follows came later.
growing!(fleming_volume: 104 264);

fn refuse<T>(name: &str, wanted: &str, got: impl ToString) -> CallResult<T> {
    Err(Failure::argument(name, wanted, &got.to_string()))
}

impl fleming_volume {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn input(&self) -> CallResult<StudyInput> {
        zero("reserved", self.reserved)?;
        zero("reserved_2", self.reserved_2)?;
        // SAFETY: the caller's.
        let (name, look) = unsafe { (optional_text("name", self.name)?, self.look()?) };
        let name = name.unwrap_or_else(|| "volume".into());
        let kinds = [
            (0, fleming_modality::Volume),
            (fleming_modality::Volume as i32, fleming_modality::Volume),
            (fleming_modality::Image as i32, fleming_modality::Image),
        ];
        match one_of("modality", &kinds, self.modality)? {
            // SAFETY: the caller's.
            fleming_modality::Image => unsafe { self.picture(name, look) },
            // SAFETY: the caller's.
            _ => unsafe { self.volume(name, look) },
        }
    }

    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn volume(&self, name: String, look: Look) -> CallResult<StudyInput> {
        if self.inverse != 0 {
            return refuse("inverse", "0 of a volume, whose values are taken as they are", self.inverse);
        }
        let shape = [self.depth, self.height, self.width];
        // SAFETY: the caller's.
        let mut volume = RawVolume::new(name, shape, unsafe { self.voxels() }?);
        volume.spacing_mm = (self.spacing_mm != [0.0; 3]).then_some(self.spacing_mm);
        volume.rescale = self.rescale();
        volume.bits = self.bits()?;
        volume.space = self.space()?;
        volume.check()?;
        Ok(StudyInput::raw(volume).look(look))
    }

    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn picture(&self, name: String, look: Look) -> CallResult<StudyInput> {
        if self.depth != 1 {
            return refuse("depth", "1 of a picture", self.depth);
        }
        if self.slices != 0 {
            return refuse("slices", "0 of a picture", self.slices);
        }
        if self.spacing_mm != [0.0; 3] || self.space()?.is_some() {
            return refuse("spacing_mm, directions", "0 of a picture", "others");
        }
        let inverse = one_of("inverse", &[(0, false), (1, true)], self.inverse)?;
        // SAFETY: the caller's.
        let plain = RawPicture::new(name, [self.width, self.height], unsafe { self.voxels() }?);
        let mut picture = plain.rescale(self.rescale());
        picture.bits = self.bits()?;
        picture.inverse = inverse;
        picture.check()?;
        Ok(StudyInput::raw_picture(picture).look(look))
    }

    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn look(&self) -> CallResult<Look> {
        // SAFETY: the caller's.
        let mut look = unsafe { look(self.options) }?;
        look.slices = given(self.slices).or(look.slices);
        let functions = [
            (fleming_window::LinearExact as i32, WindowFunction::LinearExact),
            (fleming_window::Linear as i32, WindowFunction::Linear),
            (fleming_window::Sigmoid as i32, WindowFunction::Sigmoid),
        ];
        let function = one_of("window_function", &functions, self.window_function)?;
        let (center, width) = (self.window_center, self.window_width);
        if center == 0.0 && width == 0.0 && self.window_function == 0 {
            return Ok(look);
        }
        let window = Window { center, width, function };
        if !center.is_finite() {
            return refuse("window_center", "a finite number", center);
        }
        if !window.is_sound() {
            let wanted = match function {
                WindowFunction::Linear => "a finite number of at least 1, of FLEMING_WINDOW_LINEAR",
                _ => "a finite number above 0",
            };
            return refuse("window_width", wanted, width);
        }
        Ok(look.window(window))
    }

    fn rescale(&self) -> Rescale {
        let slope = if self.slope == 0.0 { 1.0 } else { self.slope };
        Rescale { slope, intercept: self.intercept }
    }

    fn bits(&self) -> CallResult<Option<u32>> {
        match u32::try_from(self.bits) {
            Ok(0) => Ok(None),
            Ok(bits) => Ok(Some(bits)),
            Err(_) => refuse("bits", "0, or how many bits count", self.bits),
        }
    }

    /// How it lies in the patient, if that is given.
    fn space(&self) -> CallResult<Option<PatientSpace>> {
        let kinds = [
            (fleming_volume_kind::Unknown as i32, VolumeKind::Unknown),
            (fleming_volume_kind::Ct as i32, VolumeKind::Ct),
            (fleming_volume_kind::Mr as i32, VolumeKind::Mr),
            (fleming_volume_kind::Pet as i32, VolumeKind::Pet),
            (fleming_volume_kind::Other as i32, VolumeKind::Other),
        ];
        let kind = one_of("kind", &kinds, self.kind)?;
        match (self.directions == [[0.0; 3]; 3], self.origin_mm == [0.0; 3], self.kind) {
            (false, ..) => {
                Ok(Some(PatientSpace { directions: self.directions, origin_mm: self.origin_mm, kind }))
            }
            (true, true, 0) => Ok(None),
            (true, false, _) => refuse("origin_mm", "0 without directions", "a place"),
            (true, true, _) => refuse("kind", "0 without directions", self.kind),
        }
    }

    /// A copy of the numbers, without gaps.
    ///
    /// # Safety
    /// The pointers are as the header asks; any bytes are numbers.
    unsafe fn voxels(&self) -> CallResult<Voxels> {
        let shape = [self.depth, self.height, self.width];
        let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
        if count.is_none_or(|count| count == 0) {
            return refuse("depth, height, width", "sizes of a volume", format!("{shape:?}"));
        }
        // SAFETY: the caller's.
        Ok(unsafe {
            match voxel(self.voxel)? {
                fleming_voxel::Int8 => Voxels::I8(self.packed()?),
                fleming_voxel::Uint8 => Voxels::U8(self.packed()?),
                fleming_voxel::Int16 => Voxels::I16(self.packed()?),
                fleming_voxel::Uint16 => Voxels::U16(self.packed()?),
                fleming_voxel::Int32 => Voxels::I32(self.packed()?),
                fleming_voxel::Uint32 => Voxels::U32(self.packed()?),
                fleming_voxel::Float32 => Voxels::F32(self.packed()?),
                fleming_voxel::Float64 => Voxels::F64(self.packed()?),
            }
        })
    }

    /// # Safety
    /// As of [`fleming_volume::voxels`], whose product of sides fits.
    unsafe fn packed<T: Copy>(&self) -> CallResult<Arc<[T]>> {
        let Self { depth, height, width, .. } = *self;
        if self.row_bytes == 0 && self.slice_bytes == 0 {
            // SAFETY: the caller's.
            return Ok(unsafe { values("voxels", self.voxels.cast::<T>(), depth * height * width) }?.into());
        }
        let row = width.checked_mul(size_of::<T>());
        let row_bytes = given(self.row_bytes).or(row);
        let (Some(row), Some(row_bytes)) = (row, row_bytes) else {
            return refuse("width", "rows that fit into memory", width);
        };
        if row_bytes < row {
            return refuse("row_bytes", &format!("at least {row}"), row_bytes);
        }
        let slice = span(row, height, row_bytes);
        let slice_bytes = given(self.slice_bytes).or_else(|| height.checked_mul(row_bytes));
        let (Some(slice), Some(slice_bytes)) = (slice, slice_bytes) else {
            return refuse("row_bytes", "slices that fit into memory", row_bytes);
        };
        if slice_bytes < slice {
            return refuse("slice_bytes", &format!("at least {slice}"), slice_bytes);
        }
        if span(slice, depth, slice_bytes).is_none() {
            return refuse("slice_bytes", "slices that fit into memory", slice_bytes);
        }
        let mut copy = Vec::<T>::new();
        if copy.try_reserve_exact(depth * height * width).is_err() {
            return refuse("voxels", "a size that fits into memory", format!("{depth}×{height}×{width}"));
        }
        for (slice, row) in (0..depth).flat_map(|slice| (0..height).map(move |row| (slice, row))) {
            let place = slice * slice_bytes + row * row_bytes;
            // NULL stays what it is, and is refused.
            let voxels = if self.voxels.is_null() { 0 } else { place };
            // SAFETY: the caller vouches for the rows at these distances, whose sum was checked.
            copy.extend(unsafe {
                values("voxels", self.voxels.cast::<u8>().add(voxels).cast::<T>(), width)
            }?);
        }
        Ok(copy.into())
    }
}
