//! A package's graph.

#![no_main]

fleming_fuzz::target!(|bytes| fleming_fuzz::package::graph(bytes));
