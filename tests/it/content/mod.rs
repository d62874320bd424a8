//! What the checks of content say about what real programs write.

mod dumps;
mod keys;
