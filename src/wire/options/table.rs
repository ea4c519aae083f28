//! All rows.

use super::engine::ENGINE;
use super::generation::GENERATION;
use super::look::LOOK;
use super::reading::READING;
use super::row::Row;
use super::sampling::{CONSTRAINT, SAMPLING};
use super::wording::WORDING;

/// Every option, in the order in which help lists them and in which they are set.
pub fn options() -> impl Iterator<Item = &'static Row> {
    let rows: [&'static [Row]; 7] = [&LOOK, &WORDING, &GENERATION, &SAMPLING, &CONSTRAINT, &ENGINE, &READING];
    rows.into_iter().flatten()
}

/// The option of this name, such as `max_new_tokens`.
pub fn option(name: &str) -> Option<&'static Row> {
    options().find(|row| row.name == name)
}
