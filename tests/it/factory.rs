//! A whole Software Factory out of the stand-in cluster: with real services where they are installed.

use std::path::Path;

use sfarc::engine::snapshot::{From, Input, Options, Report, snapshot};
use sfarc::format::manifest::{Proof, StreamEntry};
use sfarc::k8s::Place;
use sfarc::plan::custom_resource::CustomResource;
use sfarc::plan::discovery::discover;
use sfarc::plan::software_factory::{Wishes, plan};
use sfarc::plan::{Plan, PlanError};
use sfarc::repo::Repository;
use sfarc::source::cluster::ClusterStream;
use sfarc::source::pod::Bounds;
use sfarc::testing::factory::{self, Factory, NAMESPACE};
use sfarc::testing::world::{World, read_streams};

pub(crate) fn wishes() -> Wishes {
    Wishes { bounds: Bounds { attempts: 1, ..Bounds::default() }, ..Wishes::default() }
}

pub(crate) fn place(factory: &Factory, account: &str) -> Place {
    Place { kubeconfig: Some(factory.kubeconfig(account)), context: None }
}

pub(crate) fn make_plan(place: &Place, cr: Option<&Path>, wishes: &Wishes) -> Result<Plan, PlanError> {
    let cr = cr.map(|path| CustomResource::read(path).expect("a custom resource"));
    plan(&discover(place, NAMESPACE)?, cr, wishes)
}

pub(crate) fn take(repository: &Repository, place: &Place, plan: Plan) -> Result<Report, String> {
    let inputs = plan.streams.into_iter().map(|planned| {
        let stream = ClusterStream { place: place.clone(), take: planned.take, bounds: planned.bounds };
        Input { profile: Some(planned.profile), ..Input::new(planned.name, From::Cluster(stream)) }
    });
    let options = Options { inputs: inputs.collect(), ..Options::default() };
    snapshot(repository, &options).map_err(|error| sfarc::error::chain(&error))
}

pub(crate) fn stream<'a>(report: &'a Report, name: &str) -> &'a StreamEntry {
    let found = report.manifest.streams.iter().find(|stream| stream.name == name.as_bytes());
    found.unwrap_or_else(|| panic!("there is no stream {name}"))
}

pub(crate) fn fact<'a>(stream: &'a StreamEntry, name: &str) -> &'a str {
    stream.facts.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn everything_is_taken_and_proven() {
    for real in [false, true] {
        let mut factory = Factory::start(factory::Options { real, ..factory::Options::default() });
        println!("real database: {}, real keys: {}", factory.has_real_database(), factory.has_real_keys());
        let place = place(&factory, "admin");
        let world = World::new(1);
        let repository = world.init().expect("a repository");
        let wishes = Wishes {
            with: ["zookeeper-data", "nodepool", "known-hosts", "logs"].map(str::to_owned).into(),
            ..wishes()
        };
        let taken = |factory: &Factory| {
            let plan = make_plan(&place, Some(&factory.cr_file()), &wishes).expect("a plan");
            take(&repository, &place, plan).expect("a snapshot")
        };
        let first = taken(&factory);
        assert_eq!(first.manifest.findings, [""; 0]);
        for name in ["objects", "database", "keys", "nodepool"] {
            assert_eq!(stream(&first, name).proof, Proof::P3, "{name}");
        }
        for name in ["logs", "known-hosts", "zookeeper-data"] {
            assert_eq!(stream(&first, name).proof, Proof::P2, "{name}");
        }
        assert_eq!(fact(stream(&first, "database"), "rows/zuul_build"), "200");
        assert_eq!(fact(stream(&first, "objects"), "fqdn"), "sfop.example");
        assert_eq!(fact(stream(&first, "keys"), "keys"), if factory.has_real_keys() { "5" } else { "2" });
        let again = taken(&factory);
        // ZooKeeper writes a line about each client that comes.
        let streams = first.manifest.streams.iter().zip(&again.manifest.streams);
        for (one, other) in streams.filter(|(one, _)| one.name != b"zookeeper-data") {
            assert_eq!(one.content.hash, other.content.hash, "{}", String::from_utf8_lossy(&one.name));
        }
        factory.add_builds(50);
        factory.add_project_key();
        let third = taken(&factory);
        assert_eq!(fact(stream(&third, "database"), "rows/zuul_build"), "250");
        assert_ne!(stream(&third, "keys").content.hash, stream(&first, "keys").content.hash);
        let kept = repository.read_snapshot(third.id.expect("an id")).expect("readable");
        let streams = read_streams(&repository, &kept).expect("restored");
        let dump = &streams["database"];
        assert!(String::from_utf8_lossy(&dump[dump.len() - 60..]).contains("-- Dump completed"));
    }
}
