//! A NumPy array.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"\x93NUMPY"));
