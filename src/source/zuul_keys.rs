//! The private keys of Zuul's projects and tenants, out of ZooKeeper, each proven to open with the keystore password.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::pod::{self, PodCommand, Run};
use super::{SourceError, Verdict, block_on};
use crate::content::zuul_keys::ZuulKeys;
use crate::format::manifest::Proof;
use crate::k8s::exec::ExecError;
use crate::k8s::{Cluster, Resource};
use crate::pipeline::lanes::Lanes;

/// The Secret with the password, and its only key.
pub const PASSWORD: &str = "zuul-keystore-password";

/// Keys are few: a longer export is none.
const MOST: u64 = 256 << 20;

/// `zuul-admin` tries for ever to reach a ZooKeeper that is not there.
pub const TIMEOUT: Duration = Duration::from_secs(180);

/// The command that writes all keys to its standard output: nothing is left in the container. What the program logs
/// goes to standard error.
pub fn command() -> PodCommand {
    PodCommand::Shell("zuul-admin export-keys /dev/stdout".to_owned())
}

/// The name of the fact that says which version of the password belongs to a stream.
pub const PASSWORD_FACT: &str = "secret/zuul-keystore-password";

/// The password, and the version of the Secret that it is from.
struct Password {
    text: Zeroizing<Vec<u8>>,
    version: String,
}

/// Takes the keys between two looks at the password, and decrypts every one.
pub(super) fn take(run: &Run<'_>, random: &[u8; 48], lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    let before = password(run)?;
    let (export, whole) = pod::run(run, random, &cancel, |arriving| {
        let mut bytes = Zeroizing::new(Vec::new());
        arriving.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    let after = password(run)?;
    if before.version != after.version {
        return Err(SourceError::Moved(format!("Secret {PASSWORD} was changed while the keys were exported")));
    }
    let content = |error| SourceError::Content(Box::new(error));
    let keys = ZuulKeys::parse(&export).map_err(content)?;
    keys.prove(&after.text).map_err(content)?;
    lanes.write(0, keys.canonical())?;
    let mut verdict = Verdict::proven(if whole.proof == Proof::P2 { Proof::P3 } else { whole.proof });
    verdict.facts = vec![
        ("keys".to_owned(), keys.len().to_string()),
        ("newest-key".to_owned(), keys.newest_created().map_or(String::new(), |created| created.to_string())),
        (PASSWORD_FACT.to_owned(), after.version),
    ];
    Ok(verdict)
}

fn password(run: &Run<'_>) -> Result<Password, SourceError> {
    let namespace = &run.pod.namespace;
    let secret = block_on(async {
        let cluster = Cluster::connect(run.place).await?;
        cluster.get(&Resource::core("secrets"), namespace, PASSWORD).await
    })?;
    let missing = || SourceError::Absent(format!("Secret {PASSWORD} in {namespace} (without it no key can be used)"));
    read(&secret.map_err(ExecError::from)?.ok_or_else(missing)?).ok_or_else(missing)
}

fn read(secret: &Value) -> Option<Password> {
    let text = secret["data"][PASSWORD].as_str()?;
    let text = k8s_base64(text)?;
    Some(Password { text: Zeroizing::new(text), version: secret["metadata"]["resourceVersion"].as_str()?.to_owned() })
}

/// The bytes of a value in a Secret.
fn k8s_base64(text: &str) -> Option<Vec<u8>> {
    serde_json::from_value::<crate::k8s::ByteString>(Value::from(text)).ok().map(|bytes| bytes.0)
}
