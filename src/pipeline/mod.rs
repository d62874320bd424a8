//! Streams into the repository and out of it again, on several cores and in bounded memory.

mod blocks;
pub mod egress;
mod finder;
mod hashed;
pub mod ingest;
mod jobs;
pub mod lanes;
mod leaves;
pub mod pipe;
pub mod profile;
mod scout;
