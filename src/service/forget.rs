//! What the rules of the targets keep, and what not. While damage is open, the best that is left stays, whatever they say.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::damage::Damage;
use super::ledger::{Ledger, may_be_damaged};
use super::plain::PlainText;
use crate::backend::Key;
use crate::config::Config;
use crate::engine::check::doubtful_snapshots;
use crate::engine::pin;
use crate::engine::retention::{Decision, Rules, TARGET, decide};
use crate::error::Error;
use crate::format::manifest::Manifest;
use crate::ids::ObjectId;
use crate::repo::snapshots::Listing;
use crate::repo::{RepoError, Repository};

/// What was forgotten.
pub(super) struct Forgotten {
    /// How many snapshots.
    pub(super) count: usize,
    /// How many each target has kept.
    pub(super) kept: BTreeMap<String, u64>,
}

/// Forgets the snapshots that no rule keeps.
pub(super) fn forget(
    repository: &Repository,
    config: &Config,
    ledger: &Ledger,
    damage: &Damage,
) -> Result<Forgotten, Error> {
    let listing = repository.snapshots()?;
    let target_of = |manifest: &Manifest| {
        let name = manifest.label(TARGET)?;
        config.targets.iter().find(|target| target.name == name)
    };
    // Snapshots of targets that the file does not name, or of nobody's, are not ours to thin out.
    let mut decisions = decide(&listing, repository.env.clock.now(), Some(&config.own), |manifest| {
        target_of(manifest).map(|target| Rules { policy: &target.retention, zone: &target.zone })
    });
    keep_by_damage(repository, &mut decisions, &listing, ledger, damage)?;
    let superseded = ledger.superseded();
    decisions.iter_mut().filter(|one| superseded.contains(&one.id)).for_each(|one| one.reasons.clear());
    let count = pin::forget_unkept(repository, &listing, &decisions)?;
    let is_kept: HashSet<ObjectId> = decisions.iter().filter(|one| one.is_kept()).map(|one| one.id).collect();
    let mut kept: BTreeMap<String, u64> = config.targets.iter().map(|target| (target.name.clone(), 0)).collect();
    for snapshot in listing.snapshots.iter().filter(|snapshot| is_kept.contains(&snapshot.id)) {
        if let Some(target) = target_of(&snapshot.manifest) {
            *kept.entry(target.name.clone()).or_default() += 1;
        }
    }
    Ok(Forgotten { count, kept })
}

/// While damage is open by the records of the repository, or by what is missing and distrusted, what is best of what is
/// left stays, and what tells of the damage, whatever was decided by rules.
pub fn keep_while_damaged(repository: &Repository, listing: &Listing, decisions: &mut [Decision]) -> Result<(), Error> {
    let ledger = if may_be_damaged(listing) { Ledger::of(repository, listing)? } else { Ledger::default() };
    keep_by_damage(repository, decisions, listing, &ledger, ledger.damage())
}

fn keep_by_damage(
    repository: &Repository,
    decisions: &mut [Decision],
    listing: &Listing,
    ledger: &Ledger,
    damage: &Damage,
) -> Result<(), Error> {
    keep_what_may_be_pinned(decisions, listing);
    let mut damage = damage.clone();
    if !decisions.iter().all(Decision::is_kept) {
        damage.snapshots.extend(doubtful_snapshots(repository)?.iter().map(|id| PlainText::from(id.to_string())));
    }
    if damage.is_open() {
        let good = listing.snapshots.iter().filter(|one| one.manifest.is_good());
        let good: HashSet<ObjectId> = good.map(|one| one.id).collect();
        keep_the_best(decisions, &damage, |id| good.contains(id));
    }
    for decision in decisions.iter_mut().filter(|one| ledger.must_stay(&one.id)) {
        decision.reasons.push("it says what is damaged".to_owned());
    }
    Ok(())
}

/// Where a snapshot cannot be read, nobody knows which one it pins, if it is a pin. What is forged pins nothing.
fn keep_what_may_be_pinned(decisions: &mut [Decision], listing: &Listing) {
    let may_pin = |error: &RepoError| error.is_damage() && !matches!(error, RepoError::Forged { .. });
    let Some((id, _)) = listing.unreadable.iter().find(|(_, error)| may_pin(error)) else { return };
    for decision in decisions.iter_mut().filter(|one| !one.is_kept()) {
        decision.reasons.push(format!("{} is damaged, and may be its pin", Key::Snapshot(*id)));
    }
}

/// Of each group the newest snapshot stays that no damage hits, and the newest good one of those. If there is none of
/// either, the whole group stays: nobody knows which of them is worth most.
fn keep_the_best(decisions: &mut [Decision], damage: &Damage, is_good: impl Fn(&ObjectId) -> bool) {
    let mut groups: HashMap<String, Vec<&mut Decision>> = HashMap::new();
    for decision in decisions {
        groups.entry(decision.group.clone()).or_default().push(decision);
    }
    for mut group in groups.into_values() {
        group.sort_by_key(|decision| std::cmp::Reverse((decision.time, decision.id)));
        let is_whole = |decision: &&mut Decision| !damage.may_hit(&decision.id);
        let newest = group.iter().position(is_whole);
        let newest_good = group.iter().position(|decision| is_whole(decision) && is_good(&decision.id));
        let best = newest_good.or(newest);
        for (place, decision) in group.into_iter().enumerate() {
            if best.is_none() {
                decision.reasons.push("damage may hit all others, too".to_owned());
            } else if Some(place) == newest || Some(place) == newest_good {
                decision.reasons.push("the newest that no damage hits".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::plain::PlainText;

    fn id(number: u8) -> ObjectId {
        ObjectId::new([number; 32])
    }

    /// The snapshots of a group of five that stay; by the rules only the newest does.
    fn kept(damage: &Damage, good: &[u8]) -> Vec<u8> {
        let decision = |number: u8| Decision {
            id: id(number),
            time: i64::from(number),
            group: "target t".to_owned(),
            reasons: if number == 5 { vec!["last good".to_owned()] } else { Vec::new() },
        };
        let mut decisions: Vec<Decision> = (1..=5).map(decision).collect();
        keep_the_best(&mut decisions, damage, |one| good.iter().any(|number| id(*number) == *one));
        decisions.iter().filter(|one| one.is_kept()).map(|one| one.id.as_bytes()[0]).collect()
    }

    fn hits(snapshots: &[u8]) -> Damage {
        let snapshots = snapshots.iter().map(|number| PlainText::from(id(*number).to_string())).collect();
        Damage { since: Some(0), snapshots, ..Damage::default() }
    }

    #[test]
    fn the_newest_that_no_damage_hits_stays() {
        let all = [1, 2, 3, 4, 5];
        assert_eq!(kept(&hits(&[9]), &all), [5], "it stays anyway");
        assert_eq!(kept(&hits(&[5, 4]), &all), [3, 5]);
        assert_eq!(kept(&hits(&[5, 4]), &[1, 2, 5]), [2, 3, 5], "the newest is not good");
        assert_eq!(kept(&hits(&all), &all), all, "nobody knows which is worth most");
        assert_eq!(kept(&Damage::unnamed(0), &all), all, "what it hits is not known");
    }
}
