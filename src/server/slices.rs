//! Single slices and frames of uploaded files, for people who leaf through them. What was read stays for a while, and who
//! goes on to the next slice gets the ones after it read too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::{Browser, ReadOptions};
use crate::study::StudyInput;

/// Bytes of frames that are kept.
const MOST_BYTES: usize = 128 << 20;
/// Studies of which anything is kept.
const MOST_STUDIES: usize = 64;
/// Frames that are read at once for someone who leafs on, and their bytes.
const AHEAD: usize = 16;
const AHEAD_BYTES: usize = 8 << 20;

/// Frames that were read.
#[derive(Debug, Default)]
pub(super) struct Slices(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    studies: HashMap<Key, Leafed>,
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

/// A file, and how it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The file's id.
    pub(super) id: String,
    /// The options, in one spelling.
    pub(super) options: String,
}

#[derive(Debug)]
struct Leafed {
    browser: Arc<Browser>,
    count: usize,
    /// Each with its last use.
    frames: BTreeMap<usize, (Frame, u64)>,
    used: u64,
}

/// A frame.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) frame: Frame,
    /// Frames or slices of the whole study.
    pub(super) count: usize,
}

impl Slices {
    /// A frame that is there.
    pub(super) fn kept(&self, key: &Key, index: usize) -> Option<Slice> {
        let mut kept = self.lock();
        kept.clock += 1;
        let clock = kept.clock;
        let leafed = kept.studies.get_mut(key)?;
        leafed.used = clock;
        let (frame, used) = leafed.frames.get_mut(&index)?;
        *used = clock;
        Some(Slice { frame: frame.clone(), count: leafed.count })
    }

    /// Reads a frame, unless it is there.
    ///
    /// # Errors
    /// Those of [`Browser::read`].
    pub(super) fn read(
        &self,
        key: &Key,
        study: &StudyInput,
        index: usize,
        options: &ReadOptions,
    ) -> Result<Slice> {
        if let Some(slice) = self.kept(key, index) {
            return Ok(slice);
        }
        let (browser, [first, last]) = self.plan(key, study, index);
        let seen = browser.read([first, last], options)?;
        let (count, frames) = (seen.count, seen.study.frames);
        let slice = frames.get(index - first).cloned().map(|frame| Slice { frame, count });
        self.keep(key, (browser, count), (first..).zip(frames).collect());
        slice.ok_or_else(|| Error::input(study.name(), format!("a frame at place {index}"), "none").report())
    }

    /// What reads the study, and from where to where. Beside a frame that is there lies the way that is being gone.
    fn plan(&self, key: &Key, study: &StudyInput, index: usize) -> (Arc<Browser>, [usize; 2]) {
        let kept = self.lock();
        let Some(leafed) = kept.studies.get(key) else {
            return (Arc::new(Browser::new(study.clone())), [index; 2]);
        };
        let beside = |place: Option<usize>| place.and_then(|place| leafed.frames.get(&place));
        let ahead = |frame: &Frame| (AHEAD_BYTES / frame.bytes().max(1)).clamp(1, AHEAD) - 1;
        let places = match (beside(index.checked_sub(1)), beside(index.checked_add(1))) {
            (Some((before, _)), _) => [index, index.saturating_add(ahead(before))],
            (None, Some((after, _))) => [index.saturating_sub(ahead(after)), index],
            (None, None) => [index; 2],
        };
        (Arc::clone(&leafed.browser), places)
    }

    fn keep(&self, key: &Key, (browser, count): (Arc<Browser>, usize), frames: Vec<(usize, Frame)>) {
        let mut kept = self.lock();
        kept.clock += 1;
        let (clock, mut added) = (kept.clock, 0);
        let new = || Leafed { browser, count, frames: BTreeMap::new(), used: clock };
        let leafed = kept.studies.entry(key.clone()).or_insert_with(new);
        leafed.used = clock;
        for (place, frame) in frames {
            let bytes = frame.bytes();
            let before = leafed.frames.insert(place, (frame, clock)).map_or(0, |(frame, _)| frame.bytes());
            added += bytes;
            added -= before.min(added);
        }
        kept.bytes += added;
        kept.make_room();
    }

    /// Lets go of all files but those that `is_there` knows.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        let mut kept = self.lock();
        kept.studies.retain(|key, _| is_there(&key.id));
        kept.bytes = kept.studies.values().map(Leafed::bytes).sum();
    }

    /// What a thread left behind that panicked are frames that are whole.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leafed {
    fn bytes(&self) -> usize {
        self.frames.values().map(|(frame, _)| frame.bytes()).sum()
    }
}

impl Kept {
    /// Lets go of what was not used for longest.
    fn make_room(&mut self) {
        while self.studies.len() > MOST_STUDIES {
            let oldest =
                self.studies.iter().min_by_key(|(_, leafed)| leafed.used).map(|(key, _)| key.clone());
            let Some(leafed) = oldest.and_then(|key| self.studies.remove(&key)) else { return };
            self.bytes -= leafed.bytes();
        }
        while self.bytes > MOST_BYTES {
            let all = self.studies.iter().flat_map(|(key, leafed)| {
                leafed.frames.iter().map(move |(place, (_, used))| (*used, key, *place))
            });
            let oldest = all.min_by_key(|(used, ..)| *used).map(|(_, key, place)| (key.clone(), place));
            let gone = oldest.and_then(|(key, place)| self.studies.get_mut(&key)?.frames.remove(&place));
            let Some((frame, _)) = gone else { return };
            self.bytes -= frame.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    fn key(id: &str, options: &str) -> Key {
        Key { id: id.into(), options: options.into() }
    }

    fn options() -> ReadOptions {
        ReadOptions::default()
    }

    fn places(slices: &Slices, key: &Key) -> Vec<usize> {
        slices.lock().studies[key].frames.keys().copied().collect()
    }

    #[test]
    fn the_first_slice_is_read_alone_and_who_leafs_on_finds_the_next_ones() {
        let (slices, study, key) =
            (Slices::default(), StudyInput::file("examples/chest.nii.gz"), key("a", ""));
        let first = slices.read(&key, &study, 10, &options()).unwrap();
        assert_eq!((first.count, places(&slices, &key)), (32, vec![10]));
        slices.read(&key, &study, 11, &options()).unwrap();
        assert_eq!(places(&slices, &key), (10..27).collect::<Vec<_>>());
        slices.read(&key, &study, 9, &options()).unwrap();
        assert_eq!(places(&slices, &key), (0..27).collect::<Vec<_>>());
        slices.read(&key, &study, 27, &options()).unwrap();
        assert_eq!(places(&slices, &key), (0..32).collect::<Vec<_>>());
        // What is there needs no file.
        let gone = StudyInput::file("examples/none.nii.gz");
        assert_eq!(slices.read(&key, &gone, 31, &options()).unwrap().count, 32);
        assert!(slices.read(&key, &study, 32, &options()).is_err());
        assert_eq!(slices.lock().bytes, 32 * 128 * 128);
        slices.retain(|id| id != "a");
        assert!(slices.kept(&key, 10).is_none() && slices.lock().bytes == 0);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let slices = Slices::default();
        let large = || Frame::rgb(4096, 2048, vec![0; 3 * 4096 * 2048]).unwrap();
        let browser = || Arc::new(Browser::new(StudyInput::file("x")));
        for (number, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            slices.keep(&key(id, ""), (browser(), 9), vec![(number, large())]);
            slices.kept(&key("a", ""), 0).unwrap();
        }
        slices.keep(&key("f", ""), (browser(), 9), vec![(5, large())]);
        let there = |id, place| slices.kept(&key(id, ""), place).is_some();
        assert!(there("a", 0) && !there("b", 1) && there("c", 2) && there("f", 5));
        assert!(slices.lock().bytes <= MOST_BYTES);
        for number in 0..MOST_STUDIES {
            slices.keep(&key("g", &number.to_string()), (browser(), 1), Vec::new());
        }
        assert_eq!(slices.lock().studies.len(), MOST_STUDIES);
        assert_eq!(slices.lock().bytes, 0, "the others are gone with their frames");
    }
}
