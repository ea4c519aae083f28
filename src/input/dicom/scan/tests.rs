use super::super::super::source::Opened;
use super::super::writer::{DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Length, Set};
use super::*;
use crate::study::Source;
use crate::watch::Watch;

fn scanned(bytes: &[u8]) -> Result<Option<Scanned>> {
    let source = Source::Bytes { name: "file".into(), bytes: bytes.into() };
    let mut opened = Opened::new(&source, &Watch::default()).unwrap();
    scan(Stream::of_opened("file", &mut opened)?)
}

/// A picture of two pixels, a sequence that is kept and one that is not, and a name.
fn set(length: Length) -> Set {
    let icon = Set::default().words(tag::ROWS, b"US", &[7]).fragments(vec![vec![], vec![1, 2, 3]]);
    let table =
        Set::default().words(tag::LUT_DESCRIPTOR, b"US", &[2, 0, 8]).bytes(tag::LUT_DATA, b"OW", &[1, 2]);
    Set::default()
        .text(tag::MODALITY, b"CS", "CT")
        .items(0x0008_1140, length, vec![Set::default().text(tag::MODALITY, b"CS", "MR"), Set::default()])
        .text(0x0010_0010, b"PN", "Name^Patient")
        .text(tag::RESCALE_SLOPE, b"DS", "2.5")
        .words(tag::ROWS, b"US", &[1])
        .words(tag::COLUMNS, b"US", &[2])
        .items(tag::MODALITY_LUT_SEQUENCE, length, vec![table])
        .items(0x0088_0200, length, vec![icon])
        .words(tag::PIXEL_DATA, b"OW", &[513, 1])
}

#[test]
fn every_way_of_writing_gives_the_same_elements() {
    for length in [Length::Stated, Length::Marked] {
        for syntax in [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED] {
            let found = scanned(&set(length).file(syntax)).unwrap().unwrap();
            let set = &found.set;
            assert_eq!(set.word(tag::MODALITY), Some("CT"), "{syntax}");
            assert_eq!((set.whole(tag::ROWS), set.whole(tag::COLUMNS)), (Some(1), Some(2)), "{syntax}");
            assert_eq!(set.number(tag::RESCALE_SLOPE), Some(2.5));
            let table = set.first(tag::MODALITY_LUT_SEQUENCE).unwrap();
            assert_eq!(table.numbers(tag::LUT_DESCRIPTOR), [2.0, 0.0, 8.0], "{syntax}");
            assert_eq!(set.bytes(0x0010_0010).map(|(_, bytes)| bytes), None, "names are not kept");
            let pixels = found.pixels.unwrap();
            assert_eq!((pixels.kind, pixels.length), (PixelKind::Integer, Some(4)));
            assert_eq!(pixels.deflated_from.is_some(), syntax == DEFLATED);
        }
    }
}

#[test]
fn what_a_file_says_of_itself_may_be_wrong() {
    let whole = set(Length::Marked);
    let explicit = whole.file(EXPLICIT_LITTLE);
    let bare = whole.written(EXPLICIT);
    let bare_implicit = whole.written(IMPLICIT);
    let big = whole.written(Encoding { explicit: true, big_endian: true });
    let implicit_as_explicit = [&explicit[..explicit.len() - bare.len()], &bare_implicit].concat();
    let without_meta = [&[0; 128], &b"DICM"[..], &bare].concat();
    let unknown = {
        let set = whole.clone().without(tag::RESCALE_SLOPE).with(Set::default().bytes(
            tag::RESCALE_SLOPE,
            b"UN",
            b"2.5 ",
        ));
        set.file(EXPLICIT_LITTLE)
    };
    for (name, bytes) in [
        ("bare", &bare),
        ("bare implicit", &bare_implicit),
        ("bare big endian", &big),
        ("implicit as explicit", &implicit_as_explicit),
        ("without a meta group", &without_meta),
        ("of unknown representation", &unknown),
    ] {
        let found = scanned(bytes).unwrap().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(found.set.number(tag::RESCALE_SLOPE), Some(2.5), "{name}");
        assert!(found.pixels.is_some(), "{name}");
    }
    assert!(scanned(b"this is no DICOM file, whatever its name").unwrap().is_none());
}

/// Sequences within sequences, all of which end by a mark, if they do.
fn nested(levels: usize, ended: bool) -> Vec<u8> {
    let set = Set::default().text(tag::MODALITY, b"CS", "CT").file(EXPLICIT_LITTLE);
    let begin = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff".repeat(levels);
    let end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0".repeat(if ended { levels } else { 0 });
    [set, begin, end].concat()
}

#[test]
fn nesting_is_bounded_and_needs_no_stack() {
    assert!(scanned(&nested(150, true)).unwrap().is_some());
    let error = scanned(&nested(150, false)).err().unwrap();
    assert!(error.to_string().contains("ends"), "{error}");
    let error = scanned(&nested(100_000, true)).err().unwrap();
    assert!(error.to_string().contains("nested"), "{error}");
}

#[test]
fn lengths_are_held_against_the_file() {
    let set = Set::default().text(tag::MODALITY, b"CS", "CT").file(EXPLICIT_LITTLE);
    let huge = [&set[..], b"\x29\0\x10\x10OB\0\0\xf0\xff\xff\xffxxxx"].concat();
    let kept = [&set[..], b"\x28\0\x06\x30OW\0\0\xf0\xff\xff\x02xxxx"].concat();
    let beyond = [&set[..], b"\x28\0\x06\x30OW\0\0\xf0\xff\xff\xffxxxx"].concat();
    for (bytes, said) in [(huge, "ends"), (kept, "ends"), (beyond, "at most")] {
        let error = scanned(&bytes).err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_read_or_refused() {
    for syntax in [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED] {
        let whole = set(Length::Marked).file(syntax);
        for end in 0..whole.len() {
            match scanned(&whole[..end]) {
                Ok(Some(found)) => {
                    assert!(found.pixels.is_none() || end + 4 >= whole.len() || syntax == DEFLATED)
                }
                Ok(None) | Err(Error::Input(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_bring_it_down(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        places in proptest::collection::vec((0_usize..400, proptest::num::u8::ANY), 1..6),
    ) {
        let _ = scanned(&[&[0; 128], &b"DICM"[..], &bytes].concat());
        let mut spoilt = set(Length::Marked).file(EXPLICIT_LITTLE);
        for (place, byte) in places {
            let place = place % spoilt.len();
            spoilt[place] = byte;
        }
        let _ = scanned(&spoilt);
    }
}
