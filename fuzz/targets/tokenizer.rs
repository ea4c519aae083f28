//! A package's `tokenizer.json`.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::package::tokenizer(bytes));
