//! `sfarc drill`

use std::time::Duration;

use super::{capture, verify};
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::engine::drill::{At, Images, Options, drill};
use crate::error::Error;
use crate::repo::Repository;
use crate::repo::session::host_name;
use crate::target::feed::Patience;

pub(in crate::cli) fn run(args: &args::Drill, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let snapshot = repository.resolve(&args.id)?;
    let report = drill(repository, &snapshot, &options(args)?)?;
    report.checks.iter().try_for_each(|check| verify::print(check, output))?;
    if output.is_json() {
        output.object(&serde_json::json!({
            "type": "drilled",
            "snapshot": snapshot.id.to_string(),
            "proven": report.is_proven,
            "record": report.record.map(|id| id.to_string()),
        }))?;
    } else {
        let verdict = match () {
            () if report.is_bad() => "it cannot be restored as it is",
            () if report.is_proven => "restored into a scratch and proven",
            () => "not everything could be tried here",
        };
        output.summary(format_args!("snapshot {}: {verdict}", snapshot.id.short()))?;
    }
    Ok(match () {
        () if report.is_bad() => Exit::Damaged,
        () if report.is_proven => Exit::Done,
        () => Exit::Incomplete,
    })
}

fn options(args: &args::Drill) -> Result<Options, CliError> {
    let at = if args.to_cluster {
        let place = capture::place(&args.cluster);
        let namespace = capture::namespace(&args.cluster, None, &place)?;
        At::Cluster { place, namespace, images: images(&args.image)? }
    } else {
        At::Here(std::env::var_os("PATH").unwrap_or_default())
    };
    let limit = Duration::from_secs(args.timeout);
    Ok(Options { at, patience: Patience { silence: limit, limit }, host: host_name() })
}

fn images(words: &[String]) -> Result<Images, CliError> {
    let mut images = Images::default();
    for word in words {
        let (part, image) = word.split_once('=').unwrap_or((word, ""));
        let place = match part {
            "mariadb" => &mut images.mariadb,
            "zookeeper" => &mut images.zookeeper,
            "zuul-admin" => &mut images.zuul,
            _ => {
                return Err(Error::Usage(format!(
                    "--image {word}: it is mariadb, zookeeper or zuul-admin, then =IMAGE"
                ))
                .into());
            }
        };
        *place = Some(image.to_owned()).filter(|image| !image.is_empty());
    }
    Ok(images)
}
