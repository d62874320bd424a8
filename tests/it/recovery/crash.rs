//! A restore that is broken off anywhere leaves the old state or the new one, and the next run completes it.

use serde_json::{Value, json};
use sfarc::engine::recovery::Options;
use sfarc::ids::ObjectId;
use sfarc::testing::cluster::{Fault, Planned};
use sfarc::testing::factory::{self, NAMESPACE};

use super::{RECORD, Scene};

/// What a restore changes, as far as it can be old or new by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    secret: Value,
    database: String,
}

const SECRET: &str = "zuul-ssh-key";

fn object(scene: &Scene, kind: &str, name: &str) -> Option<Value> {
    let version = if kind == "StatefulSet" || kind == "Deployment" { "apps/v1" } else { "v1" };
    let like = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE } });
    scene.factory.cluster.object(&like)
}

fn state(scene: &Scene) -> State {
    let secret = object(scene, "Secret", SECRET).expect("the Secret is never missing")["data"]["priv"].clone();
    State { secret, database: scene.factory.dump() }
}

fn replicas(scene: &Scene) -> (u64, u64) {
    let of =
        |kind, name| object(scene, kind, name).expect("it is there")["spec"]["replicas"].as_u64().expect("a number");
    (of("StatefulSet", "zuul-scheduler"), of("Deployment", "zuul-web"))
}

/// A deployment with a snapshot, changed since.
struct Changed {
    scene: Scene,
    id: ObjectId,
    new: State,
    changes: u64,
}

impl Changed {
    fn start() -> Option<Self> {
        let scene = Scene::start(factory::Options { builds: 300, ..factory::Options::default() })?;
        let (id, _) = scene.capture();
        let new = state(&scene);
        Some(Self { scene, id, new, changes: 0 })
    }

    fn options(&self) -> Options {
        let only = ["objects", "database"].map(str::to_owned).into();
        Options { only, drop_old: true, safety: false, ..self.scene.options() }
    }

    /// Changes what a restore will change back.
    fn change(&mut self) -> State {
        self.changes += 1;
        self.scene.factory.set_secret(SECRET, "priv", &format!("not-a-real-key-{}", self.changes));
        self.scene.factory.add_builds(1);
        let old = state(&self.scene);
        assert!(old.secret != self.new.secret && old.database != self.new.database);
        old
    }

    /// Restores with something in the way; then looks at what is left, and restores again.
    fn crash(&mut self, context: &str, set_up: impl FnOnce(&Scene), clear: impl FnOnce(&Scene)) -> bool {
        let old = self.change();
        let options = self.options();
        set_up(&self.scene);
        let broken = self.scene.restore(self.id, &options);
        clear(&self.scene);
        let left = state(&self.scene);
        assert!(left.secret == old.secret || left.secret == self.new.secret, "{context}: the Secret is neither");
        assert!(
            left.database == old.database || left.database == self.new.database,
            "{context}: the database is neither"
        );
        if left != old && left != self.new {
            assert_eq!(replicas(&self.scene), (0, 0), "{context}: Zuul runs on a mixture");
        }
        match &broken {
            Ok(_) => assert_eq!(left, self.new, "{context}"),
            Err(_) => {
                let again = self.scene.restore(self.id, &options);
                assert!(again.is_ok(), "{context}: {broken:?}, then {again:?}");
                assert_eq!(state(&self.scene), self.new, "{context}: after the second run");
            }
        }
        assert_eq!(replicas(&self.scene), (1, 1), "{context}: Zuul does not run as before");
        assert_eq!(object(&self.scene, "ConfigMap", RECORD), None, "{context}: the record is still there");
        let made = self.scene.factory.sql("SHOW DATABASES LIKE 'zuul\\_sfarc\\_%'");
        assert!(made.is_empty(), "{context}: left behind: {made}");
        broken.is_err()
    }
}

/// Nothing is answered any more after some request: a crash, as the cluster sees it.
fn walk(points: impl Fn(u64) -> Vec<u64>) {
    let Some(mut changed) = Changed::start() else { return };
    let requests =
        |scene: &Scene| (scene.factory.cluster.requests().len() + scene.factory.cluster.sessions().len()) as u64;
    let before = requests(&changed.scene);
    assert!(!changed.crash("without a fault", |_| {}, |_| {}));
    let all = requests(&changed.scene) - before;
    let mut broken = 0;
    for point in points(all) {
        let context = format!("after {point} of {all} requests");
        let failed = changed.crash(
            &context,
            |scene| scene.factory.cluster.stop_after(point),
            |scene| scene.factory.cluster.answer_again(),
        );
        broken += u64::from(failed);
    }
    println!("{all} requests, {broken} restores broken off");
    assert!(broken > 0);
}

#[test]
fn a_crash_leaves_the_old_state_or_the_new_one() {
    walk(|all| (0..all).step_by((all / 16).max(1) as usize).collect());
}

#[test]
#[ignore = "every request of a restore; five minutes"]
fn a_crash_anywhere_leaves_the_old_state_or_the_new_one() {
    walk(|all| (0..all).collect());
}

#[test]
fn a_load_that_breaks_leaves_the_old_state() {
    let Some(mut changed) = Changed::start() else { return };
    let len = changed.new.database.len() as u64;
    for point in 0..20 {
        let at = 1 + point * len / 20;
        let fault = match point % 4 {
            0 => Fault::KillInput(at),
            1 => Fault::LoseStdin(at),
            _ => Fault::DisconnectInput(at),
        };
        let load = "exec \"$client\" zuul_sfarc_new";
        let fault_at = |scene: &Scene| scene.factory.cluster.fault(Planned::once("mariadb", load, fault));
        let delete = |scene: &Scene| {
            if point % 8 == 0 {
                scene.factory.cluster.delete_pod(NAMESPACE, "mariadb-0");
            }
        };
        let failed = changed.crash(&format!("{fault:?} of {len}"), fault_at, delete);
        assert!(failed, "{fault:?} of {len} was not noticed");
    }
}

/// Keys are imported one after the other. So they may be mixed, but then nothing runs that would use them.
#[test]
fn a_crash_while_keys_are_imported_is_completed_by_the_next_run() {
    let Some(scene) = Scene::start(factory::Options { builds: 1, ..factory::Options::default() }) else { return };
    let (id, before) = scene.capture();
    let options = Options { only: vec!["keys".to_owned()], safety: false, ..scene.options() };
    let requests = || (scene.factory.cluster.requests().len() + scene.factory.cluster.sessions().len()) as u64;
    scene.factory.forget_keys();
    let from = requests();
    scene.restore(id, &options).expect("without a fault");
    let all = requests() - from;
    let mut broken = 0;
    for point in (0..4).map(|quarter| all / 4 + quarter * all / 5) {
        scene.factory.forget_keys();
        scene.factory.cluster.stop_after(point);
        let outcome = scene.restore(id, &options);
        scene.factory.cluster.answer_again();
        if outcome.is_err() {
            broken += 1;
            let runs = replicas(&scene) != (0, 0);
            assert!(!runs || object(&scene, "ConfigMap", RECORD).is_some(), "after {point} of {all} requests");
            scene.restore(id, &options).expect("the next run completes it");
        }
        assert_eq!(replicas(&scene), (1, 1), "after {point} of {all} requests");
        assert_eq!(object(&scene, "ConfigMap", RECORD), None, "after {point} of {all} requests");
    }
    let (_, after) = scene.capture();
    super::assert_same(&before, &after, "in the end");
    println!("{all} requests, {broken} restores broken off");
    assert!(broken > 0);
}
