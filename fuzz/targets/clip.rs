//! A clip, in a container of any kind.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b""));
