//! What a frame is, in a few words.

use crate::frame::{Modality, Provenance};
use crate::request::FrameUsed;

/// A study by its kind and number, and the frames that came from it.
pub(super) struct Numbered<'a> {
    /// `volume 2`
    pub(super) name: String,
    pub(super) frames: &'a [FrameUsed],
}

/// The studies that frames came from, numbered by kind.
pub(super) fn studies(frames: &[FrameUsed]) -> Vec<Numbered<'_>> {
    let (mut images, mut videos, mut volumes) = (0, 0, 0);
    let parts = frames.chunk_by(|one, next| one.study == next.study);
    let numbered = parts.filter_map(|frames| {
        let modality = frames.first()?.provenance.modality;
        let (word, count) = match modality {
            Modality::Video => ("video", &mut videos),
            Modality::Volume => ("volume", &mut volumes),
            _ => ("image", &mut images),
        };
        *count += 1;
        Some(Numbered { name: format!("{word} {count}"), frames })
    });
    numbered.collect()
}

/// What each tile is, as parts that fit a line.
pub(super) fn labels(frames: &[FrameUsed]) -> Vec<Vec<String>> {
    let mut labels = Vec::new();
    for study in studies(frames) {
        for frame in study.frames {
            let label = [vec![study.name.clone()], place(&frame.provenance)].concat();
            labels.extend((1..=frame.tiles).map(|tile| match frame.tiles {
                1 => label.clone(),
                tiles => [label.clone(), vec![format!("tile {tile} of {tiles}")]].concat(),
            }));
        }
    }
    labels
}

/// Where in its study a frame lies, and what became black and white.
fn place(place: &Provenance) -> Vec<String> {
    let mut parts = Vec::new();
    match (place.modality, place.slices, place.index) {
        (Modality::Volume, Some([first, last]), _) => parts.push(format!("slices {first}-{last}")),
        (Modality::Volume, _, Some(index)) => parts.push(format!("slice {index}")),
        (_, _, Some(index)) => parts.push(format!("frame {index}")),
        _ => {}
    }
    parts.extend(place.seconds.map(|seconds| format!("{seconds:.1} s")));
    parts.extend(place.position_mm.map(|position| format!("{position:.1} mm")));
    parts.extend(place.window.map(|[low, high]| format!("{} to {}", short(low), short(high))));
    parts
}

/// A number as it is read at a glance.
pub(super) fn short(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.1}").trim_end_matches(".0").to_owned(),
        0.0 => "0".into(),
        _ => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(study: usize, provenance: Provenance, tiles: usize) -> FrameUsed {
        FrameUsed { source: "DOE^JANE.png".into(), study, provenance, tiles }
    }

    #[test]
    fn labels_number_studies_of_a_kind_and_name_no_file() {
        let video = |index| Provenance::video(index, index as f64 / 8.0);
        let volume = |index| Provenance::volume(index, [-160.0, 240.0]);
        let slab = Provenance { slices: Some([3, 4]), position_mm: Some(-62.25), ..volume(3) };
        let frames = [
            frame(0, Provenance::default(), 1),
            frame(1, volume(0), 1),
            frame(1, volume(12), 1),
            frame(2, Provenance::default(), 2),
            frame(3, slab, 1),
            frame(4, video(11), 1),
        ];
        let labels: Vec<_> = labels(&frames).iter().map(|parts| parts.join(" ")).collect();
        let wanted = [
            "image 1",
            "volume 1 slice 0 -160 to 240",
            "volume 1 slice 12 -160 to 240",
            "image 2 tile 1 of 2",
            "image 2 tile 2 of 2",
            "volume 2 slices 3-4 -62.2 mm -160 to 240",
            "video 1 frame 11 1.4 s",
        ];
        assert_eq!(labels, wanted);
    }

    #[test]
    fn numbers_are_short() {
        let read = [-1000.0, 12.34, 3.0, 0.0, 0.12345].map(short);
        assert_eq!(read, ["-1000", "12.3", "3", "0", "0.123"]);
    }
}
