//! Who shares the work.

/// Threads that share work.
pub(crate) trait Threads: Sync {
    /// How many there are, the caller's among them.
    fn count(&self) -> usize;

    /// Does the tasks from 0 to `tasks`, in any order and at once, and returns when all are done.
    fn each(&self, tasks: usize, work: &(dyn Fn(usize) + Sync));
}

/// As if there were so many: one task after another, in the worst order.
#[cfg(test)]
pub(super) struct Backwards(pub(super) usize);

#[cfg(test)]
impl Threads for Backwards {
    fn count(&self) -> usize {
        self.0
    }

    fn each(&self, tasks: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..tasks).rev().for_each(work);
    }
}
