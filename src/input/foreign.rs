//! Names for files that no reader takes.

/// A format that is not read.
struct Foreign {
    name: &'static str,
    hint: &'static str,
    sniff: fn(&[u8]) -> bool,
}

const CONVERT: &str = "convert it to PNG or JPEG";
const UNPACK: &str = "unpack it first";
const ARRAY: &str = "convert it to NIfTI, or save its array with numpy.save, shape (depth, height, width)";

static FORMATS: [Foreign; 13] = [
    Foreign { name: "an empty file", hint: "copy it again", sniff: <[u8]>::is_empty },
    Foreign { name: "an NRRD volume", hint: ARRAY, sniff: |head| head.starts_with(b"NRRD000") },
    Foreign { name: "a MetaImage header", hint: ARRAY, sniff: |head| head.starts_with(b"ObjectType") },
    Foreign { name: "an HDF5 file", hint: ARRAY, sniff: |head| head.starts_with(b"\x89HDF\r\n\x1a\n") },
    Foreign { name: "a MATLAB file", hint: ARRAY, sniff: |head| head.starts_with(b"MATLAB 5.0") },
    Foreign { name: "a gzip file", hint: UNPACK, sniff: |head| head.starts_with(b"\x1f\x8b") },
    Foreign { name: "a bzip2 file", hint: UNPACK, sniff: |head| head.starts_with(b"BZh") },
    Foreign { name: "an xz file", hint: UNPACK, sniff: |head| head.starts_with(b"\xfd7zXZ\0") },
    Foreign { name: "a zstd file", hint: UNPACK, sniff: |head| head.starts_with(b"\x28\xb5\x2f\xfd") },
    Foreign { name: "a HEIC or AVIF image", hint: CONVERT, sniff: is_heif },
    Foreign {
        name: "a JPEG XL image",
        hint: CONVERT,
        sniff: |head| head.starts_with(b"\xff\x0a") || head.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n"),
    },
    Foreign {
        name: "a PDF document",
        hint: "export the page as PNG",
        sniff: |head| head.starts_with(b"%PDF-"),
    },
    Foreign { name: "an SVG or XML file", hint: CONVERT, sniff: is_xml },
];

/// What a file that begins with these bytes is called, and what to do with it.
pub(super) fn name(head: &[u8]) -> (&'static str, &'static str) {
    let known = FORMATS.iter().find(|format| (format.sniff)(head));
    known.map_or(("something else", "check that it is the right file, and whole"), |format| {
        (format.name, format.hint)
    })
}

fn is_heif(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"ftyp")
        && matches!(
            head.get(8..12),
            Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" | b"avif" | b"avis")
        )
}

fn is_xml(head: &[u8]) -> bool {
    head.starts_with(b"<?xml") || head.starts_with(b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_hand_in_is_called_by_its_name() {
        let rows: [(&[u8], &str); 4] = [
            (b"", "an empty file"),
            (b"\x1f\x8b\x08", "a gzip file"),
            (b"\0\0\0\x18ftypheic", "a HEIC or AVIF image"),
            (b"not a picture at all", "something else"),
        ];
        for (head, called) in rows {
            assert_eq!(name(head).0, called);
        }
    }
}
