//! Which pieces of compressed pixels make a frame (PS3.5 A.4).

use super::place::Access;
use super::tag;
use crate::error::{Error, Result};

/// Pieces of one file. A clip of an hour has some 200,000.
const MOST_FRAGMENTS: usize = 1_000_000;
/// Tag and length.
const HEAD: u64 = 8;

/// A piece, by its distance from the first byte of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Of its bytes.
    pub(super) at: u64,
    pub(super) bytes: u64,
}

/// The pieces of a file, and where it says that its frames begin.
struct Fragments {
    all: Vec<Fragment>,
    /// Distances from the first piece's head to those of the frames' first pieces; empty if nothing is said.
    offsets: Vec<u64>,
}

/// The pieces of each frame. `extended` are the offsets of the data set's own table, where it has one.
///
/// # Errors
/// [`Error::Input`] if a piece is not whole, or there are not as many as frames.
pub(super) fn by_frame(access: &Access, frames: usize, extended: &[u64]) -> Result<Vec<Vec<Fragment>>> {
    let Fragments { all, mut offsets } = find(access)?;
    if !extended.is_empty() {
        offsets = extended.to_vec();
    }
    if all.is_empty() || all.len() < frames {
        let got = format!("{} fragments", all.len());
        return Err(Error::input(access.name(), format!("compressed pixels of {frames} frames"), got)
            .hint("the file is damaged or incomplete: copy it again"));
    }
    if let Some(grouped) = by_offsets(&all, &offsets, frames) {
        return Ok(grouped);
    }
    // The table is absent or wrong.
    if frames == 1 {
        return Ok(vec![all]);
    }
    if all.len() == frames {
        return Ok(all.into_iter().map(|fragment| vec![fragment]).collect());
    }
    by_beginnings(access, all, frames)
}

/// Walks over the pieces. The first one is the table of offsets.
fn find(access: &Access) -> Result<Fragments> {
    let (mut all, mut offsets, mut at) = (Vec::new(), None, 0);
    while access.length() - at >= HEAD {
        let head = access.part(at, HEAD, "a fragment")?;
        let words: Vec<u32> = super::value::each(&head, u32::from_le_bytes).collect();
        // The tag's two halves are little-endian each.
        let tag = words[0].rotate_left(16);
        let bytes = u64::from(words[1]);
        match tag {
            tag::ITEM => {}
            tag::SEQUENCE_END => break,
            // Files end with what their writers left there.
            _ if offsets.is_some() && head.iter().all(|byte| *byte == 0) => break,
            other => {
                let got = tag::written(other);
                return Err(Error::input(access.name(), "a fragment of compressed pixels", got)
                    .hint("the file is damaged: copy it again"));
            }
        }
        at += HEAD;
        if bytes > access.length() - at {
            let what = format!("fragment {}", all.len());
            return Err(super::stream::ended(access.name(), &what, bytes, access.length() - at));
        }
        match offsets {
            None => {
                let table = access.part(at, bytes, "the offset table")?;
                offsets = Some(super::value::each(&table, u32::from_le_bytes).map(u64::from).collect());
            }
            Some(_) => all.push(Fragment { at, bytes }),
        }
        at += bytes;
        if all.len() > MOST_FRAGMENTS {
            let wanted = format!("at most {MOST_FRAGMENTS} fragments");
            return Err(Error::input(access.name(), wanted, "more").hint("this is no honest DICOM file"));
        }
    }
    Ok(Fragments { all, offsets: offsets.unwrap_or_default() })
}

/// Pieces by a table of offsets; nothing if it has not one for each frame, or one points between pieces.
fn by_offsets(all: &[Fragment], offsets: &[u64], frames: usize) -> Option<Vec<Vec<Fragment>>> {
    let first = all.first()?.at - HEAD;
    if offsets.len() != frames || offsets[0] != 0 {
        return None;
    }
    let mut starts = Vec::with_capacity(frames);
    for offset in offsets {
        let head = first.checked_add(*offset)?.checked_add(HEAD)?;
        starts.push(all.binary_search_by_key(&head, |fragment| fragment.at).ok()?);
    }
    let ends = starts.iter().skip(1).copied().chain([all.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| Some(all.get(*start..end)?.to_vec()).filter(|some| !some.is_empty()))
        .collect()
}

/// Pieces by how they begin: a frame begins as its format does, its further pieces do not.
fn by_beginnings(access: &Access, all: Vec<Fragment>, frames: usize) -> Result<Vec<Vec<Fragment>>> {
    let mut grouped: Vec<Vec<Fragment>> = Vec::new();
    let count = all.len();
    for fragment in all {
        let first = access.part(fragment.at, fragment.bytes.min(3), "a fragment")?;
        let begins = matches!(first.as_slice(), [0xFF, 0xD8 | 0x4F, 0xFF]);
        match grouped.last_mut() {
            Some(last) if !begins => last.push(fragment),
            _ => grouped.push(vec![fragment]),
        }
    }
    match grouped.len() == frames {
        true => Ok(grouped),
        false => Err(Error::input(
            access.name(),
            format!("an offset table that says which fragments make each of {frames} frames"),
            format!("{count} fragments, {} of which begin a frame", grouped.len()),
        )
        .hint("export the study uncompressed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(at: u64, bytes: u64) -> Fragment {
        Fragment { at, bytes }
    }

    #[test]
    fn a_table_of_offsets_is_followed_where_it_is_sound() {
        let all = [fragment(16, 10), fragment(34, 20), fragment(62, 4)];
        let grouped = by_offsets(&all, &[0, 46], 2).unwrap();
        assert_eq!(grouped, [vec![all[0], all[1]], vec![all[2]]]);
        for lying in [&[0, 45][..], &[0], &[8, 46], &[0, 0], &[0, u64::MAX], &[46, 0]] {
            assert_eq!(by_offsets(&all, lying, 2), None, "{lying:?}");
        }
    }
}
