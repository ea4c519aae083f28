//! A DICOM file.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study_at(bytes, 128, b"DICM"));
