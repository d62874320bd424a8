//! Integration tests of the library, in one binary.

// What became of each fault, and what was not there to test with, is worth reading: see `--nocapture`.
#![allow(clippy::print_stdout)]

mod bounds;
mod buckets;
mod capture;
mod cluster;
mod common;
mod content;
mod contract;
mod copying;
mod cost;
mod crash;
mod damage;
mod damage_model;
mod deploy;
mod factory;
mod hiding;
mod hostile;
mod index;
mod mirrors;
mod model;
mod newer;
mod old_repos;
mod open_damage;
mod partial;
mod power_cut_restores;
mod power_cuts;
mod probes;
mod races;
mod recovery;
mod refused;
mod repair;
mod retention;
mod role_vectors;
mod roles;
mod slots;
mod tidy;
mod trust;
mod unlocking;
mod unshared_locks;
mod untrusted_store;
mod vectors;
mod whole;
mod writers;
mod year;
