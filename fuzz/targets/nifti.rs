//! A NIfTI volume.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study_at(bytes, 344, b"n+1\0"));
