//! One file a command: what it asks the engine for, and how it shows the answer.

mod capture;
pub(super) mod cat;
pub(super) mod check;
pub(super) mod config;
pub(super) mod copy;
pub(super) mod diff;
pub(super) mod doctor;
pub(super) mod drill;
pub(super) mod forget;
pub(super) mod import;
pub(super) mod init;
pub(super) mod key;
pub(super) mod list;
pub(super) mod ls;
pub(super) mod manual;
pub(super) mod mirror;
pub(super) mod pin;
pub(super) mod plan;
pub(super) mod prune;
mod recover;
pub(super) mod restore;
pub(super) mod run;
pub(super) mod show;
pub(super) mod snapshot;
pub(super) mod stats;
pub(super) mod status;
pub(super) mod verify;
