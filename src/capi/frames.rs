//! Pictures that the caller has, in the layouts of cameras and decoders.

use std::ffi::c_char;

use super::arguments::{given, growing, one_of, optional_text, span, values, zero};
use super::enums::modality;
use super::status::{CallResult, Failure};
use crate::study::MOST_FRAMES;
use crate::{Modality, PixelFormat, RawFrame, RawFrames, StudyInput, Yuv, YuvMatrix, YuvRange};

/// How the bytes of a picture are to be read.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_pixels {
    /// 3 bytes a pixel: red, green, blue.
    Rgb = 0,
    /// 3 bytes a pixel: blue, green, red.
    Bgr = 1,
    /// 4 bytes a pixel: red, green, blue, alpha; not premultiplied. What can be seen through is laid on white, as of a file,
    /// and a warning says so.
    Rgba = 2,
    /// 4 bytes a pixel: blue, green, red, alpha.
    Bgra = 3,
    /// 1 byte a pixel, 0 black. Grey of more bits, or with a window, is a fleming_volume of FLEMING_MODALITY_IMAGE.
    Grey = 4,
    /// Two planes: frames holds Y, 1 byte a pixel; chroma holds U and V in turns, for 2 by 2 pixels. Of odd sides, the last is
    /// for one.
    Nv12 = 5,
    /// Three planes: frames holds Y; chroma holds U and chroma_v holds V, each 1 byte for 2 by 2 pixels.
    I420 = 6,
}

/// The matrix from YUV to RGB.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_yuv_matrix {
    /// ITU-R BT.601, of standard definition: what FFmpeg, and the reference script, take of a video that does not say.
    Bt601 = 0,
    /// ITU-R BT.709, of high definition.
    Bt709 = 1,
}

/// The numbers of YUV that are black and white.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_yuv_range {
    /// Y from 16 to 235, U and V from 16 to 240: the usual one of video.
    Limited = 0,
    /// All from 0 to 255: of JPEG, and of many cameras.
    Full = 1,
}

/// Pictures that you have: count pictures of height rows of width pixels each, of one fleming_pixels: an image, or a clip.
/// Between the rows of a plane may be gaps; behind the last pixel nothing is read. YUV becomes RGB by FFmpeg, bit for bit as
/// the same frames of a video file; a library that was built without it refuses YUV.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_frames {
    /// sizeof(fleming_frames)
    pub struct_size: usize,
    /// For messages and the reply; "frames" if NULL.
    pub name: *const c_char,
    /// count pointers to the first pixel of each frame, of its first plane.
    pub frames: *const *const u8,
    /// 1 for an image, 1 to 4096 for a video.
    pub count: usize,
    /// The time of each frame in seconds, count numbers. A video needs them, an image has none.
    pub seconds: *const f64,
    /// In pixels.
    pub width: usize,
    pub height: usize,
    /// Bytes from one row of the first plane to the next; 0: as many as a row has.
    pub row_bytes: usize,
    /// FLEMING_MODALITY_IMAGE or FLEMING_MODALITY_VIDEO.
    pub modality: i32,
    /// 0
    pub reserved: i32,
    /// A fleming_pixels; RGB by default.
    pub pixels: i32,
    /// Of NV12 and I420: a fleming_yuv_matrix; BT.601 by default.
    pub yuv_matrix: i32,
    /// Of NV12 and I420: a fleming_yuv_range; limited by default.
    pub yuv_range: i32,
    /// 0
    pub reserved_2: i32,
    /// NV12: count pointers to U and V. I420: count pointers to U. Else NULL.
    pub chroma: *const *const u8,
    /// I420: count pointers to V. Else NULL.
    pub chroma_v: *const *const u8,
    /// Bytes from one row of chroma, and of chroma_v, to the next; 0: as many as a row has.
    pub chroma_row_bytes: usize,
    pub chroma_v_row_bytes: usize,
}

// `pixels` and what follows came later.
growing!(fleming_frames: 72 120);

/// A plane of all frames: the names of its pointers and of its stride, and both.
struct Plane {
    names: [&'static str; 2],
    pointers: Vec<*const u8>,
    stride: usize,
}

impl fleming_frames {
    /// # Safety
    /// The pointers are as the header asks.
    pub(super) unsafe fn input(&self) -> CallResult<StudyInput> {
        zero("reserved", self.reserved)?;
        zero("reserved_2", self.reserved_2)?;
        let modality = match modality(self.modality)? {
            Modality::Volume => return Err(Failure::argument("modality", "image or video", "volume")),
            modality => modality,
        };
        let times = self.times(modality)?;
        let format = self.format()?;
        let (Ok(width), Ok(height)) = (u32::try_from(self.width), u32::try_from(self.height)) else {
            let got = format!("{}×{}", self.width, self.height);
            return Err(Failure::argument("width, height", "sides below 2^32", &got));
        };
        let size = [width, height];
        // SAFETY: the caller's.
        let (name, planes) = unsafe { (optional_text("name", self.name)?, self.planes(format)?) };
        // SAFETY: the caller's.
        let seconds = unsafe { values("seconds", self.seconds, times) }?;
        let mut frames = Vec::with_capacity(self.count);
        for place in 0..self.count {
            // SAFETY: the caller's.
            frames.push(unsafe { frame(format, size, &planes, place) }?);
        }
        let source = name.unwrap_or_else(|| "frames".into());
        let frames = match (modality, frames.pop()) {
            (Modality::Image, Some(picture)) => RawFrames::image(source, picture),
            (_, last) => RawFrames::video(source, seconds.into_iter().zip(frames.into_iter().chain(last))),
        };
        Ok(StudyInput::raw_frames(frames))
    }

    /// How many times are given.
    fn times(&self, modality: Modality) -> CallResult<usize> {
        const MANY: usize = MOST_FRAMES + 1;
        let count = self.count.to_string();
        match (modality, self.count, self.seconds.is_null()) {
            (_, 0, _) => Err(Failure::argument("count", "at least 1", &count)),
            (_, MANY.., _) => Err(Failure::argument("count", &format!("1 to {MOST_FRAMES}"), &count)),
            (Modality::Image, 2.., _) => Err(Failure::argument("count", "1 for an image", &count)),
            (Modality::Image, _, false) => Err(Failure::argument("seconds", "NULL for an image", "times")),
            (Modality::Image, ..) => Ok(0),
            (_, _, true) => Err(Failure::argument("seconds", "the time of each frame of a video", "NULL")),
            _ => Ok(self.count),
        }
    }

    fn format(&self) -> CallResult<PixelFormat> {
        let matrices = [
            (fleming_yuv_matrix::Bt601 as i32, YuvMatrix::Bt601),
            (fleming_yuv_matrix::Bt709 as i32, YuvMatrix::Bt709),
        ];
        let ranges = [
            (fleming_yuv_range::Limited as i32, YuvRange::Limited),
            (fleming_yuv_range::Full as i32, YuvRange::Full),
        ];
        let yuv = Yuv {
            matrix: one_of("yuv_matrix", &matrices, self.yuv_matrix)?,
            range: one_of("yuv_range", &ranges, self.yuv_range)?,
        };
        let formats = [
            (fleming_pixels::Rgb as i32, PixelFormat::Rgb),
            (fleming_pixels::Bgr as i32, PixelFormat::Bgr),
            (fleming_pixels::Rgba as i32, PixelFormat::Rgba),
            (fleming_pixels::Bgra as i32, PixelFormat::Bgra),
            (fleming_pixels::Grey as i32, PixelFormat::Grey),
            (fleming_pixels::Nv12 as i32, PixelFormat::Nv12(yuv)),
            (fleming_pixels::I420 as i32, PixelFormat::I420(yuv)),
        ];
        let format = one_of("pixels", &formats, self.pixels)?;
        let is_yuv = matches!(format, PixelFormat::Nv12(_) | PixelFormat::I420(_));
        match is_yuv || yuv == Yuv::default() {
            true => Ok(format),
            false => Err(Failure::argument("yuv_matrix, yuv_range", "0 of pixels that are no YUV", "others")),
        }
    }

    /// The planes of the format. What it has not must not be given.
    ///
    /// # Safety
    /// The pointers are as the header asks.
    unsafe fn planes(&self, format: PixelFormat) -> CallResult<Vec<Plane>> {
        let all = [
            (["frames", "row_bytes"], self.frames, self.row_bytes),
            (["chroma", "chroma_row_bytes"], self.chroma, self.chroma_row_bytes),
            (["chroma_v", "chroma_v_row_bytes"], self.chroma_v, self.chroma_v_row_bytes),
        ];
        let count = match format {
            PixelFormat::Nv12(_) => 2,
            PixelFormat::I420(_) => 3,
            _ => 1,
        };
        let mut planes = Vec::with_capacity(count);
        for (place, (names, pointers, stride)) in all.into_iter().enumerate() {
            if place >= count {
                if !pointers.is_null() || stride != 0 {
                    let given = if pointers.is_null() { names[1] } else { names[0] };
                    return Err(Failure::argument(
                        given,
                        "0 or NULL, of pixels without this plane",
                        "another",
                    ));
                }
                continue;
            }
            // SAFETY: the caller's.
            let pointers = unsafe { values(names[0], pointers, self.count) }?;
            planes.push(Plane { names, pointers, stride });
        }
        Ok(planes)
    }
}

/// A copy of a frame.
///
/// # Safety
/// The pointers are as the header asks.
unsafe fn frame(format: PixelFormat, size: [u32; 2], planes: &[Plane], place: usize) -> CallResult<RawFrame> {
    let extents = format.planes(size).filter(|_| !size.contains(&0));
    let Some(extents) = extents else {
        let got = format!("{}×{}", size[0], size[1]);
        return Err(Failure::argument(
            "width, height",
            "a picture that fits into memory, at least 1×1",
            &got,
        ));
    };
    let mut bytes = Vec::with_capacity(planes.len());
    for ([row, rows], plane) in extents.into_iter().zip(planes) {
        let [name, stride_name] = plane.names;
        let stride = given(plane.stride).unwrap_or(row);
        if stride < row {
            return Err(Failure::argument(stride_name, &format!("at least {row}"), &stride.to_string()));
        }
        let Some(length) = span(row, rows, stride) else {
            return Err(Failure::argument(stride_name, "rows that fit into memory", &stride.to_string()));
        };
        let pixels = plane.pointers.get(place).copied().filter(|pixels| !pixels.is_null());
        let Some(pixels) = pixels else {
            return Err(Failure::argument(name, "a pointer to each frame", "NULL"));
        };
        // SAFETY: the caller vouches for `rows` rows, each `stride` bytes after the one before, and for `row` bytes of the last.
        bytes.push((unsafe { std::slice::from_raw_parts(pixels, length) }, stride));
    }
    Ok(RawFrame::new(format, size, &bytes)?)
}
