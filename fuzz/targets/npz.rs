//! An archive of NumPy arrays.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"PK\x03\x04"));
