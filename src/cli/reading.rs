//! How far reading is, on a terminal.

use std::io::{IsTerminal, stderr};

use fleming::Watch;
use indicatif::{ProgressBar, ProgressStyle};

const LOOK: &str = "{msg} {bar:30} {percent} %  {elapsed}, {eta} to go";

/// A bar that shows how far reading is. It is drawn when there is something to show, and gone when this is.
pub(super) struct ReadingBar(ProgressBar);

impl ReadingBar {
    pub(super) fn new() -> Self {
        let bar = if stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template(LOOK) {
            bar.set_style(style);
        }
        Self(bar.with_message("reading files"))
    }

    /// Shows how much of how much is done. Each pass starts anew.
    pub(super) fn show(&self, done: usize, total: usize) {
        if self.0.length() != Some(total as u64) {
            self.0.reset();
            self.0.set_length(total as u64);
        }
        self.0.set_position(done as u64);
    }

    /// The watch with this bar as its listener.
    pub(super) fn over(&self, watch: Watch) -> Watch {
        let shown = Self(self.0.clone());
        watch.listener(move |done, total| shown.show(done, total))
    }
}

impl Drop for ReadingBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
