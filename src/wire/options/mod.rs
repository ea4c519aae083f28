//! The one table of options. The command line's arguments, the fields of a question in a file and of a request are made
//! from it: adding an option is one row, which begins with the constant beside its field.

mod row;
mod read;
mod engine;
mod reading;
mod look;
mod wording;
mod generation;
mod sampling;
mod table;
mod chosen;

pub use chosen::Chosen;
pub use read::{Files, whole};
pub use row::{Form, Options, Row, Spelling};
pub use table::{option, options};

#[cfg(test)]
mod tests;
