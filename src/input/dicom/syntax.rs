//! Transfer syntaxes: how a data set and its pixels are written (PS3.5, PS3.6 Table A-1).

/// How a data set and its pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) encoding: Encoding,
    /// Whether everything behind the meta group is compressed.
    pub(super) deflated: bool,
    pub(super) coding: Coding,
}

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Whether each element states its value representation.
    pub(super) explicit: bool,
    pub(super) big_endian: bool,
}

/// How pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As numbers, in the order of the data set.
    Native,
    /// As big-endian numbers in a little-endian data set: General Electric's own syntax.
    NativeBigEndian,
    Rle,
    /// Baseline, extended or lossless: the stream says which.
    Jpeg,
    JpegLs,
    /// With either block coder: HTJ2K too.
    Jpeg2000,
    /// A video stream: MPEG-2, H.264 or HEVC.
    Video,
    /// One that is not read, by its name.
    Unread(&'static str),
}

impl Coding {
    /// A word for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Coding::Native | Coding::NativeBigEndian => "not compressed",
            Coding::Rle => "RLE",
            Coding::Jpeg => "JPEG",
            Coding::JpegLs => "JPEG-LS",
            Coding::Jpeg2000 => "JPEG 2000",
            Coding::Video => "a video stream",
            Coding::Unread(name) => name,
        }
    }
}

pub(super) const IMPLICIT: Encoding = Encoding { explicit: false, big_endian: false };
pub(super) const EXPLICIT: Encoding = Encoding { explicit: true, big_endian: false };
const BIG: Encoding = Encoding { explicit: true, big_endian: true };

/// The syntax of a data set that states none.
pub(super) const DEFAULT: Syntax = Syntax { encoding: IMPLICIT, deflated: false, coding: Coding::Native };

/// UIDs that begin with this are the standard's.
const STANDARD: &str = "1.2.840.10008.1.2";

impl Syntax {
    /// The syntax with this UID. One that is not known is taken to be a compressed one, as all new ones are.
    pub(super) fn of(uid: &str) -> Self {
        let plain = |encoding| Self { encoding, ..DEFAULT };
        let coded = |coding| Self { encoding: EXPLICIT, coding, deflated: false };
        if uid == "1.2.840.113619.5.2" {
            return Self { coding: Coding::NativeBigEndian, ..DEFAULT };
        }
        match uid.strip_prefix(STANDARD) {
            Some("") => DEFAULT,
            Some(".1" | ".1.98") => plain(EXPLICIT),
            Some(".1.99") => Self { deflated: true, ..plain(EXPLICIT) },
            Some(".2") => plain(BIG),
            Some(".5") => coded(Coding::Rle),
            Some(".4.50" | ".4.51" | ".4.52" | ".4.53" | ".4.54" | ".4.55" | ".4.56" | ".4.57" | ".4.70") => {
                coded(Coding::Jpeg)
            }
            Some(".4.80" | ".4.81") => coded(Coding::JpegLs),
            Some(".4.90" | ".4.91" | ".4.92" | ".4.93" | ".4.201" | ".4.202" | ".4.203") => {
                coded(Coding::Jpeg2000)
            }
            Some(".4.94" | ".4.95" | ".4.204" | ".4.205") => {
                coded(Coding::Unread("pixels on another machine (JPIP)"))
            }
            Some(".4.110" | ".4.111" | ".4.112") => coded(Coding::Unread("JPEG XL")),
            Some(rest) if is_video(rest) => coded(Coding::Video),
            _ => coded(Coding::Unread("an unknown transfer syntax")),
        }
    }
}

/// MPEG-2, H.264 and HEVC, whole or in fragments.
fn is_video(rest: &str) -> bool {
    let number = rest.strip_prefix(".4.").and_then(|number| number.split('.').next()?.parse().ok());
    number.is_some_and(|number: u32| (100..=108).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_numbers_are_known() {
        for (uid, explicit, deflated, coding) in [
            ("1.2.840.10008.1.2", false, false, Coding::Native),
            ("1.2.840.10008.1.2.1", true, false, Coding::Native),
            ("1.2.840.10008.1.2.1.99", true, true, Coding::Native),
            ("1.2.840.10008.1.2.2", true, false, Coding::Native),
            ("1.2.840.10008.1.2.4.70", true, false, Coding::Jpeg),
            ("1.2.840.10008.1.2.4.203", true, false, Coding::Jpeg2000),
            ("1.2.840.10008.1.2.4.102.1", true, false, Coding::Video),
            ("1.2.840.10008.1.2.5", true, false, Coding::Rle),
            ("1.2.3", true, false, Coding::Unread("an unknown transfer syntax")),
        ] {
            let syntax = Syntax::of(uid);
            assert_eq!(
                (syntax.encoding.explicit, syntax.deflated, syntax.coding),
                (explicit, deflated, coding),
                "{uid}"
            );
        }
        assert!(Syntax::of("1.2.840.10008.1.2.2").encoding.big_endian);
    }
}
