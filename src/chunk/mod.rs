//! Cutting streams by content.

pub mod fastcdc;
pub mod segment;

pub use fastcdc::Chunker;
