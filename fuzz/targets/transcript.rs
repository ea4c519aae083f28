//! A conversation in JSON.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::wire::transcript(bytes));
