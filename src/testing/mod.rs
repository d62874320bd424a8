//! Deterministic doubles and input generators, for tests, benches and fuzzing only.

#[cfg(feature = "testing")]
pub mod bucket;
pub mod clock;
#[cfg(feature = "testing")]
pub mod cluster;
pub mod contract;
pub mod corpus;
pub mod disks;
pub mod entropy;
#[cfg(feature = "testing")]
pub mod factory;
pub mod faulty;
pub mod memory;
#[cfg(feature = "testing")]
mod percent;
pub mod power_cut;
pub mod recording;
#[cfg(feature = "testing")]
pub mod services;
pub mod unsteady;
pub mod world;
