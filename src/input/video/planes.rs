//! Planes of YUV in memory, converted as the frames of a video are.

use ffmpeg_next as ffmpeg;

use ffmpeg::color;
use ffmpeg::format::Pixel;
use ffmpeg::frame::Video;

use super::super::limits::{Budget, room_for};
use super::container::set_up;
use super::painter::Painter;
use crate::error::{Error, Result};
use crate::frame::{Frame, Provenance};
use crate::study::{RawFrame, Yuv, YuvMatrix, YuvRange};

/// Converts pictures in planes.
pub(in crate::input) struct Planes {
    painter: Painter,
    budget: Budget,
}

impl Planes {
    /// Of a study of so many frames.
    pub(in crate::input) fn new(count: usize, budget: Budget) -> Self {
        set_up();
        Self { painter: Painter::new("", count, budget), budget }
    }

    /// Converts a picture.
    ///
    /// # Errors
    /// [`Error::Input`] if it is too large.
    pub(in crate::input) fn paint(
        &mut self,
        frame: &RawFrame,
        Yuv { matrix, range }: Yuv,
        provenance: Provenance,
    ) -> Result<Frame> {
        let [width, height] = frame.size();
        self.budget.check_pixels("", width, height)?;
        let bytes = frame.planes().iter().map(|plane| plane.len()).sum::<usize>();
        // FFmpeg's rows have gaps of less than 64 bytes.
        room_for("", bytes.saturating_mul(2).saturating_add(3 * 64 * height as usize))?;
        let mut video = Video::new(Pixel::YUV420P, width, height);
        if video.planes() != 3 {
            let wanted = "a picture that FFmpeg takes";
            return Err(Error::input("", wanted, format!("{width}×{height}")).hint("scale it down"));
        }
        video.set_color_space(match matrix {
            YuvMatrix::Bt601 => color::Space::SMPTE170M,
            YuvMatrix::Bt709 => color::Space::BT709,
        });
        video.set_color_range(match range {
            YuvRange::Limited => color::Range::MPEG,
            YuvRange::Full => color::Range::JPEG,
        });
        let half = width.div_ceil(2) as usize;
        let apart;
        let [y, u, v] = match frame.planes() {
            // FFmpeg has another way for NV12, whose colours differ.
            [y, uv] => {
                apart = [0, 1].map(|first| uv.iter().skip(first).step_by(2).copied().collect::<Vec<_>>());
                [y, &apart[0], &apart[1]]
            }
            [y, u, v] => [&**y, u, v],
            other => return Err(Error::input("", "2 or 3 planes", other.len()).hint("hand in YUV")),
        };
        for (plane, (bytes, row)) in [(y, width as usize), (u, half), (v, half)].into_iter().enumerate() {
            let stride = video.stride(plane).max(1);
            let padded = video.data_mut(plane).chunks_mut(stride);
            for (to, from) in padded.zip(bytes.chunks_exact(row)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
        self.painter.paint(&video, provenance)
    }
}
