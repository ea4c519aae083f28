//! A TIFF, in either byte order.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::study(
    bytes,
    if bytes.len() % 2 == 0 { b"II*\0" } else { b"MM\0*" }
));
