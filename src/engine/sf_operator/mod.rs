//! The backup folder of `sf-operator SF backup`: written for `sf-operator SF restore`, and read as a snapshot.
//!
//! ```text
//! DIR/secrets/NAME.yaml       one Secret each
//! DIR/zuul/zuul.keys          what zuul-admin exports
//! DIR/mariadb/db-zuul.sql     with CREATE DATABASE and USE
//! ```
//!
//! Two generations of it exist. Up to v0.0.64 a Secret is a manifest with plain values; from v0.0.65 on it is `data` in
//! base64 and `metadata`, without a kind.

mod import;
mod layout;
pub mod secret;

pub use import::{ImportOptions, inputs};
pub use layout::{LayoutOptions, Written, write};

/// Secrets that `sf-operator SF restore` reads, with the first release that does.
const SECRETS: [(&str, u64); 10] = [
    ("zuul-keystore-password", 0),
    ("zuul-ssh-key", 0),
    ("nodepool-builder-ssh-key", 0),
    ("zuul-auth-secret", 0),
    ("zookeeper-client-tls", 0),
    ("zookeeper-server-tls", 0),
    ("logserver-keys", 41),
    ("zuul-spare-ssh-key", 66),
    ("logserver-uploader-keys", 68),
    ("logserver-uploader-spare-keys", 68),
];

/// From this release on, Secrets of connections are read, too.
const WITH_CONNECTIONS: u64 = 65;

const KEYS: &str = "zuul/zuul.keys";
const DUMP: &str = "mariadb/db-zuul.sql";

/// What follows from what: `v0.0.68` is release 68; the newest if nothing is known.
fn release(version: Option<&str>) -> u64 {
    let number = version.and_then(|version| version.strip_prefix("v0.0.")?.split('-').next()?.parse().ok());
    number.unwrap_or(u64::MAX)
}
