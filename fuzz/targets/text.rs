//! A text, from its file to its tokens.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::engine::text(bytes));
