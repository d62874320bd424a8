//! What every store must do, as a suite that each implementation runs.
//!
//! A failure is text that says which rule is broken.

use std::sync::{Arc, Barrier};

use crate::backend::{Backend, BackendError, Cause, Key, Kind};
use crate::ids::{ObjectId, SessionId};

/// What a rule gives: nothing, or how it is broken.
pub type Outcome = Result<(), String>;

/// A rule in words, and how a store is tried.
type Rule = (&'static str, fn(&Arc<dyn Backend>) -> Outcome);

/// The rules for every store. Each gets a store of its own, empty.
const RULES: &[Rule] = &[
    ("a put object is read back", put_is_read_back),
    ("a put never replaces", put_never_replaces),
    ("a replaced object is the new one, whole", replacing),
    ("ranges", ranges),
    ("what lies beyond the end is too short", too_short),
    ("what is not there is not found", not_found),
    ("listings tell keys and lengths", listings),
    ("kinds are apart", kinds_are_apart),
    ("deleting", deleting),
    ("a name can be used again after a delete", put_after_delete),
    ("announced sessions are held", holds),
    ("a session is announced once", announced_once),
    ("sweeping takes no object", sweeping),
    ("of concurrent puts one wins", one_put_wins),
    ("of concurrent announcements one wins", one_announcement_wins),
];

/// Rules for stores that know which processes are alive. Others go by time, and take the dead for alive for a while.
const RULES_OF_PROCESSES: &[Rule] = &[("sessions are held until the hold is dropped", holds_end)];

/// Runs the rules for every store, each on a new one, and gathers what is broken.
pub fn run(mut new: impl FnMut() -> Arc<dyn Backend>) -> Vec<String> {
    broken(RULES, &mut new)
}

/// The same with the rules for stores that know which processes are alive.
pub fn run_with_processes(mut new: impl FnMut() -> Arc<dyn Backend>) -> Vec<String> {
    [broken(RULES, &mut new), broken(RULES_OF_PROCESSES, &mut new)].concat()
}

fn broken(rules: &[Rule], new: &mut impl FnMut() -> Arc<dyn Backend>) -> Vec<String> {
    rules.iter().filter_map(|(rule, check)| Some(format!("{rule}: {}", check(&new()).err()?))).collect()
}

fn ensure(right: bool, what: &str) -> Outcome {
    if right { Ok(()) } else { Err(what.to_owned()) }
}

fn works<T>(result: Result<T, BackendError>) -> Result<T, String> {
    result.map_err(|error| format!("{error}: {}", error.cause))
}

fn fails<T>(result: Result<T, BackendError>, right: impl Fn(&Cause) -> bool, what: &str) -> Outcome {
    match result {
        Err(error) if right(&error.cause) => Ok(()),
        Err(error) => Err(format!("{what}: fails with `{}`", error.cause)),
        Ok(_) => Err(format!("{what}: succeeds")),
    }
}

fn pack(bytes: &[u8]) -> Key {
    Key::Pack(ObjectId::of(bytes))
}

/// A key and bytes of every kind that is put.
fn samples() -> Vec<(Key, &'static [u8])> {
    vec![
        (Key::Config, b"config"),
        (Key::Slot(ObjectId::of(b"slot")), b"slot"),
        (pack(b"pack"), b"pack"),
        (Key::Index(ObjectId::of(b"index")), b"index"),
        (Key::Snapshot(ObjectId::of(b"snapshot")), b"snapshot"),
        (Key::Pending(SessionId::new([3; 16])), b"pending"),
        (Key::Gc(u64::MAX - 1), b"gc"),
    ]
}

fn put_is_read_back(store: &Arc<dyn Backend>) -> Outcome {
    for (key, bytes) in samples() {
        works(store.put(&key, bytes))?;
        ensure(works(store.get(&key, None))? == bytes, &format!("{key} reads differently"))?;
        ensure(works(store.len(&key))? == bytes.len() as u64, &format!("{key} has another length"))?;
    }
    works(store.put(&Key::Gc(1), b""))?;
    ensure(works(store.get(&Key::Gc(1), None))?.is_empty(), "an empty object reads differently")
}

fn put_never_replaces(store: &Arc<dyn Backend>) -> Outcome {
    works(store.put(&Key::Gc(1), b"first"))?;
    fails(store.put(&Key::Gc(1), b"second"), |cause| matches!(cause, Cause::Exists), "a second put")?;
    fails(store.put(&Key::Gc(1), b"first"), |cause| matches!(cause, Cause::Exists), "the same put again")?;
    ensure(works(store.get(&Key::Gc(1), None))? == b"first", "the second put had an effect")
}

fn replacing(store: &Arc<dyn Backend>) -> Outcome {
    for (key, bytes) in samples() {
        works(store.replace(&key, bytes))?;
        ensure(works(store.get(&key, None))? == bytes, &format!("{key}, put where none was, reads differently"))?;
        works(store.replace(&key, bytes))?;
        ensure(works(store.get(&key, None))? == bytes, &format!("{key}, replaced by itself, reads differently"))?;
    }
    works(store.put(&Key::Gc(1), b"first"))?;
    for bytes in [&b"other"[..], b"longer than the first", b"short", b""] {
        works(store.list(Kind::Gc))?;
        works(store.get(&Key::Gc(1), None))?;
        works(store.replace(&Key::Gc(1), bytes))?;
        ensure(works(store.get(&Key::Gc(1), None))? == bytes, "a replaced object reads as before")?;
        ensure(works(store.len(&Key::Gc(1)))? == bytes.len() as u64, "a replaced object has another length")?;
        let listed = works(store.list(Kind::Gc))?;
        let lens: Vec<u64> = listed.iter().filter(|known| known.key == Key::Gc(1)).map(|known| known.len).collect();
        ensure(lens == [bytes.len() as u64], "the listing of a replaced object is wrong")?;
    }
    fails(store.put(&Key::Gc(1), b"put"), |cause| matches!(cause, Cause::Exists), "a put after a replacement")?;
    ensure(works(store.sweep())? == 0, "there is something to sweep after a replacement")?;
    let reads = race(store, |store, number| {
        store.replace(&Key::Gc(1), &[number; 1000]).and_then(|()| store.get(&Key::Gc(1), None))
    });
    for read in reads {
        let read = works(read)?;
        ensure(read.len() == 1000 && read.iter().all(|byte| *byte == read[0]), "two objects were mixed")?;
    }
    Ok(())
}

fn ranges(store: &Arc<dyn Backend>) -> Outcome {
    works(store.put(&Key::Gc(1), b"0123456789"))?;
    for (range, expected) in [(0..10, &b"0123456789"[..]), (0..1, b"0"), (3..7, b"3456"), (9..10, b"9"), (4..4, b"")] {
        let read = works(store.get(&Key::Gc(1), Some(range.clone())))?;
        ensure(read == expected, &format!("bytes {range:?} read differently"))?;
    }
    Ok(())
}

fn too_short(store: &Arc<dyn Backend>) -> Outcome {
    works(store.put(&Key::Gc(1), b"0123456789"))?;
    for range in [0..11, 9..11, 10..11, 20..30, u64::MAX - 1..u64::MAX] {
        let read = store.get(&Key::Gc(1), Some(range.clone()));
        fails(read, |cause| matches!(cause, Cause::TooShort), &format!("bytes {range:?}"))?;
    }
    // Nothing is that large: a store may say so before it looks.
    fails(store.get(&Key::Gc(1), Some(0..u64::MAX)), |_| true, "all bytes there could ever be")
}

fn not_found(store: &Arc<dyn Backend>) -> Outcome {
    let missing = |cause: &Cause| matches!(cause, Cause::NotFound);
    for (key, _) in samples() {
        fails(store.get(&key, None), missing, &format!("reading {key}"))?;
        fails(store.get(&key, Some(0..1)), missing, &format!("reading a range of {key}"))?;
        fails(store.len(&key), missing, &format!("the length of {key}"))?;
    }
    Ok(())
}

fn listings(store: &Arc<dyn Backend>) -> Outcome {
    for kind in Kind::ALL {
        ensure(works(store.list(kind))?.is_empty(), "an empty store lists something")?;
    }
    let mut expected: Vec<(Key, u64)> = (0..20u8).map(|len| (pack(&vec![len; len.into()]), u64::from(len))).collect();
    for len in 0..20u8 {
        let bytes = vec![len; len.into()];
        works(store.put(&pack(&bytes), &bytes))?;
    }
    let mut listed: Vec<(Key, u64)> =
        works(store.list(Kind::Packs))?.iter().map(|listed| (listed.key, listed.len)).collect();
    expected.sort_unstable();
    listed.sort_unstable();
    ensure(listed == expected, "the listing is not what was put")
}

fn kinds_are_apart(store: &Arc<dyn Backend>) -> Outcome {
    for (key, bytes) in samples() {
        works(store.put(&key, bytes))?;
    }
    for (key, _) in samples().into_iter().filter(|(key, _)| *key != Key::Config) {
        let listed = works(store.list(key.kind()))?;
        ensure(listed.len() == 1 && listed[0].key == key, &format!("the listing of {key} is wrong"))?;
    }
    Ok(())
}

fn deleting(store: &Arc<dyn Backend>) -> Outcome {
    works(store.delete(&Key::Gc(1)))?;
    works(store.put(&Key::Gc(1), b"one"))?;
    works(store.put(&Key::Gc(2), b"two"))?;
    works(store.delete(&Key::Gc(1)))?;
    works(store.delete(&Key::Gc(1)))?;
    fails(store.get(&Key::Gc(1), None), |cause| matches!(cause, Cause::NotFound), "reading what was deleted")?;
    let listed = works(store.list(Kind::Gc))?;
    ensure(listed.len() == 1 && listed[0].key == Key::Gc(2), "the listing after a delete is wrong")
}

fn put_after_delete(store: &Arc<dyn Backend>) -> Outcome {
    works(store.put(&Key::Gc(1), b"one"))?;
    works(store.delete(&Key::Gc(1)))?;
    works(store.put(&Key::Gc(1), b"another"))?;
    ensure(works(store.get(&Key::Gc(1), None))? == b"another", "the new object reads differently")
}

fn holds(store: &Arc<dyn Backend>) -> Outcome {
    let (one, other) = (SessionId::new([1; 16]), SessionId::new([2; 16]));
    ensure(!works(store.is_held(&one))?, "a session that nobody announced is held")?;
    let hold = works(store.announce(&one, b"session"))?;
    ensure(works(store.get(&Key::Session(one), None))? == b"session", "the session's object reads differently")?;
    ensure(works(store.is_held(&one))?, "an announced session is not held")?;
    ensure(works(store.is_held(&one))?, "asking took the hold away")?;
    ensure(!works(store.is_held(&other))?, "another session is held")?;
    drop(hold);
    ensure(works(store.list(Kind::Sessions))?.len() == 1, "the end of a hold took its object away")?;
    works(store.delete(&Key::Session(one)))?;
    ensure(!works(store.is_held(&one))?, "a removed session is held")
}

fn holds_end(store: &Arc<dyn Backend>) -> Outcome {
    let id = SessionId::new([1; 16]);
    let hold = works(store.announce(&id, b"session"))?;
    ensure(works(store.is_held(&id))?, "an announced session is not held")?;
    drop(hold);
    ensure(!works(store.is_held(&id))?, "a session is held by nobody")
}

fn announced_once(store: &Arc<dyn Backend>) -> Outcome {
    let id = SessionId::new([1; 16]);
    let _hold = works(store.announce(&id, b"session"))?;
    fails(store.announce(&id, b"again"), |cause| matches!(cause, Cause::Exists), "a second announcement")?;
    ensure(works(store.is_held(&id))?, "a failed announcement ended the hold")?;
    ensure(works(store.get(&Key::Session(id), None))? == b"session", "the second announcement had an effect")
}

fn sweeping(store: &Arc<dyn Backend>) -> Outcome {
    for (key, bytes) in samples() {
        works(store.put(&key, bytes))?;
    }
    let _hold = works(store.announce(&SessionId::new([1; 16]), b"session"))?;
    ensure(works(store.sweep())? == 0, "there is something to sweep without a crash")?;
    for (key, bytes) in samples() {
        ensure(works(store.get(&key, None))? == bytes, &format!("{key} was swept away"))?;
    }
    Ok(())
}

const RIVALS: u8 = 8;

/// Lets rivals do the same at once and gives what each got.
fn race<T: Send>(store: &Arc<dyn Backend>, act: impl Fn(&dyn Backend, u8) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(RIVALS.into());
    let act = |number: u8| {
        barrier.wait();
        act(&**store, number)
    };
    std::thread::scope(|scope| {
        let rivals: Vec<_> = (0..RIVALS).map(|number| scope.spawn(move || act(number))).collect();
        rivals.into_iter().filter_map(|rival| rival.join().ok()).collect()
    })
}

fn one_won<T>(outcomes: &[Result<T, BackendError>]) -> Result<usize, String> {
    let winners: Vec<usize> = (0..outcomes.len()).filter(|&number| outcomes[number].is_ok()).collect();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(error) if error.is_exists())).count();
    let right = winners.len() == 1 && refused + 1 == usize::from(RIVALS);
    if right { Ok(winners[0]) } else { Err(format!("{} won, {refused} were refused", winners.len())) }
}

fn one_put_wins(store: &Arc<dyn Backend>) -> Outcome {
    for round in 1..=20 {
        let key = Key::Gc(round);
        let outcomes = race(store, |store, number| store.put(&key, &[number; 1000]));
        let winner = one_won(&outcomes)? as u8;
        ensure(works(store.get(&key, None))? == [winner; 1000], "the stored bytes are not the winner's")?;
    }
    Ok(())
}

fn one_announcement_wins(store: &Arc<dyn Backend>) -> Outcome {
    let id = SessionId::new([1; 16]);
    let outcomes = race(store, |store, number| store.announce(&id, &[number; 100]));
    let winner = one_won(&outcomes)? as u8;
    ensure(works(store.get(&Key::Session(id), None))? == [winner; 100], "the stored bytes are not the winner's")?;
    ensure(works(store.is_held(&id))?, "the winner's session is not held")
}
