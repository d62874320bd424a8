//! The module as a whole.
