//! The one array of an `.npz`: a ZIP archive of `.npy` files, as `numpy.savez` and `savez_compressed` write it.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::super::{Content, open, unreadable};
use crate::error::{Error, Result};
use crate::study::Source;

/// Far more than any study has, and little enough that a hostile archive does no harm.
const MOST_BYTES: u64 = 4 << 30;
const MAGIC: &[u8] = b"PK\x03\x04";

pub(super) fn is_archive(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The content of the archive's only array.
pub(super) fn read(source: &Source) -> Result<Cursor<Vec<u8>>> {
    let name = source.name();
    let mut archive = ZipArchive::new(open(source)?).map_err(|error| damaged(&name, error))?;
    let members: Vec<_> =
        archive.file_names().collect::<std::result::Result<_, _>>().map_err(|error| damaged(&name, error))?;
    let arrays: Vec<String> =
        members.into_iter().filter(|member| member.ends_with(".npy")).map(Into::into).collect();
    let [array] = &arrays[..] else {
        return Err(Error::input(&name, "an archive with one array", format!("{} arrays", arrays.len()))
            .hint("save the volume alone, with numpy.savez_compressed(file, volume)"));
    };
    let member = archive.by_name(array).map_err(|error| damaged(&name, error))?;
    extract(source, member)
}

fn extract(source: &Source, member: ZipFile<'_, Box<dyn Content + '_>>) -> Result<Cursor<Vec<u8>>> {
    let mut content = Vec::new();
    // The size in the directory may lie; what is read does not.
    member.take(MOST_BYTES + 1).read_to_end(&mut content).map_err(|error| unreadable(source, &error))?;
    match content.len() as u64 > MOST_BYTES {
        true => Err(Error::input(source.name(), format!("at most {MOST_BYTES} bytes unpacked"), "more")),
        false => Ok(Cursor::new(content)),
    }
}

fn damaged(name: &str, error: zip::result::ZipError) -> Error {
    Error::input(name, "a NumPy array, or an .npz archive of one", error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use zip::CompressionMethod;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn archive(members: &[(&str, &[u8])], method: CompressionMethod) -> Source {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(content).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner().into();
        Source::Bytes { name: "volume".into(), bytes }
    }

    #[test]
    fn the_only_array_is_taken() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let source = archive(&[("notes.txt", b"?"), ("arr_0.npy", b"content")], method);
            assert_eq!(read(&source).unwrap().into_inner(), b"content");
        }
    }

    #[test]
    fn any_other_number_is_refused() {
        for members in [&[][..], &[("a.npy", &b"1"[..]), ("b.npy", b"2")]] {
            let error = read(&archive(members, CompressionMethod::Stored)).unwrap_err().to_string();
            assert!(error.contains("one array"), "{error}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let Source::Bytes { bytes, name } = archive(&[("a.npy", &[7; 500])], CompressionMethod::Deflated)
        else {
            unreachable!()
        };
        for cut in 0..bytes.len() {
            let cut = Source::Bytes { name: name.clone(), bytes: bytes[..cut].into() };
            assert!(read(&cut).is_err());
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.to_vec();
            altered[at] ^= 0x55;
            // Not every byte matters; none may panic.
            let _ = read(&Source::Bytes { name: name.clone(), bytes: altered.into() });
        }
    }
}
