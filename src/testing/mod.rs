//! Deterministic doubles and input generators, for tests, benches and fuzzing only.

pub mod corpus;
