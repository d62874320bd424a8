//! Both ways with the backup folder of sf-operator, and what can be proven without a cluster.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sfarc::testing::services::{ZooKeeper, Zuul};

use crate::json::assert_documented;
use crate::repo::{Ran, Repo};
use crate::site::Site;

/// The files below a folder with their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let below = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable"));
    let files = below.filter(|entry| entry.file_type().is_file());
    let content = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).expect("below").to_owned();
        (name, fs::read(entry.path()).expect("readable"))
    };
    files.map(content).collect()
}

fn exported(site: &Site) -> PathBuf {
    site.run(["snapshot", "--cr", &site.cr()[1]]).ok();
    let folder = site.repo.at("for-operator");
    let to = folder.to_str().expect("UTF-8");
    let ran = site.repo.run(["restore", "latest", "--to", to, "--layout", "sf-operator"]).ok();
    ran.says("Secrets, the keys and the database").says("more objects");
    folder
}

#[test]
fn a_snapshot_goes_to_the_operator_and_back() {
    let site = Site::start();
    let folder = exported(&site);
    let first = files(&folder);
    let names: Vec<String> = first.keys().map(|name| name.display().to_string()).collect();
    for name in [
        "cr.yaml",
        "mariadb/db-zuul.sql",
        "zuul/zuul.keys",
        "secrets/zuul-keystore-password.yaml",
        "secrets/gerrit-ssh.yaml",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    for name in
        ["secrets/gerrit-http.yaml", "secrets/nodepool-providers-secrets.yaml", "secrets/config-update-secrets.yaml"]
    {
        assert!(!names.iter().any(|known| known == name), "the operator does not know {name}");
    }
    assert!(names.contains(&"more/secrets-gerrit-http.json".to_owned()), "{names:?}");
    let more = first.iter().filter(|(name, _)| name.starts_with("more"));
    more.for_each(|(name, object)| assert!(!String::from_utf8_lossy(object).contains("ownerReferences"), "{name:?}"));
    let dump = String::from_utf8_lossy(&first[Path::new("mariadb/db-zuul.sql")]).into_owned();
    assert!(dump.contains("\nUSE `zuul`;\n"), "the operator's client names no database");

    let to = folder.to_str().expect("UTF-8");
    let taken = site.repo.run(["import", to, "--json"]).ok().object();
    assert_documented("import", &taken);
    assert_eq!(taken["labels"]["imported-from"], "sf-operator", "{taken}");
    site.repo.run(["verify", "latest"]).ok().says("every key opens");
    let again = site.repo.at("again");
    let again_to = again.to_str().expect("UTF-8");
    let id = taken["id"].as_str().expect("an id");
    let written = site.repo.run(["restore", id, "--to", again_to, "--layout", "sf-operator", "--json"]).ok().object();
    assert_documented("restore", &written);
    let second = files(&again);
    let of_operator = |name: &&PathBuf| !name.starts_with("more") && **name != *Path::new("cr.yaml");
    for name in first.keys().filter(of_operator) {
        let moved = Path::new("more").join(format!("secrets-{}.json", name.file_stem().expect("a name").display()));
        match second.get(name) {
            Some(content) => assert!(*content == first[name], "{}", name.display()),
            // Without the owner nobody knows what a connection's Secret is.
            None => assert!(second.contains_key(&moved), "{}", name.display()),
        }
    }
    site.repo.run(["restore", id, "--to", again_to, "--layout", "sf-operator"]).ends(1).says("exists already");
    site.repo.run(["restore", id, "--to", again_to, "--layout", "sf-operator", "--overwrite"]).ok();
    assert_eq!(files(&again), second);
}

#[test]
fn storage_classes_are_mapped_in_the_custom_resource() {
    let site = Site::start();
    site.run(["snapshot", "--cr", &site.cr()[1]]).ok();
    let cr = fs::read_to_string(site.factory.cr_file()).expect("readable");
    let class = cr.split("className: ").nth(1).and_then(|rest| rest.split([',', '}', '\n']).next()).expect("a class");
    let to = site.repo.at("mapped");
    let map = format!("{class}=another-class");
    let args = ["restore", "latest", "--layout", "sf-operator", "--map-storage-class", &map, "--to"];
    site.repo.run([&args[..], &[to.to_str().expect("UTF-8")]].concat()).ok();
    let written = fs::read_to_string(to.join("cr.yaml")).expect("readable");
    assert_eq!(written, cr.replace(&format!("className: {class}"), "className: another-class"));
}

#[test]
fn a_folder_that_could_not_be_restored_is_refused() {
    let site = Site::start();
    let folder = exported(&site);
    let import = || Repo::run(&site.repo, ["import", folder.to_str().expect("UTF-8")]);
    let ids = site.repo.ids().len();
    let break_it = |name: &str, change: &dyn Fn(String) -> String, says: &str| {
        let path = folder.join(name);
        let right = fs::read_to_string(&path).expect("readable");
        fs::write(&path, change(right.clone())).expect("written");
        import().ends(1).says(says);
        fs::write(&path, right).expect("written");
    };
    break_it("mariadb/db-zuul.sql", &|dump| dump[..dump.len() / 2].to_owned(), "cannot take stream `database`");
    break_it("zuul/zuul.keys", &|keys| keys[..keys.len() / 2].to_owned(), "not whole JSON");
    break_it("secrets/zuul-keystore-password.yaml", &|yaml| yaml.replace("MDAw", "MTEx"), "zuul.keys");
    break_it("secrets/zuul-ssh-key.yaml", &|_| "data: [".to_owned(), "it is not YAML");
    break_it("secrets/zuul-ssh-key.yaml", &|yaml| yaml.replace("name: \"zuul", "name: \"other"), "another name");
    fs::remove_file(folder.join("secrets/zuul-keystore-password.yaml")).expect("removed");
    import().ends(1).says("zuul-keystore-password is not in it");
    fs::remove_file(folder.join("zuul/zuul.keys")).expect("removed");
    import().ends(1).says("zuul.keys");
    assert_eq!(site.repo.ids().len(), ids, "nothing was stored");
}

#[test]
fn verify_names_what_is_wrong_with_a_snapshot() {
    let site = Site::start();
    site.run(["snapshot", "--cr", &site.cr()[1]]).ok();
    let ran = site.repo.run(["verify", "latest"]).ok();
    ran.says("ok   database: the dump is whole").says("ok   keys: every key opens");
    for object in site.repo.run(["verify", "latest", "--json"]).ok().json() {
        assert_documented("verify", &object);
    }
    site.factory.remove_secret("logserver-keys");
    site.factory.remove_secret("github-conn-secret");
    site.run(["snapshot"]);
    let ran = site.repo.run(["verify", "latest"]).ends(13);
    ran.says("BAD  objects: the operator's Secrets: missing: logserver-keys").says("missing: github-conn-secret");
    // A plain snapshot has bytes, and no more is asked of it.
    site.repo.take("notes", b"some notes");
    site.repo.run(["verify", "latest"]).ok().says("ok   notes: all 10 bytes");
}

/// The search path, with Zuul's programs.
fn path(zuul: &Zuul) -> std::ffi::OsString {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let folders = zuul.admin().parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&usual));
    std::env::join_paths(folders).expect("plain paths")
}

#[test]
fn a_drill_is_recorded_and_its_age_is_shown() {
    let site = Site::start();
    site.run(["snapshot", "--only", "objects"]).ok();
    site.repo.run(["list"]).ok().says("no drill has proven a snapshot yet");
    let drilled = site.repo.run(["drill", "latest", "--json"]).ok().json();
    drilled.iter().for_each(|object| assert_documented("drill", object));
    site.repo.run(["list"]).ok().says("last proven drill: ");
    site.repo.run(["drill", "latest", "--image", "mariadb=x"]).ends(2).says("--to-cluster");
    site.run(["drill", "latest", "--to-cluster", "--image", "mariadbd=x"]).ends(2).says("it is mariadb, zookeeper or");
    site.run(["snapshot", "--only", "objects,keys"]).ok();
    let zuul = Zuul::installed().filter(|_| ZooKeeper::installed());
    let Some(zuul) = zuul else { return println!("ZooKeeper or Zuul are not installed: not tested") };
    let drill = |path: &std::ffi::OsStr| {
        let mut command = site.repo.command(["drill", "latest"]);
        command.env("PATH", path);
        command
    };
    let ran = |path: &std::ffi::OsStr| Ran::from(drill(path).output().expect("it starts"));
    ran("/usr/bin:/bin".as_ref()).ends(3).says("zuul-admin").says("not everything could be tried here");
    ran(&path(&zuul)).ok().says("exported again the same").says("restored into a scratch and proven");
}

#[test]
fn a_killed_drill_leaves_nothing_behind() {
    let Some(zuul) = Zuul::installed().filter(|_| ZooKeeper::installed()) else {
        return println!("ZooKeeper or Zuul are not installed: not tested");
    };
    let site = Site::start();
    site.run(["snapshot", "--only", "objects,keys"]).ok();
    let folder = tempfile::tempdir().expect("a folder");
    let mut drill = site.repo.command(["drill", "latest"]);
    drill.env("PATH", path(&zuul)).env("TMPDIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut drill = drill.spawn().expect("it starts");
    // Some go while they are listed.
    let files = || walkdir::WalkDir::new(folder.path()).min_depth(1).into_iter().count();
    let wait = |what: &str, is_so: &dyn Fn() -> bool| {
        (0..300).find(|_| {
            std::thread::sleep(Duration::from_millis(100));
            is_so()
        });
        assert!(is_so(), "{what}");
    };
    let is_running = || {
        let mine = format!("DATA={}", folder.path().display());
        let processes = fs::read_dir("/proc").expect("it is there").flatten();
        let environment = |entry: fs::DirEntry| fs::read(entry.path().join("environ")).unwrap_or_default();
        processes.map(environment).any(|text| text.windows(mine.len()).any(|part| part == mine.as_bytes()))
    };
    wait("a ZooKeeper has started", &|| files() > 0);
    assert!(is_running());
    drill.kill().expect("it can be killed");
    drill.wait().expect("it ends");
    wait("its files go", &|| files() == 0);
    wait("its processes end", &|| !is_running());
}
