//! Memory that is used again.

use std::cell::Cell;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// Where a thread keeps memory that is not needed now. To get as much from the system each time would take longer than what is
/// done in it.
pub(super) type Spare<T> = Cell<Vec<T>>;

/// Numbers, of which nobody knows what they were before.
pub(super) struct Scratch<T: 'static> {
    numbers: Vec<T>,
    spare: &'static LocalKey<Spare<T>>,
}

impl<T: Copy> Scratch<T> {
    /// At least so many; `fresh` are those that were not there before.
    pub(super) fn take(spare: &'static LocalKey<Spare<T>>, count: usize, fresh: T) -> Self {
        let mut numbers = spare.take();
        if numbers.len() < count {
            numbers.resize(count, fresh);
        }
        Self { numbers, spare }
    }
}

impl<T> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.numbers
    }
}

impl<T> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.numbers
    }
}

impl<T> Drop for Scratch<T> {
    fn drop(&mut self) {
        self.spare.set(mem::take(&mut self.numbers));
    }
}
