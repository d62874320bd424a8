//! Zuul's keys: made by Zuul in a real ZooKeeper, or in a file that a script gives out.

use std::path::{Path, PathBuf};

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use k8s_openapi::ByteString;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::super::cluster::Container;
use super::super::services::{ZooKeeper, Zuul};
use super::PASSWORD;

/// Whose keys there are from the beginning.
const OWNERS: [&str; 3] = ["gerrit:config", "opendev.org:zuul/zuul-jobs", "internal"];

pub(super) enum Keys {
    Real { zuul: Zuul, conf: PathBuf, zookeeper: ZooKeeper, added: usize },
    Script { file: PathBuf, keys: Value },
}

impl Keys {
    /// Real ones if there is all that they need.
    pub(super) fn start(folder: &Path, zookeeper: Option<ZooKeeper>, zuul: Option<Zuul>, empty: bool) -> Self {
        match (zookeeper, zuul) {
            (Some(zookeeper), Some(zuul)) => {
                let conf = folder.join("zuul.conf");
                let text = format!("{}[keystore]\npassword={PASSWORD}\n", zookeeper.zuul_conf());
                std::fs::write(&conf, text).expect("written");
                if !empty {
                    zuul.make_keys(&conf, &OWNERS);
                }
                Self::Real { zuul, conf, zookeeper, added: 0 }
            }
            _ => {
                let mut keys = Self::Script { file: folder.join("keys.json"), keys: json!({}) };
                let paths = ["/keystorage/gerrit/config/config/secrets", "/keystorage2/tenant/internal/ssh"];
                paths.iter().for_each(|path| keys.add_path(path));
                keys
            }
        }
    }

    pub(super) fn is_real(&self) -> bool {
        matches!(self, Self::Real { .. })
    }

    /// Adds the keys of one more project.
    pub(super) fn add(&mut self) {
        match self {
            Self::Real { zuul, conf, added, .. } => {
                *added += 1;
                zuul.make_keys(conf, &[&format!("gerrit:project-{added}")]);
            }
            Self::Script { keys, .. } => {
                let number = keys.as_object().map_or(0, serde_json::Map::len);
                self.add_path(&format!("/keystorage/gerrit/project-{number}/project-{number}/secrets"));
            }
        }
    }

    /// Removes all keys of a real ZooKeeper.
    pub(super) fn forget(&self) {
        if let Self::Real { zuul, conf, .. } = self {
            zuul.forget_keys(conf);
        }
    }

    fn add_path(&mut self, path: &str) {
        if let Self::Script { file, keys } = self {
            let created = 1_781_000_000 + keys.as_object().map_or(0, serde_json::Map::len);
            let key = json!({ "version": 0, "created": created, "private_key": private_key(PASSWORD) });
            keys[path] = json!({ "schema": 1, "keys": [key] });
            std::fs::write(file, json!({ "keys": keys }).to_string()).expect("written");
        }
    }

    /// The container that exports them.
    pub(super) fn container(&self) -> Container {
        let container = Container::new("zuul-scheduler");
        let script = match self {
            Self::Real { zuul, conf, .. } => {
                format!("exec '{}' -c '{}' \"$@\"", zuul.admin().display(), conf.display())
            }
            Self::Script { file, .. } => {
                format!("[ \"$1\" = export-keys ] && exec cat '{}' >\"$2\"", file.display())
            }
        };
        container.program("zuul-admin", &script)
    }

    /// Where ZooKeeper keeps its data, if it is real.
    pub(super) fn data(&self) -> Option<&Path> {
        match self {
            Self::Real { zookeeper, .. } => Some(zookeeper.data()),
            Self::Script { .. } => None,
        }
    }
}

/// A new RSA key in the form in which Zuul keeps them: PKCS#1, encrypted as OpenSSL did it of old.
fn private_key(password: &str) -> String {
    /// What precedes the PKCS#1 key in the PKCS#8 form of a key of 2048 bits.
    const PKCS8_HEAD: usize = 26;
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
    let mut der = key.as_der().expect("a key of our own making").as_ref()[PKCS8_HEAD..].to_vec();
    let iv: [u8; 16] = Md5::digest(&der).into();
    let mut derived = Vec::new();
    while derived.len() < 32 {
        let last = derived[derived.len().saturating_sub(16)..].to_vec();
        derived.extend(Md5::digest([&last, password.as_bytes(), &iv[..8]].concat()));
    }
    let cipher = UnboundCipherKey::new(&AES_256, &derived).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    cipher.and_then(|cipher| cipher.less_safe_encrypt(&mut der, context)).expect("the key has its length");
    let base64 = serde_json::to_value(ByteString(der)).expect("base64 is a JSON string");
    let lines = base64.as_str().unwrap_or_default().as_bytes().chunks(64);
    let lines: Vec<String> = lines.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let iv: String = iv.iter().map(|byte| format!("{byte:02X}")).collect();
    let kind = "RSA PRIVATE KEY";
    format!(
        "-----BEGIN {kind}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{iv}\n\n{}\n-----END {kind}-----\n",
        lines.join("\n")
    )
}
