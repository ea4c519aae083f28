//! A saved conversation.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::engine::session(bytes));
