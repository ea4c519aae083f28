//! The files that a graph takes its weights from: ONNX's external data.
//!
//! A graph names these files itself, so that one which the package does not list would be used unchecked. Only the fields of
//! `onnx.proto` that lead to the names are followed; all else, the weights included, is stepped over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

/// A message of `onnx.proto` that leads to a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Graph,
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
    /// A key and a value of a tensor's external data.
    Entry,
}

/// Graphs within graphs, as ONNX Runtime's reader limits them.
const MOST_DEPTH: usize = 100;
/// Bytes of a key or a value.
const MOST_TEXT: u64 = 4096;

/// What an integer, a fixed number and a nested message or text are called in the bytes.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const NESTED: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    /// The message in a field of this number, if it leads to a name.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Tensor, 13) => Self::Entry,
            _ => return None,
        })
    }
}

/// The names of all files that the graph in this file takes weights from.
///
/// # Errors
/// If the file cannot be read or is no ONNX graph.
pub(super) fn files_of(path: &Path) -> io::Result<BTreeSet<String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut walk = Walk { bytes: BufReader::new(file), at: 0, files: BTreeSet::new() };
    walk.message(Message::Model, length, 0)?;
    Ok(walk.files)
}

/// The way through a graph's bytes.
struct Walk<R> {
    bytes: BufReader<R>,
    at: u64,
    files: BTreeSet<String>,
}

impl<R: Read + Seek> Walk<R> {
    /// Follows a message up to its end.
    fn message(&mut self, message: Message, end: u64, depth: usize) -> io::Result<()> {
        if depth > MOST_DEPTH {
            return Err(broken("graphs within graphs"));
        }
        let (mut key, mut value) = (String::new(), String::new());
        while self.at < end {
            let tag = self.varint(end)?;
            let field = tag >> 3;
            match tag & 7 {
                VARINT => drop(self.varint(end)?),
                FIXED_64 => self.skip(8, end)?,
                FIXED_32 => self.skip(4, end)?,
                NESTED => {
                    let length = self.varint(end)?;
                    let inner = self.at.checked_add(length).filter(|inner| *inner <= end);
                    let inner = inner.ok_or_else(|| broken("a field beyond its message"))?;
                    match (message, message.child(field), field) {
                        (_, Some(child), _) => self.message(child, inner, depth + 1)?,
                        (Message::Entry, None, 1) => key = self.text(length)?,
                        (Message::Entry, None, 2) => value = self.text(length)?,
                        _ => self.skip(length, end)?,
                    }
                }
                _ => return Err(broken("a field of no known form")),
            }
        }
        if key == "location" {
            self.files.insert(value);
        }
        Ok(())
    }

    fn varint(&mut self, end: u64) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            if self.at >= end {
                return Err(broken("a number that is cut off"));
            }
            self.bytes.read_exact(&mut byte)?;
            self.at += 1;
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(broken("a number of more than 64 bits"))
    }

    fn text(&mut self, length: u64) -> io::Result<String> {
        if length > MOST_TEXT {
            return Err(broken("a name of more than 4096 bytes"));
        }
        let mut text = vec![0; length as usize];
        self.bytes.read_exact(&mut text)?;
        self.at += length;
        String::from_utf8(text).map_err(|_| broken("a name that is no UTF-8"))
    }

    fn skip(&mut self, length: u64, end: u64) -> io::Result<()> {
        let after = self.at.checked_add(length).filter(|after| *after <= end);
        self.at = after.ok_or_else(|| broken("a field beyond its message"))?;
        self.bytes.seek_relative(i64::try_from(length).map_err(io::Error::other)?)
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn files(bytes: &[u8]) -> io::Result<Vec<String>> {
        let mut walk = Walk { bytes: BufReader::new(Cursor::new(bytes)), at: 0, files: BTreeSet::new() };
        walk.message(Message::Model, bytes.len() as u64, 0)?;
        Ok(walk.files.into_iter().collect())
    }

    /// A field with a message or a text in it.
    fn nested(field: u64, content: &[u8]) -> Vec<u8> {
        let varint = |mut number: u64| {
            let mut bytes = Vec::new();
            while number >= 0x80 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes
        };
        [varint(field << 3 | NESTED), varint(content.len() as u64), content.to_vec()].concat()
    }

    fn tensor(file: &str) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            nested(13, &[nested(1, key.as_bytes()), nested(2, value.as_bytes())].concat())
        };
        [
            nested(8, b"a.weight"),
            nested(9, &[7; 300]),
            entry("location", file),
            entry("offset", "4096"),
            vec![14 << 3, 1],
        ]
        .concat()
    }

    #[test]
    fn every_place_of_a_tensor_is_looked_at() {
        let attribute = |field, content: &[u8]| nested(1, &nested(5, &nested(field, content)));
        let in_graph = |content: &[u8]| nested(7, content);
        let weights = tensor("a.data");
        let rows = [
            in_graph(&nested(5, &weights)),
            in_graph(&nested(15, &nested(1, &weights))),
            in_graph(&attribute(5, &weights)),
            in_graph(&attribute(10, &weights)),
            in_graph(&attribute(6, &nested(5, &weights))),
            in_graph(&attribute(11, &attribute(22, &nested(2, &weights)))),
            nested(25, &nested(7, &nested(5, &nested(5, &weights)))),
            nested(25, &nested(11, &nested(5, &weights))),
            nested(20, &nested(1, &nested(5, &weights))),
        ];
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(files(row).unwrap(), ["a.data"], "{number}");
        }
        let two = [nested(5, &tensor("b.data")), nested(5, &weights), nested(5, &tensor("b.data"))].concat();
        assert_eq!(files(&[nested(2, b"exporter"), in_graph(&two)].concat()).unwrap(), ["a.data", "b.data"]);
    }

    #[test]
    fn the_graphs_of_a_package_name_their_weights() {
        for graph in ["decoder.onnx", "vision.onnx"] {
            let found = files_of(&Path::new("models/demo").join(graph)).unwrap();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), [format!("{graph}.data")]);
        }
    }

    #[test]
    fn what_is_no_graph_is_an_error() {
        let deep = (0..MOST_DEPTH + 1).fold(Vec::new(), |inner, _| nested(1, &nested(5, &nested(6, &inner))));
        let cut = nested(7, &nested(5, &tensor("a.data")));
        let rows: [&[u8]; 5] =
            [b"not a graph", &[0xff; 12], &cut[..cut.len() - 3], &[0x3a, 0xff, 0x01, 0], &nested(7, &deep)];
        for (number, row) in rows.iter().enumerate() {
            assert!(files(row).is_err(), "{number}");
        }
    }

    proptest! {
        #[test]
        fn damaged_graphs_are_read_or_refused(at in 0usize..23_000, byte: u8, length in 0usize..23_000) {
            let mut bytes = fs::read("models/demo/decoder.onnx").unwrap();
            bytes.truncate(length.max(at + 1));
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = files(&bytes);
        }
    }
}
