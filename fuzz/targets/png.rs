//! A PNG.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::png(bytes));
