//! What a PNG says beside its pixels.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::super::orientation::Orientation;

/// Bytes of an unpacked text.
const MOST_TEXT: u64 = 1 << 20;

/// The chunks of a file: name and content of each.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        let content = after.get(..u32::from_be_bytes(*length) as usize)?;
        // A check sum of 4 bytes follows the content.
        rest = after.get(content.len() + 4..).unwrap_or_default();
        Some((name, content))
    })
}

/// Whether the file makes a colour or an entry of its palette transparent.
pub(super) fn has_transparency(bytes: &[u8]) -> bool {
    chunks(bytes).any(|(name, _)| name == b"tRNS")
}

/// How many pictures it says its animation has; none if it is none.
pub(super) fn announced(bytes: &[u8]) -> Option<u32> {
    let (_, content) = chunks(bytes).find(|(name, _)| *name == b"acTL")?;
    content.first_chunk().map(|&count| u32::from_be_bytes(count)).filter(|count| *count > 0)
}

/// Of each picture of an animation, how long it is shown, in seconds.
pub(super) fn delays(bytes: &[u8]) -> impl Iterator<Item = f64> {
    chunks(bytes).filter(|(name, _)| *name == b"fcTL").filter_map(|(_, content)| {
        let &[a, b, c, d] = content.get(20..)?.first_chunk()?;
        let (seconds, parts) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        // Of no parts there are a hundred, by the specification.
        Some(f64::from(seconds) / f64::from(if parts == 0 { 100 } else { parts }))
    })
}

/// How the file says it is to be turned: by EXIF in a chunk of its own or as text, else by XMP. They may stand behind the
/// pixels.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let exif = chunks(bytes).find(|(name, _)| *name == b"eXIf").map(|(_, exif)| exif.to_vec());
    let exif = exif.or_else(|| from_hex(&text(bytes, b"Raw profile type exif")?));
    Orientation::stated(exif.as_deref(), text(bytes, b"XML:com.adobe.xmp").as_deref())
}

/// The text of this name: plain, packed or international.
fn text(bytes: &[u8], keyword: &[u8]) -> Option<Vec<u8>> {
    chunks(bytes).find_map(|(name, content)| {
        let rest = content.strip_prefix(keyword)?.strip_prefix(b"\0")?;
        match name {
            b"tEXt" => Some(rest.to_vec()),
            b"zTXt" => unpacked(rest.get(1..)?),
            b"iTXt" => {
                let (&[is_packed, _], rest) = rest.split_first_chunk::<2>()?;
                // Language and translated keyword, each with a 0 behind it.
                let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
                if is_packed == 0 { Some(text.to_vec()) } else { unpacked(text) }
            }
            _ => None,
        }
    })
}

fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(MOST_TEXT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The bytes of a raw profile: two lines of name and length after an empty one, then hexadecimal digits in lines.
fn from_hex(profile: &[u8]) -> Option<Vec<u8>> {
    let lines = profile.split(|byte| *byte == b'\n').skip(3);
    let digits: Option<Vec<u8>> =
        lines.flatten().map(|&digit| char::from(digit).to_digit(16).map(|digit| digit as u8)).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
