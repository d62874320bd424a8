//! Cutting streams by content.

pub mod fastcdc;
pub mod lockstep;
pub mod segment;

pub use fastcdc::Chunker;
