//! The program as people run it: the real binary, real folders, real signals.

// Why a test was skipped is worth reading: see `--nocapture`.
#![allow(clippy::print_stdout)]

mod basics;
mod browser;
mod buckets;
mod capture;
mod children;
mod config;
mod copying;
mod doctor;
mod faults;
mod folders;
mod help;
mod hiding;
mod http;
mod hundred;
mod json;
mod keys;
mod locks;
mod loop_damage;
mod loop_ends;
mod loop_faults;
mod looped;
mod namespaces;
mod page;
mod peers;
mod recover;
mod repair;
mod repo;
mod restore_safety;
mod retention;
mod roles;
mod rounds;
mod service;
mod sf_operator;
mod site;
mod snapshot_args;
