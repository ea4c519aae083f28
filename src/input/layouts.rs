//! Pictures that the caller already has, in the layouts of cameras and decoders.

use super::image;
use super::limits::collected;
use super::reading::{Chosen, Measured, ReadOptions};
use super::stored;
#[cfg(feature = "video")]
use super::video;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::study::{PixelFormat, RawFrame, RawFrames, Yuv};

/// The frames of pictures in memory.
///
/// # Errors
/// [`Error::Input`] if there are none, or they have not the times that their kind asks for; [`Error::Request`] if there are too
/// many.
pub(super) fn open(frames: RawFrames) -> Result<Box<dyn Chosen>> {
    let RawFrames { source, modality, .. } = &frames;
    stored::check_count(source, frames.frames.len())?;
    let refuse = |thing: &str, wanted: &str, got: String| {
        Err(Error::input(format!("{source}: {thing}"), wanted, got).hint("correct it"))
    };
    let (count, times) = (frames.frames.len(), frames.seconds.len());
    match modality {
        Modality::Volume => refuse("modality", "image or video", modality.name().into()),
        Modality::Image if count > 1 => refuse("frames", "1, of an image", count.to_string()),
        Modality::Image if times > 0 => refuse("seconds", "none, of an image", times.to_string()),
        Modality::Video if times != count => refuse("seconds", "a time for each frame", times.to_string()),
        _ => match frames.seconds.iter().find(|time| !time.is_finite()) {
            Some(time) => refuse("seconds", "finite times", time.to_string()),
            None => Ok(Box::new(Handed(frames)) as Box<dyn Chosen>),
        },
    }
}

struct Handed(RawFrames);

impl Chosen for Handed {
    fn measured(&self) -> Measured {
        let sizes: Vec<_> = self.0.frames.iter().map(RawFrame::size).collect();
        Measured { modality: self.0.modality, count: sizes.len(), sizes }
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let RawFrames { source, modality, frames, seconds } = self.0;
        let mut converter = Converter::new(&source, frames.len(), options);
        let mut made = Vec::with_capacity(frames.len());
        for (index, frame) in frames.iter().enumerate() {
            options.watch.check()?;
            options.watch.tell(index, frames.len());
            let provenance = match seconds.get(index) {
                Some(&seconds) => Provenance::video(index, seconds),
                None => Provenance::default(),
            };
            made.push(converter.frame(frame, provenance)?);
        }
        let warnings = converter.remarks;
        Ok(Study { modality, source, frames: made, warnings })
    }
}

/// From pixels in any layout to frames.
struct Converter<'a> {
    source: &'a str,
    options: &'a ReadOptions,
    /// What there is to say, each once.
    remarks: Vec<String>,
    #[cfg(feature = "video")]
    planes: video::Planes,
}

impl<'a> Converter<'a> {
    fn new(source: &'a str, count: usize, options: &'a ReadOptions) -> Self {
        #[cfg(not(feature = "video"))]
        let _ = count;
        Self {
            source,
            options,
            remarks: Vec::new(),
            #[cfg(feature = "video")]
            planes: video::Planes::new(count, options.budget),
        }
    }

    fn frame(&mut self, frame: &RawFrame, provenance: Provenance) -> Result<Frame> {
        let [width, height] = frame.size();
        let [first, ..] = frame.planes() else {
            return Err(Error::input(self.source, "a picture", "none").hint("hand one in"));
        };
        let made = match frame.format() {
            PixelFormat::Rgb => return Frame::new(width, height, PixelMode::Rgb, first.clone(), provenance),
            PixelFormat::Grey => {
                return Frame::new(width, height, PixelMode::Grey, first.clone(), provenance);
            }
            PixelFormat::Bgr => (PixelMode::Rgb, self.turned::<3>(first)?),
            PixelFormat::Rgba => self.on_a_ground(frame, first.to_vec())?,
            PixelFormat::Bgra => self.on_a_ground(frame, self.turned::<4>(first)?)?,
            PixelFormat::Nv12(yuv) | PixelFormat::I420(yuv) => return self.yuv(frame, yuv, provenance),
        };
        Frame::new(width, height, made.0, made.1, provenance)
    }

    /// Red, green, blue of blue, green, red, with what comes behind them.
    fn turned<const N: usize>(&self, samples: &[u8]) -> Result<Vec<u8>> {
        let turned = samples.as_chunks::<N>().0.iter().flat_map(|pixel| {
            let mut pixel = *pixel;
            pixel.swap(0, 2);
            pixel
        });
        collected(self.source, samples.len(), turned)
    }

    /// What can be seen through, as a file of it would go on.
    fn on_a_ground(&mut self, frame: &RawFrame, rgba: Vec<u8>) -> Result<(PixelMode, Vec<u8>)> {
        let [width, height] = frame.size();
        let (mode, samples, remarks) =
            image::of_rgba(self.source, ((width, height), rgba), self.options.preprocessing)?;
        for remark in remarks {
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
        Ok((mode, samples))
    }

    #[cfg(feature = "video")]
    fn yuv(&mut self, frame: &RawFrame, yuv: Yuv, provenance: Provenance) -> Result<Frame> {
        self.planes.paint(frame, yuv, provenance).map_err(|mut error| {
            error.facts_mut().thing = self.source.to_owned();
            error
        })
    }

    #[cfg(not(feature = "video"))]
    fn yuv(&mut self, frame: &RawFrame, _: Yuv, _: Provenance) -> Result<Frame> {
        Err(Error::input(self.source, "a build that converts YUV as it does videos", frame.format().name())
            .hint("this library was built without the feature `video`: hand in RGB"))
    }
}

#[cfg(test)]
mod tests;
