//! From decoded frames to upright RGB.

use ffmpeg_next as ffmpeg;

use ffmpeg::filter;
use ffmpeg::frame::Video;

use super::super::limits::{Budget, collected};
use crate::error::{Error, Result};
use crate::frame::{Frame, PixelMode, Provenance};

/// Converts frames of one stream.
pub(super) struct Painter {
    /// Filters that stand the picture upright, each with a comma after it.
    rotation: &'static str,
    /// Frames of the study to be, repeats included.
    copies: usize,
    budget: Budget,
    /// Made for frames of this pixel format, width and height, which may change within a stream.
    filters: Option<((ffmpeg::format::Pixel, u32, u32), filter::Graph)>,
    /// Bits of a sample of the frames that came, at most.
    pub(super) depth: u32,
}

impl Painter {
    pub(super) fn new(rotation: &'static str, copies: usize, budget: Budget) -> Self {
        Self { rotation, copies, budget, filters: None, depth: 0 }
    }

    /// Converts a frame, whose pixels the filters take away.
    ///
    /// # Errors
    /// [`Error::Input`] if FFmpeg cannot, or there are too many pixels.
    pub(super) fn paint(&mut self, frame: &Video, provenance: Provenance) -> Result<Frame> {
        let unfit = |e| {
            Error::input("", "pixels that FFmpeg converts to RGB", e)
                .hint("convert it anew: ffmpeg -i FILE -pix_fmt yuv420p NEW.mp4")
        };
        self.depth = self.depth.max(depth(frame.format()));
        let shape = (frame.format(), frame.width(), frame.height());
        if self.filters.as_ref().is_none_or(|(of, _)| *of != shape) {
            self.filters = Some((shape, graph(frame, self.rotation).map_err(unfit)?));
        }
        let missing = ffmpeg::Error::FilterNotFound;
        let mut rgb = Video::empty();
        if let Some((_, graph)) = &mut self.filters {
            graph.get("in").ok_or(missing).and_then(|mut c| c.source().add(frame)).map_err(unfit)?;
            graph.get("out").ok_or(missing).and_then(|mut c| c.sink().frame(&mut rgb)).map_err(unfit)?;
        }
        let (width, height) = (rgb.width(), rgb.height());
        let row = 3 * width as usize;
        self.budget.check_study("", &vec![[width, height]; self.copies], 3)?;
        let rows = rgb.data(0).chunks(rgb.stride(0).max(1)).take(height as usize);
        let samples = rows.flat_map(|padded| padded.iter().take(row)).copied();
        let samples = collected("", row * height as usize, samples)?;
        Frame::new(width, height, PixelMode::Rgb, samples, provenance)
    }
}

/// Bits of a sample, from FFmpeg's bits of a pixel: the second and third component may be of fewer samples than pixels.
fn depth(format: ffmpeg::format::Pixel) -> u32 {
    let Some(format) = format.descriptor() else { return 0 };
    let shared = u32::from(format.log2_chroma_w() + format.log2_chroma_h());
    let samples: u32 =
        (0..format.nb_components()).map(|c| if matches!(c, 1 | 2) { 1 } else { 1 << shared }).sum();
    ((format.bits_per_pixel().max(0) as u32) << shared) / samples.max(1)
}

/// From a frame like this one to upright RGB. The filters read matrix and range of each frame's tags. How chroma
/// is enlarged matters only off the usual path (odd heights, more than 8 bits): `bilinear` is decord's way there.
fn graph(like: &Video, rotation: &str) -> std::result::Result<filter::Graph, ffmpeg::Error> {
    let find = |name| filter::find(name).ok_or(ffmpeg::Error::FilterNotFound);
    let format = like.format().descriptor().ok_or(ffmpeg::Error::InvalidData)?.name();
    let size = format!("video_size={}x{}", like.width(), like.height());
    let mut graph = filter::Graph::new();
    graph.add(&find("buffer")?, "in", &format!("{size}:pix_fmt={format}:time_base=1/1:pixel_aspect=1/1"))?;
    graph.add(&find("buffersink")?, "out", "")?;
    // `copy` for rows that follow each other downwards: raw bottom-up frames may pass `scale` untouched.
    let chain = format!("{rotation}scale=flags=bilinear,format=pix_fmts=rgb24,copy");
    graph.output("in", 0)?.input("out", 0)?.parse(&chain)?;
    graph.validate()?;
    Ok(graph)
}
