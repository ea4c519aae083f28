//! A BMP.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"BM"));
