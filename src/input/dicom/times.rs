//! When the frames of a clip were taken (PS3.3 C.7.6.5).

use super::tag;
use super::value::Item;
use crate::error::{Error, Result};
use crate::study::{FrameCount, Look};

/// Seconds of each frame from the first one on; `None` if the file does not say.
pub(super) fn seconds(set: &Item, frames: usize) -> Option<Vec<f64>> {
    let steps = set.numbers(tag::FRAME_TIME_VECTOR);
    if steps.len() == frames && steps.iter().all(|step| *step >= 0.0) {
        let mut passed = 0.0;
        // The first number says how long before it the first frame began.
        return Some(
            steps
                .iter()
                .enumerate()
                .map(|(place, step)| {
                    passed += if place == 0 { 0.0 } else { *step };
                    passed / 1000.0
                })
                .collect(),
        );
    }
    let step = match (set.number(tag::FRAME_TIME), set.number(tag::CINE_RATE)) {
        (Some(step), _) => step / 1000.0,
        (None, Some(rate)) => 1.0 / rate,
        (None, None) => return None,
    };
    (step.is_finite() && step > 0.0).then(|| (0..frames).map(|frame| frame as f64 * step).collect())
}

/// Which frames are looked at, and what there is to say of it: those in the middle of as many parts of equal numbers of
/// frames. Times say which part of the clip is looked at, and how many frames are one a second.
///
/// # Errors
/// [`Error::Request`] if a part is asked of a clip without times, or one that is not in it.
pub(super) fn chosen(
    look: &Look,
    frames: usize,
    seconds: Option<&[f64]>,
) -> Result<(Vec<usize>, Vec<String>)> {
    let mut notes = Vec::new();
    let count = look.frames.unwrap_or(Look::FRAMES);
    let Some(seconds) = seconds else {
        if look.start.is_some() || look.end.is_some() {
            return Err(Error::request(
                "start, end",
                "a clip that states the times of its frames",
                "one that does not",
            )
            .hint("leave start and end out"));
        }
        let wanted = match count {
            FrameCount::PerSecond { max_frames } => frames.min(max_frames),
            FrameCount::Seconds(seconds) => seconds as usize,
            FrameCount::Exactly(count) => count,
        };
        let places: Vec<_> = evenly(frames, wanted).collect();
        notes.push("The clip does not state the times of its frames.".into());
        repeated(&places, &mut notes);
        return Ok((places, notes));
    };
    // The last frame is shown as long as those before it.
    let last = seconds.last().copied().unwrap_or(0.0);
    let duration = if frames > 1 { last * frames as f64 / (frames - 1) as f64 } else { 0.0 };
    let (from, to) = (look.start.unwrap_or(0.0).max(0.0), look.end.unwrap_or(duration).min(duration));
    if to < from || from > last {
        let got = format!("{:.3} to {:.3} seconds", look.start.unwrap_or(0.0), look.end.unwrap_or(duration));
        return Err(Error::request(
            "start, end",
            format!("times within the {duration:.3} seconds of the clip"),
            got,
        )
        .hint("correct them, or leave them out"));
    }
    let wanted = match count {
        // The difference of two decimal times falls short of a whole second by a rounding error.
        FrameCount::PerSecond { max_frames } => {
            ((to - from + 1e-9).floor().max(1.0) as usize).min(max_frames)
        }
        FrameCount::Seconds(seconds) => seconds as usize,
        FrameCount::Exactly(count) => count,
    };
    // From the frame that is shown when the part begins to the last that begins before it ends.
    let first = seconds.partition_point(|second| *second <= from).saturating_sub(1);
    let end = seconds.partition_point(|second| *second < to).max(first + 1);
    let places: Vec<_> = evenly(end - first, wanted).map(|place| first + place).collect();
    if let (None, true) = (look.frames, wanted < frames.min(8)) {
        notes.push(format!(
            "Of {frames} frames in {duration:.1} seconds {wanted} are looked at, one a second; the option frames shows more."
        ));
    }
    repeated(&places, &mut notes);
    Ok((places, notes))
}

/// The places in the middle of `wanted` equal parts of `frames`.
fn evenly(frames: usize, wanted: usize) -> impl Iterator<Item = usize> {
    (0..wanted).map(move |part| (2 * part + 1) * frames / (2 * wanted))
}

fn repeated(places: &[usize], notes: &mut Vec<String>) {
    if places.windows(2).any(|pair| pair[0] == pair[1]) {
        notes.push(format!("{} frames are more than there are to look at: some are repeated.", places.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tag::Form;
    use super::super::value::Value;
    use super::*;

    fn set(values: &[(u32, &str)]) -> Item {
        let mut set = Item::default();
        for (tag, text) in values {
            set.push(*tag, Value::Plain(Form::Text, text.as_bytes().to_vec()));
        }
        set
    }

    #[test]
    fn times_are_steps_or_their_sum() {
        assert_eq!(seconds(&set(&[(tag::FRAME_TIME, "40")]), 3).unwrap(), [0.0, 0.04, 0.08]);
        assert_eq!(seconds(&set(&[(tag::FRAME_TIME_VECTOR, "5\\20\\60")]), 3).unwrap(), [0.0, 0.02, 0.08]);
        assert_eq!(seconds(&set(&[(tag::CINE_RATE, "2")]), 2).unwrap(), [0.0, 0.5]);
        for none in [set(&[]), set(&[(tag::FRAME_TIME, "0")]), set(&[(tag::CINE_RATE, "0")])] {
            assert_eq!(seconds(&none, 3), None);
        }
    }

    #[test]
    fn frames_are_taken_from_the_middle_of_equal_parts() {
        let look = |count| Look::default().frames(FrameCount::Exactly(count));
        let even: Vec<f64> = (0..10).map(|frame| f64::from(frame) * 0.5).collect();
        for (look, times, wanted) in [
            (look(5), Some(&even[..]), &[1, 3, 5, 7, 9][..]),
            (look(5), None, &[1, 3, 5, 7, 9]),
            (Look::default(), Some(&even), &[1, 3, 5, 7, 9]),
            (Look::default(), None, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (look(2).start(1.0).end(3.0), Some(&even), &[3, 5]),
            (look(1), Some(&[0.0, 0.1, 4.0, 4.1][..]), &[2]),
            (look(4), Some(&[0.0, 0.1, 4.0, 4.1]), &[0, 1, 2, 3]),
        ] {
            assert_eq!(chosen(&look, times.map_or(10, <[f64]>::len), times).unwrap().0, wanted);
        }
        assert!(chosen(&look(2).start(1.0), 10, None).is_err());
        assert!(chosen(&look(2).start(9.0), 10, Some(&even)).is_err());
    }
}
