//! Clips whose pixels are a video stream: MPEG-2, H.264, HEVC.

use super::super::reading::{Chosen, ReadOptions};
use super::instance::Instance;
use crate::error::Result;
use crate::study::Look;

/// The frames of the stream that are looked at.
///
/// # Errors
/// [`crate::Error::Input`] if the stream is damaged or no video that is read, [`crate::Error::Request`] if a part is asked for
/// that it does not have.
#[cfg(feature = "video")]
pub(super) fn choose(
    name: &str,
    file: &Instance,
    notes: Vec<String>,
    (look, options): (&Look, &ReadOptions),
) -> Result<Box<dyn Chosen>> {
    use super::super::source::Opened;
    use super::super::video;
    use super::frames::Frames;
    use super::times::seconds;
    use crate::error::Error;
    use crate::study::Source;

    let stream = Frames::open(&file.place, &file.scanned, file.layout, options)?.stream()?;
    let source = Source::Bytes { name: name.into(), bytes: stream.into() };
    let frames = file.layout.frames;
    let last = seconds(&file.scanned.set, frames).and_then(|seconds| seconds.last().copied());
    let rate = last.filter(|last| *last > 0.0).map(|last| (frames - 1) as f64 / last);
    let opened = Opened::new(&source, &options.watch)?.at_rate(rate);
    if video::sniff(opened.head()).is_none() {
        return Err(Error::input(name, "a video stream of MPEG-2, H.264 or HEVC", "another")
            .hint("export the clip as MP4"));
    }
    let header = video::open(opened, options)?;
    Ok(Box::new(noted::Noted { chosen: header.choose(look)?, notes }))
}

/// As above, in a library without video.
#[cfg(not(feature = "video"))]
pub(super) fn choose(
    name: &str,
    file: &Instance,
    _: Vec<String>,
    _: (&Look, &ReadOptions),
) -> Result<Box<dyn Chosen>> {
    Err(super::frames::unread(name, file.scanned.syntax.coding)
        .hint("this library was built without the feature `video`"))
}

#[cfg(feature = "video")]
mod noted {
    use super::super::super::reading::{Chosen, Measured, ReadOptions};
    use crate::error::Result;
    use crate::frame::Study;

    /// Frames with something to say of the file that they came from.
    pub(super) struct Noted {
        pub(super) chosen: Box<dyn Chosen>,
        pub(super) notes: Vec<String>,
    }

    impl Chosen for Noted {
        fn measured(&self) -> Measured {
            self.chosen.measured()
        }

        fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
            let mut study = self.chosen.read(options)?;
            let said = std::mem::replace(&mut study.warnings, self.notes);
            study.warnings.extend(said);
            Ok(study)
        }
    }
}
