//! Which frames of a video are looked at.

use crate::error::{Error, Result};
use crate::study::{FrameCount, Look};

/// Which of `frames` frames are looked at, in order, and what there is to say about it.
///
/// The reference script's rule, quirks included: halves round to even, the number of the last frame serves as
/// the length, so that this frame is never reached by two or more, and half a step is added after rounding.
pub(super) fn indices(look: &Look, frames: usize, fps: f64) -> Result<(Vec<usize>, Vec<String>)> {
    let Look { start, end, .. } = *look;
    let mut warnings = Vec::new();
    if start.is_some_and(|start| start < 0.0) {
        warnings.push("The part to look at starts with the video, which nothing comes before.".into());
    }
    let duration = frames as f64 / fps;
    let part = end.unwrap_or(duration).min(duration) - start.unwrap_or(0.0).max(0.0);
    let count = how_many(look.frames.unwrap_or(Look::FRAMES), part.abs(), &mut warnings);
    let last = frames as f64 - 1.0;
    // Stand for bounds that are not given.
    let (earliest, latest) = (-100_000.0, 100_000.0);
    let from = (start.unwrap_or(earliest) * fps).round_ties_even().max(0.0);
    let to = (end.unwrap_or(latest) * fps).round_ties_even().min(last);
    let step = (to - from) / count as f64;
    let mut chosen = Vec::with_capacity(count);
    for i in 0..count {
        let index = (from + step / 2.0 + (step * i as f64).round_ties_even()).trunc();
        if !(0.0..=last).contains(&index) {
            return Err(Error::request(
                "start, end",
                format!("times within the {duration:.3} seconds of the video"),
                format!("{:.3} to {:.3} seconds", start.unwrap_or(0.0), end.unwrap_or(duration)),
            ));
        }
        chosen.push(index as usize);
    }
    if to < from {
        warnings.push("The part to look at ends before it starts: its frames run backwards.".into());
    }
    if end.is_some_and(|end| end > duration) {
        warnings.push(format!("The part to look at ends with the video, after {duration:.3} seconds."));
    }
    if chosen.windows(2).any(|pair| pair[0] == pair[1]) {
        warnings.push(format!("{count} frames are more than there are to look at: some are repeated."));
    }
    Ok((chosen, warnings))
}

/// The number of frames for a part of so many seconds.
fn how_many(count: FrameCount, part: f64, warnings: &mut Vec<String>) -> usize {
    match count {
        FrameCount::PerSecond { max_frames } => {
            // The difference of two decimal times falls short of a whole second by a rounding error.
            let wanted = (part + 1e-9).floor().max(1.0);
            if wanted > max_frames as f64 {
                warnings.push(format!("{part:.1} seconds are looked at in {max_frames} frames only."));
            }
            wanted.min(max_frames as f64) as usize
        }
        FrameCount::Seconds(seconds) => seconds as usize,
        FrameCount::Exactly(count) => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FrameCount::{Exactly, PerSecond, Seconds};

    fn chosen(count: FrameCount, start: Option<f64>, end: Option<f64>) -> Vec<usize> {
        // The length and rate of the reference's test clip.
        indices(&Look { frames: Some(count), start, end, ..Look::default() }, 48, 8.0).unwrap().0
    }

    #[test]
    fn the_reference_scripts_numbers() {
        assert_eq!(chosen(Exactly(6), None, None), [3, 11, 19, 27, 34, 42]);
        assert_eq!(chosen(Seconds(6.9), None, None), [3, 11, 19, 27, 34, 42]);
        assert_eq!(chosen(PerSecond { max_frames: 32 }, None, None), [3, 11, 19, 27, 34, 42]);
        assert_eq!(chosen(PerSecond { max_frames: 2 }, None, None), [11, 35]);
        assert_eq!(chosen(Exactly(12), None, None), [1, 5, 9, 13, 17, 21, 25, 28, 32, 36, 40, 44]);
        assert_eq!(chosen(Exactly(32), None, None)[29..], [43, 44, 46]);
        assert_eq!(chosen(Exactly(4), Some(1.0), Some(3.0)), [10, 14, 18, 22]);
        assert_eq!(chosen(Exactly(4), Some(3.0), Some(1.0)), [22, 18, 14, 10]);
        assert_eq!(chosen(Exactly(3), Some(0.3125), Some(0.4375)), [2, 3, 3], "2.5 and 3.5 round to even");
        assert_eq!(chosen(Exactly(3), Some(0.0), Some(100.0)), [7, 23, 38]);
        assert_eq!(chosen(Exactly(3), Some(-1.0), None), [7, 23, 38]);
        assert_eq!(chosen(Exactly(2), Some(6.0), Some(6.0)), [47, 47]);
        assert_eq!(chosen(PerSecond { max_frames: 9 }, Some(2.3), Some(3.3)).len(), 1);
    }

    #[test]
    fn what_is_not_in_the_clip_is_refused() {
        for (start, end) in [(Some(7.0), None), (None, Some(-1.0))] {
            let look = Look { frames: Some(Exactly(2)), start, end, ..Look::default() };
            let error = indices(&look, 48, 8.0).unwrap_err();
            assert!(matches!(error, Error::Request(_)), "{error}");
        }
    }

    #[test]
    fn what_is_unusual_is_said() {
        let said = |count, start, end, frames| {
            indices(&Look { frames: Some(count), start, end, ..Look::default() }, frames, 8.0)
                .unwrap()
                .1
                .len()
        };
        assert_eq!(said(PerSecond { max_frames: 32 }, None, None, 256), 0);
        assert_eq!(said(PerSecond { max_frames: 32 }, None, None, 264), 1, "capped");
        assert_eq!(said(Exactly(49), None, None, 48), 1, "repeated");
        assert_eq!(said(Exactly(2), Some(3.0), Some(1.0), 48), 1, "backwards");
        assert_eq!(said(Exactly(2), None, Some(7.0), 48), 1, "clamped");
    }
}
