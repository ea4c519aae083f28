//! Attributes of single frames: of the frame's own groups, of those that all frames share, or of the data set itself
//! (PS3.3 C.7.6.16).

use super::tag;
use super::value::Item;

/// Where the attributes of a frame are.
#[derive(Clone, Copy)]
pub(super) struct Groups<'a> {
    set: &'a Item,
    own: Option<&'a Item>,
    shared: Option<&'a Item>,
}

impl<'a> Groups<'a> {
    /// Those of a frame, counted from 0.
    pub(super) fn of(set: &'a Item, frame: usize) -> Self {
        Self {
            set,
            own: set.items(tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame),
            shared: set.first(tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
        }
    }

    /// The item that holds the attributes of a group.
    pub(super) fn group(&self, sequence: u32) -> &'a Item {
        self.nested(sequence).unwrap_or(self.set)
    }

    /// The item of a group, if there is one.
    pub(super) fn nested(&self, sequence: u32) -> Option<&'a Item> {
        [self.own, self.shared].into_iter().flatten().find_map(|groups| groups.first(sequence))
    }
}
