//! What roles cost: headers whose keys go to public keys, and signatures.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use sfarc::crypto::keys::{KeyRing, Secret};
use sfarc::crypto::role::{Role, Secrets};
use sfarc::crypto::signature::{Signer, Subject, is_signed};
use sfarc::env::SystemEntropy;
use sfarc::format::pack::BlockKind;
use sfarc::format::sealed::{Cipher, SealedKind, Section};
use sfarc::ids::RepoId;
use zeroize::Zeroizing;

fn main() {
    let root: Secret = Zeroizing::new([7; 32]);
    let whole = KeyRing::new(root.clone(), Cipher::Aes256Gcm);
    let secrets = Secrets::Root(root);
    let granted: BTreeMap<String, Secret> =
        secrets.grant(Role::Writer, Zeroizing::new([8; 32])).expect("all secrets are known");
    let reader = KeyRing::with_roles(secrets, Cipher::Aes256Gcm);
    let writer = KeyRing::with_roles(Secrets::Some(Role::Writer, granted), Cipher::Aes256Gcm);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("roles");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (name, keys, opens) in
        [("without", &whole, &whole), ("of a reader", &reader, &reader), ("of a writer", &writer, &reader)]
    {
        let seal = || keys.sealer(SealedKind::Pack, &SystemEntropy).expect("it seals");
        group.bench_function(format!("header {name}: make"), |bench| bench.iter(|| black_box(seal())));
        let sealer = seal();
        let mut block = vec![0; 64];
        sealer.seal(Section::Block(BlockKind::Data), 0, &mut block, 0);
        group.bench_function(format!("header {name}: open for data"), |bench| {
            bench.iter(|| {
                let opener = opens.opener(SealedKind::Pack, sealer.header()).expect("it decodes").expect("it opens");
                opener.open_vec(Section::Block(BlockKind::Data), 0, block.clone()).expect("it opens")
            });
        });
    }
    let (signer, repo) = (Signer::new(&Zeroizing::new([9; 32])), RepoId::new([1; 16]));
    let (public, signature) = (signer.public(), signer.sign(Subject::Snapshot, &repo, &[&[2; 96]]));
    group.bench_function("sign", |bench| bench.iter(|| signer.sign(Subject::Snapshot, &repo, &[black_box(&[2; 96])])));
    group.bench_function("verify", |bench| {
        bench.iter(|| is_signed(&public, &signature, Subject::Snapshot, &repo, &[black_box(&[2; 96])]));
    });
    group.finish();
    criterion.final_summary();
}
