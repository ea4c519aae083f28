//! A JPEG.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"\xff\xd8\xff"));
