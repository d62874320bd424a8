//! Streams into the repository and out of it again, on several cores and in bounded memory.

pub mod egress;
mod hashed;
pub mod ingest;
mod jobs;
pub mod lanes;
pub mod pipe;
pub mod profile;
mod scout;
