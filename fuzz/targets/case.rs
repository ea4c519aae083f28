//! A line of a batch, which is what a request from another machine is too.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::wire::case(bytes));
