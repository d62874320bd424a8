//! Which snapshots are kept: against a model that was written from the documentation, and is as slow as it is simple.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use sfarc::engine::retention::{Decision, Own, Policy, Rules, Span, decide};
use sfarc::format::manifest::Manifest;
use sfarc::ids::ObjectId;
use sfarc::repo::RepoError;
use sfarc::repo::roles::Maker;
use sfarc::repo::snapshots::{Listing, Snapshot};

const HOUR: i64 = 3_600_000_000_000;

#[derive(Debug, Clone)]
struct Item {
    hours: i64,
    target: u8,
    is_good: bool,
    tag: bool,
    pinned: bool,
}

/// The moment that snapshots count their hours from.
const BEGIN: i64 = 1_700_000_000_000_000_000;

fn snapshot(number: u64, hours: i64) -> Snapshot {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let manifest = Manifest {
        time: hours * HOUR + BEGIN,
        duration: 0,
        host: "host".to_owned(),
        tags: Vec::new(),
        labels: Vec::new(),
        program: "test".to_owned(),
        session: [0; 16],
        added: 0,
        complete: true,
        streams: Vec::new(),
        findings: Vec::new(),
    };
    Snapshot { id: ObjectId::new(id), manifest, stored_len: 1000, maker: None }
}

fn label(manifest: &mut Manifest, key: &str, value: String) {
    manifest.labels.push((key.to_owned(), value));
}

fn all(items: &[Item]) -> Vec<Snapshot> {
    let mut all = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let mut one = snapshot(number as u64, item.hours);
        label(&mut one.manifest, "target", item.target.to_string());
        one.manifest.complete = item.is_good;
        if item.tag {
            one.manifest.tags.push("keep".to_owned());
        }
        if item.pinned {
            let mut pin = snapshot(1_000_000 + number as u64, item.hours);
            label(&mut pin.manifest, "sfarc/pin-of", one.id.to_string());
            all.push(pin);
        }
        all.push(one);
    }
    all
}

fn decide_all(all: &[Snapshot], now: i64, zone: &TimeZone, own: &Own, policy: &Policy) -> Vec<Decision> {
    let listing = Listing { snapshots: all.to_vec(), ..Listing::default() };
    decide(&listing, now, Some(own), |_| Some(Rules { policy, zone }))
}

/// The moment as people write it, cut at some place: equal for moments of the same period.
fn period(time: i64, zone: &TimeZone, format: &str) -> String {
    let zoned = jiff::Timestamp::from_nanosecond(i128::from(time)).expect("a time").to_zoned(zone.clone());
    zoned.strftime(format).to_string()
}

/// The snapshots that the rules keep, one rule after the other.
pub(crate) fn model(all: &[Snapshot], now: i64, policy: &Policy, zone: &TimeZone) -> BTreeSet<ObjectId> {
    let mut kept = BTreeSet::new();
    let pins: BTreeSet<&str> = all.iter().filter_map(|one| one.manifest.label("sfarc/pin-of")).collect();
    let mut groups: BTreeMap<&str, Vec<&Snapshot>> = BTreeMap::new();
    for one in all {
        match one.manifest.label("target") {
            // From the future: later than a day from now.
            _ if one.manifest.time - now > 24 * HOUR => drop(kept.insert(one.id)),
            Some(target) => groups.entry(target).or_default().push(one),
            None => drop(kept.insert(one.id)),
        }
    }
    for group in groups.values_mut() {
        group.sort_by_key(|one| (one.manifest.time, one.id));
        group.reverse();
        let newest = group[0].manifest.time;
        let good: Vec<&Snapshot> = group.iter().filter(|one| one.manifest.complete).copied().collect();
        kept.extend(good.first().or(group.first()).map(|one| one.id));
        kept.extend(good.iter().take(policy.last).map(|one| one.id));
        let rules = [
            ("%Y-%m-%d %H %z", policy.hourly),
            ("%Y-%m-%d", policy.daily),
            ("%G-%V", policy.weekly),
            ("%Y-%m", policy.monthly),
            ("%Y", policy.yearly),
        ];
        for (format, count) in rules {
            let mut periods = Vec::new();
            for one in &good {
                let period = period(one.manifest.time, zone, format);
                if !periods.contains(&period) && periods.len() < count {
                    periods.push(period);
                    kept.insert(one.id);
                }
            }
        }
        for one in group.iter() {
            let within = |span: Option<Span>, end: i64| {
                span.is_some_and(|span| (end - one.manifest.time) as u128 <= span.0.as_nanos())
            };
            let newest_good = good.first().map_or(newest, |one| one.manifest.time);
            if (one.manifest.complete && within(policy.within, newest_good))
                || (!one.manifest.complete && within(policy.inconsistent_within, newest))
                || one.manifest.tags.iter().any(|tag| policy.tags.contains(tag))
                || pins.contains(&one.id.to_string()[..])
            {
                kept.insert(one.id);
            }
        }
    }
    kept
}

fn kept(decisions: &[Decision]) -> BTreeSet<ObjectId> {
    decisions.iter().filter(|decision| decision.is_kept()).map(|decision| decision.id).collect()
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item =
        (0i64..20_000, 0u8..3, prop::bool::weighted(0.8), prop::bool::weighted(0.05), prop::bool::weighted(0.05));
    let item = item.prop_map(|(hours, target, is_good, tag, pinned)| Item { hours, target, is_good, tag, pinned });
    prop::collection::vec(item, 0..200)
}

fn policies() -> impl Strategy<Value = Policy> {
    let counts = prop::array::uniform6(prop_oneof![Just(0usize), 0usize..20]);
    (counts, prop::option::of(0u64..60), prop::option::of(0u64..60), any::<bool>()).prop_map(
        |(counts, within, bad, tags)| {
            let [last, hourly, daily, weekly, monthly, yearly] = counts;
            Policy {
                last,
                hourly,
                daily,
                weekly,
                monthly,
                yearly,
                within: within.map(Span::days),
                tags: if tags { vec!["keep".to_owned()] } else { Vec::new() },
                inconsistent_within: bad.map(Span::days),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn decisions_are_those_of_the_model(
        items in items(),
        policy in policies(),
        zone in 0usize..3,
        now in prop_oneof![Just(20_000i64), 0i64..20_000],
    ) {
        let now = BEGIN + now * HOUR;
        let zone = TimeZone::get(["UTC", "Europe/Berlin", "Asia/Kolkata"][zone]).expect("a zone");
        let all = all(&items);
        let decisions = decide_all(&all, now, &zone, &Own::default(), &policy);
        prop_assert_eq!(decisions.len(), all.len());
        prop_assert_eq!(kept(&decisions), model(&all, now, &policy, &zone));
        // Again: what is left is kept, whatever was removed.
        let left: Vec<Snapshot> = all.iter().filter(|one| kept(&decisions).contains(&one.id)).cloned().collect();
        let again = decide_all(&left, now, &zone, &Own::default(), &policy);
        prop_assert_eq!(kept(&again), kept(&decisions), "removing what no rule keeps changes no rule");
    }
}

#[test]
fn records_and_safety_snapshots_follow_rules_of_their_own() {
    let mut all: Vec<Snapshot> = (0..3).map(|number| snapshot(number, 24 * number as i64)).collect();
    let drilled = all[1].id;
    let mut add = |number: u64, days: i64, labels: &[(&str, String)]| {
        let mut one = snapshot(number, 24 * days);
        labels.iter().for_each(|(key, value)| label(&mut one.manifest, key, value.clone()));
        all.push(one);
    };
    let proven = |id: &str| vec![("sfarc/drill-of", id.to_owned()), ("sfarc/proven", "true".to_owned())];
    add(10, 0, &proven(&drilled.to_string()));
    add(11, 0, &proven(&"f".repeat(64)));
    for days in 0..6 {
        add(20 + days as u64, days - 900, &[("sfarc/safety-of", "x".to_owned())]);
    }
    add(30, -500, &[("sfarc/pin-of", "f".repeat(64))]);
    let rules = Own { records_within: Span::days(1), ..Own::default() };
    let policy = Policy { last: 1, ..Policy::default() };
    // The newest is two days after the records.
    let decisions = decide_all(&all, i64::MAX, &TimeZone::UTC, &rules, &policy);
    let reasons = |number: u64| {
        let id = snapshot(number, 0).id;
        decisions
            .iter()
            .find(|decision| decision.id == id)
            .map(|decision| decision.reasons.join(", "))
            .unwrap_or_default()
    };
    assert_eq!(reasons(0), "");
    assert_eq!(reasons(1), "last drilled");
    assert_eq!(reasons(2), "last good, last 1");
    assert_eq!(reasons(10), "proves a snapshot that is there");
    assert_eq!(reasons(11), "", "what it proves is gone");
    assert_eq!([reasons(22), reasons(23), reasons(25)], ["", "last 3", "last 1"]);
    assert_eq!(reasons(30), "", "a pin of nothing");
    let damaged = RepoError::Damaged { object: "a snapshot".to_owned(), why: "of a newer program, perhaps".to_owned() };
    let listing = Listing { unreadable: vec![("f".repeat(64).parse().expect("an id"), damaged)], snapshots: all };
    let own_only = decide(&listing, i64::MAX, Some(&rules), |_| None);
    assert!(own_only.iter().all(|decision| decision.group != "host: "), "{own_only:?}");
    let pin = own_only.iter().find(|decision| decision.group == "pins").expect("it is there");
    assert!(pin.is_kept(), "what it pins is there, though it cannot be read");
}

/// What keeps each of these snapshots, decided at the hour `now`.
fn reasons(all: &[Snapshot], now: i64, policy: &Policy) -> Vec<String> {
    let decisions = decide_all(all, BEGIN + now * HOUR, &TimeZone::UTC, &Own::default(), policy);
    let of =
        |one: &Snapshot| decisions.iter().find(|decision| decision.id == one.id).expect("decided").reasons.join(", ");
    all.iter().map(of).collect()
}

#[test]
fn snapshots_from_the_future_stay_and_take_no_place() {
    let hours = [0, 48, 72, 24 * 9000, 24 * 9001];
    let all: Vec<Snapshot> = hours.iter().zip(0..).map(|(hours, number)| snapshot(number, *hours)).collect();
    let policy = Policy { last: 2, within: Some(Span::days(1)), ..Policy::default() };
    let kept = ["", "last 2, within 1d", "last good, last 1, within 1d", "from the future", "from the future"];
    assert_eq!(reasons(&all, 72, &policy), kept);
    assert_eq!(reasons(&all, 49, &policy), kept, "clocks may be a day apart");
    let late = reasons(&all, -1000, &policy);
    assert!(late.iter().all(|reasons| reasons == "from the future"), "whoever is late removes nothing: {late:?}");
    let come = reasons(&all, 24 * 9001, &policy);
    assert_eq!(come[2], "", "once their time has come they are like any other");
}

#[test]
fn no_writer_crowds_out_what_another_has_taken() {
    let mut all: Vec<Snapshot> = (0..6).map(|number| snapshot(number, number as i64)).collect();
    let makers =
        [(1, "pod-1"), (2, "pod-2")].map(|(byte, label)| Maker { public: [byte; 32], label: label.to_owned() });
    // One takes one snapshot, another, of the same target, five after it.
    for (one, maker) in all.iter_mut().zip([0, 1, 1, 1, 1, 1]) {
        label(&mut one.manifest, "target", "db".to_owned());
        one.maker = Some(makers[maker].clone());
    }
    let policy = Policy { last: 2, ..Policy::default() };
    assert_eq!(reasons(&all, 6, &policy), ["last good, last 1", "", "", "", "last 2", "last good, last 1"]);
    let decisions = decide_all(&all, BEGIN, &TimeZone::UTC, &Own::default(), &policy);
    assert_eq!(decisions[0].group, "target db, by writer pod-1 (01010101)");
}
