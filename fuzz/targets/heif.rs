//! A HEIC or AVIF image.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study_at(bytes, 4, b"ftyp"));
