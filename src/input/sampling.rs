//! Which frames of a video are looked at.

use crate::error::{Error, Result};
use crate::study::{FrameCount, Look};

/// Which of `frames` frames are looked at, in order, and what there is to say about it.
///
/// The reference script's rule, quirks included: halves round to even, the number of the last frame serves as
/// the length, so that this frame is never reached by two or more, and half a step is added after rounding.
pub(super) fn indices(look: &Look, frames: usize, fps: f64) -> Result<(Vec<usize>, Vec<String>)> {
    let Look { start, end, .. } = *look;
    let duration = frames as f64 / fps;
    let (count, mut warnings) = how_many(look, duration);
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
            return Err(outside(look, duration));
        }
        chosen.push(index as usize);
    }
    if to < from {
        warnings.push(BACKWARDS.into());
    }
    if chosen.windows(2).any(|pair| pair[0] == pair[1]) {
        warnings.push(format!("{count} frames are more than there are to look at: some are repeated."));
    }
    Ok((chosen, warnings))
}

/// Which frames of an uneven video of so many seconds are looked at, in order, and what there is to say about it: the
/// part is divided evenly, and in the middle of each division the frame on display is taken.
pub(super) fn by_time(
    look: &Look,
    duration: f64,
    on_display: impl Fn(f64) -> usize,
) -> Result<(Vec<usize>, Vec<String>)> {
    let (start, end) = (look.start.unwrap_or(0.0).max(0.0), look.end.unwrap_or(duration).min(duration));
    if start > duration || end < 0.0 {
        return Err(outside(look, duration));
    }
    let (count, mut warnings) = how_many(look, duration);
    let time = |i| start + (end - start) * (i as f64 + 0.5) / count as f64;
    let chosen: Vec<usize> = (0..count).map(|i| on_display(time(i))).collect();
    if end < start {
        warnings.push(BACKWARDS.into());
    }
    if chosen.windows(2).any(|pair| pair[0] == pair[1]) {
        warnings
            .push("Where a frame stays on display from one chosen time to the next, it is repeated.".into());
    }
    Ok((chosen, warnings))
}

const BACKWARDS: &str = "The part to look at ends before it starts: its frames run backwards.";

fn outside(look: &Look, duration: f64) -> Error {
    Error::request(
        "start, end",
        format!("times within the {duration:.3} seconds of the video"),
        format!("{:.3} to {:.3} seconds", look.start.unwrap_or(0.0), look.end.unwrap_or(duration)),
    )
    .hint("correct them, or leave them out")
}

/// The number of frames, and what there is to say of the part that they are taken from.
fn how_many(look: &Look, duration: f64) -> (usize, Vec<String>) {
    let mut warnings = Vec::new();
    if look.start.is_some_and(|start| start < 0.0) {
        warnings.push("The part to look at starts with the video, which nothing comes before.".into());
    }
    if look.end.is_some_and(|end| end > duration) {
        warnings.push(format!("The part to look at ends with the video, after {duration:.3} seconds."));
    }
    let part = look.end.unwrap_or(duration).min(duration) - look.start.unwrap_or(0.0).max(0.0);
    let part = part.abs();
    let count = match look.frames.unwrap_or(Look::FRAMES) {
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
    };
    (count, warnings)
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

    /// 150 frames in five seconds, then one a second: frame 150 at 5 s, frame 169 at 24 s.
    fn slowed(look: Look) -> Result<(Vec<usize>, Vec<String>)> {
        by_time(&look, 24.0 + 1.0 / 30.0, |time| match time {
            5.0.. => 145 + time as usize,
            _ => (time * 30.0) as usize,
        })
    }

    #[test]
    fn an_uneven_clip_is_divided_by_time() {
        let look = Look::default;
        let frames = |look| slowed(look).unwrap().0;
        assert_eq!(frames(look()).len(), 24);
        assert_eq!(frames(look())[..2], [15, 45]);
        assert_eq!(frames(look())[23], 168);
        let ten = look().frames(Exactly(10)).start(10.0).end(20.0);
        assert_eq!(frames(ten), (155..165).collect::<Vec<_>>());
        assert_eq!(frames(look().frames(Exactly(2)).start(20.0).end(10.0)), [162, 157]);
        assert_eq!(frames(look().frames(Exactly(2)).start(7.5).end(7.5)), [152, 152]);
        assert_eq!(frames(look().frames(Exactly(1)).start(-5.0).end(99.0)), [157]);
        assert!(slowed(look().start(25.0)).is_err() && slowed(look().end(-1.0)).is_err());
        assert_eq!(slowed(look().frames(Exactly(2)).start(20.0).end(10.0)).unwrap().1.len(), 1, "backwards");
        assert_eq!(slowed(look().frames(Exactly(40))).unwrap().1.len(), 1, "repeated");
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
