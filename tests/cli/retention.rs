//! What `forget` keeps by its rules, and pins.

use crate::json::assert_documented;
use crate::repo::Repo;

/// One snapshot a day at noon, the first days of a year.
fn year(repo: &Repo, days: std::ops::RangeInclusive<u32>) -> Vec<String> {
    let take = |day: u32| {
        let time = format!("2026-01-{day:02}T12:00:00Z");
        let args = ["snapshot", "--stdin", "s", "--time", &time, "--host", "h", "--json"];
        repo.feed(args, format!("{day}").as_bytes()).ok().id()
    };
    days.map(take).collect()
}

#[test]
fn rules_keep_what_they_say_and_say_why() {
    let repo = Repo::new();
    let ids = year(&repo, 1..=20);
    let rules = ["forget", "--keep-last", "2", "--keep-weekly", "3"];
    let table = repo.run([&rules[..], &["--dry-run"]].concat()).ok();
    table.says("last good, last 1, weekly 1").says("forget");
    assert_eq!(repo.ids().len(), 20, "a dry run removes nothing");
    for object in repo.run([&rules[..], &["--dry-run", "--json"]].concat()).ok().json() {
        assert_documented("forget", &object);
    }
    repo.run(rules).ok().says("16 snapshots forgotten");
    // 20 and 19; the 20th is of the newest week, the 18th and the 11th end those before.
    let kept = [10, 17, 18, 19].map(|index| ids[index].clone());
    assert_eq!(repo.ids(), kept);
    repo.run(rules).ok().says("0 snapshots forgotten");
    repo.run(["forget", "--keep-within", "3d"]).ok();
    assert_eq!(repo.ids(), kept[1..], "from the newest on, whatever the clock says");
    repo.check();
}

#[test]
fn what_is_pinned_stays_until_it_is_not() {
    let repo = Repo::new();
    let ids = year(&repo, 1..=3);
    let pinned = repo.run(["pin", &ids[0], "--why", "before the upgrade", "--json"]).ok().object();
    assert_documented("pin", &pinned);
    repo.run(["pin", &ids[0]]).ok();
    repo.run(["forget", "--keep-last", "1"]).ok();
    let left = || repo.run(["list", "--host", "h", "--json"]).ok().json().len();
    assert_eq!(left(), 2);
    repo.run(["forget", &ids[0]]).ends(1).says("is pinned").says("sfarc pin --remove");
    repo.run(["pin", "--remove", &ids[0]]).ok().says("not pinned any more");
    repo.run(["forget", "--keep-last", "1"]).ok();
    assert_eq!(repo.ids(), [ids[2].clone()]);
}

#[test]
fn while_a_record_is_damaged_everything_may_be_pinned() {
    let repo = Repo::new();
    let ids = year(&repo, 1..=3);
    let before = repo.files("snapshots");
    repo.run(["pin", &ids[0]]).ok();
    let pin = repo.files("snapshots").into_iter().find(|file| !before.contains(file)).expect("a pin");
    let mut bytes = std::fs::read(&pin).expect("read");
    bytes[200] ^= 1;
    std::fs::remove_file(&pin).expect("removed");
    std::fs::write(&pin, bytes).expect("written");
    repo.run(["forget", "--keep-last", "1"]).ok().says("may be its pin").says("0 snapshots forgotten");
    let name = pin.file_name().and_then(|name| name.to_str()).expect("a name");
    repo.run(["forget", name]).ok();
    repo.run(["forget", "--keep-last", "1"]).ok().says("2 snapshots forgotten");
}

#[test]
fn latest_means_none_while_one_cannot_be_read() {
    let repo = Repo::new();
    let ids = year(&repo, 1..=2);
    let newest = repo.path().join("snapshots").join(&ids[1]);
    std::fs::remove_file(&newest).expect("removed");
    std::fs::write(&newest, b"short").expect("written");
    repo.run(["forget", "latest"]).ends(1).says("by its id");
    repo.run(["forget", &ids[1]]).ok();
    assert_eq!(repo.ids(), [ids[0].clone()]);
}

/// The newest has lost its data, by what is missing or by what a check by hand has found.
#[test]
fn rules_do_not_forget_the_last_snapshot_that_is_whole() {
    for is_rotten in [false, true] {
        let repo = Repo::new();
        let take = |seed: u64, day: u32| {
            let time = format!("2026-01-0{day}T12:00:00Z");
            let bytes = crate::repo::noise(seed, 300_000);
            repo.feed(["snapshot", "--stdin", "s", "--time", &time], &bytes).ok();
        };
        take(1, 1);
        let before = repo.files("packs");
        take(2, 2);
        for pack in repo.files("packs").into_iter().filter(|pack| !before.contains(pack)) {
            let bytes = std::fs::read(&pack).expect("read");
            std::fs::remove_file(&pack).expect("removed");
            if is_rotten {
                let mut bytes = bytes;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&pack, bytes).expect("written");
            }
        }
        if is_rotten {
            repo.run(["check", "--read-data"]).ends(13);
        }
        repo.run(["forget", "--keep-last", "1"])
            .ok()
            .says("the newest that no damage hits")
            .says("0 snapshots forgotten");
        let [whole, _] = &repo.ids()[..] else { panic!("two snapshots") };
        assert!(repo.cat(whole, "s") == crate::repo::noise(1, 300_000));
    }
}

#[test]
fn rules_hold_for_each_target_and_filters_for_some() {
    let repo = Repo::new();
    for (target, day) in [("a", 1), ("b", 2), ("a", 3), ("b", 4)] {
        let (time, label) = (format!("2026-01-0{day}T12:00:00Z"), format!("target={target}"));
        repo.feed(["snapshot", "--stdin", "s", "--time", &time, "--label", &label], b"x").ok();
    }
    repo.run(["forget", "--keep-last", "1", "--label", "target=a"]).ok().says("1 snapshot forgotten");
    assert_eq!(repo.ids().len(), 3);
    repo.run(["forget", "--keep-last", "1"]).ok().says("1 snapshot forgotten");
    let labels = repo.run(["list"]).ok().text();
    assert!(labels.contains("target=a") && labels.contains("target=b"), "{labels}");
}

#[test]
fn rules_that_would_keep_next_to_nothing_are_refused() {
    let repo = Repo::new();
    repo.run(["forget"]).ends(2);
    repo.run(["forget", "--keep-daily", "0"]).ends(2).says("would keep one snapshot");
    repo.run(["forget", "latest", "--keep-daily", "1"]).ends(2);
    repo.run(["forget", "--keep-within", "soon"]).ends(2).says("no length of time");
    repo.run(["forget", "latest", "--tag", "x"]).ends(2);
}
