//! A package's `fleming.json`.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::package::manifest(bytes));
