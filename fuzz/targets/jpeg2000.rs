//! A JPEG 2000 code stream. What is wrong in its boxes never reaches a decoder.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(bytes, b"\xff\x4f\xff\x51"));
