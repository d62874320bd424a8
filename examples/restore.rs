//! Measures how fast a dump gets from a repository into a database in a pod of the stand-in cluster, against the
//! database's own client that reads the same dump from its own disk.
//!
//! ```text
//! restore [BUILDS]
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sfarc::backend::folder::FolderBackend;
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::k8s::{Place, PodChoice, PodPlace};
use sfarc::pipeline::egress::Egress;
use sfarc::target::database::Database;
use sfarc::target::feed::Patience;
use sfarc::target::site::Site;
use sfarc::testing::factory::{self, Factory, NAMESPACE};
use sfarc::testing::world::World;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let builds = std::env::args().nth(1).map_or(Ok(550_000), |text| text.parse())?;
    let factory = Factory::start(factory::Options { builds, real: true, ..factory::Options::default() });
    if !factory.has_real_database() {
        return Err("MariaDB is not installed".into());
    }
    let home = factory.folder().join("mysql");
    let dump = factory.folder().join("dump.sql");
    shell(
        &home,
        &format!("mariadb-dump --single-transaction --order-by-primary --hex-blob zuul >'{}'", dump.display()),
    )?;
    let megabytes = std::fs::metadata(&dump)?.len() as f64 / 1e6;

    let world = World::new(1);
    let repository = world.init_on(Arc::new(FolderBackend::create(&factory.folder().join("repository"))?))?;
    let inputs = vec![Input::new("database", From::File(dump.clone()))];
    let report = snapshot(&repository, &Options { inputs, ..Options::default() })?;
    let content = report.manifest.streams[0].content.clone();

    let place = Place { kubeconfig: Some(factory.kubeconfig("admin")), context: None };
    let site = Site::connect(&place, NAMESPACE, &repository.env)?;
    let pod = PodPlace {
        namespace: NAMESPACE.to_owned(),
        pod: PodChoice::Named("mariadb-0".to_owned()),
        container: Some("mariadb".to_owned()),
    };
    let database = Database { name: "zuul".to_owned() };
    let server = site.shell(&pod);
    let hour = Duration::from_secs(3600);
    let patience = Patience { silence: hour, limit: hour };
    let (mut own, mut ours) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        shell(&home, "mariadb -e 'DROP DATABASE IF EXISTS own; CREATE DATABASE own CHARACTER SET utf8mb3'")?;
        let started = Instant::now();
        shell(&home, &format!("exec mariadb own <'{}'", dump.display()))?;
        let by_client = started.elapsed().as_secs_f64();
        database.make_scratch(&server)?;
        let started = Instant::now();
        let mut egress = Egress::open(&repository)?;
        let loaded = database
            .load(&server, content.len, patience, |sender| egress.write_all(&content, |bytes| sender.send(bytes)));
        let by_us = started.elapsed().as_secs_f64();
        loaded.map_err(|error| format!("{error:?}"))?;
        // The first round warms caches.
        if round > 0 {
            println!("round {round}: client {by_client:.2} s, sfarc {by_us:.2} s");
            own.push(by_client);
            ours.push(by_us);
        }
    }
    let (own, ours) = (median(&mut own), median(&mut ours));
    println!("{megabytes:.0} MB: the client from its own disk {own:.2} s ({:.0} MB/s)", megabytes / own);
    println!("out of a repository into the pod {ours:.2} s ({:.0} MB/s), {:.2} x", megabytes / ours, own / ours);
    Ok(())
}

fn shell(home: &Path, line: &str) -> Result<(), Box<dyn Error>> {
    let status = Command::new("sh").args(["-c", line]).env("HOME", home).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed").into()) }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
