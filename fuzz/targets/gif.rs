//! A GIF.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"GIF8"));
