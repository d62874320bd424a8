//! Cutting streams by content.

pub mod chunker;
pub mod fastcdc;
pub mod lockstep;
pub mod prf;
pub mod segment;

pub use chunker::{Chunker, Cut};
