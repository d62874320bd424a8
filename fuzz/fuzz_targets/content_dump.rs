//! Dumps nobody vouches for: one verdict however they are cut, with little memory; what is counted is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sfarc::content::dump::{DumpCheck, DumpError, DumpFacts, Gate, Refused};
use sfarc_fuzz::{Choices, Counting, peak_of, sow};

#[global_allocator]
static COUNTING: Counting = Counting;

const HEAD: &[u8] = b"-- MariaDB dump 10.19  Distrib 10.11.18-MariaDB, for Linux (x86_64)\n";
const END: &[u8] = b"\n-- Dump completed\n";

/// What dumps are made of: random bytes seldom spell it.
const WORDS: &[&[u8]] = &[
    b"INSERT INTO `t` VALUES (",
    b"INSERT IGNORE INTO t (`a`) VALUES\n",
    b"),(",
    b");\n",
    b"'",
    b"\\'",
    b"''",
    b"\\",
    b"`",
    b"``",
    b"\"",
    b"/*",
    b"/*!50001 ",
    b"/*M!",
    b"*/",
    b"-- ",
    b"--",
    b"#",
    b"\n",
    b";",
    b"DELIMITER ;;\n",
    b"\nDELIMITER ;\n",
    b"CREATE TABLE `t` (",
    b"CREATE TABLE t",
    b"USE `d`;",
    b".",
    b",",
    b"1",
    b"-1",
    b"0xFF",
    b"NULL",
    b" ON DUPLICATE KEY ",
    b"REPLACE ",
    b"-- Dump completed",
    b"-- Server version\t10",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let mut choices = Choices(input);
    let mode = choices.byte();
    let piece = 1 + choices.below(64);
    let dump = if mode & 1 == 0 { choices.0.to_vec() } else { spelled(&mut choices) };
    let dump = if mode & 2 == 0 { dump } else { [HEAD, &dump, END].concat() };
    let whole = check(&dump, usize::MAX);
    assert_eq!(check(&dump, 1), whole);
    assert_eq!(check(&dump, piece), whole);
    let loadable = gate(&dump, usize::MAX);
    assert_eq!(gate(&dump, 1), loadable);
    assert_eq!(gate(&dump, piece), loadable);
    let peak = peak_of(|| drop(check(&dump, piece)));
    assert!(peak <= (64 << 10) + 16 * dump.len(), "{} bytes made it allocate {peak}", dump.len());
    match whole {
        Ok(facts) => assert!(facts.tables.values().sum::<u64>() <= dump.len() as u64 / 2),
        Err(DumpError::Cut { after_bytes: at, .. }) => assert!(at <= dump.len() as u64),
        Err(
            DumpError::Malformed { at, .. } | DumpError::Trailing { at } | DumpError::LongName { at },
        ) => assert!(at < dump.len() as u64),
        Err(_) => {}
    }
});

fn check(dump: &[u8], piece: usize) -> Result<DumpFacts, DumpError> {
    let mut check = DumpCheck::default();
    dump.chunks(piece).for_each(|piece| check.push(piece));
    check.finish()
}

fn gate(dump: &[u8], piece: usize) -> Result<(), Refused> {
    let mut gate = Gate::default();
    dump.chunks(piece).for_each(|piece| gate.push(piece));
    gate.finish()
}

fn spelled(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut dump = Vec::new();
    while !choices.is_at_end() {
        match choices.byte() {
            byte @ 0x20..0x60 => dump.push(byte),
            byte => dump.extend_from_slice(WORDS[usize::from(byte) % WORDS.len()]),
        }
    }
    dump
}

fn seeds() -> Vec<Vec<u8>> {
    let statements: [&[u8]; 6] = [
        b"INSERT INTO `t` (`a`,`b`) VALUES (1,'x\\'),('),\n(-2,NULL);",
        b"CREATE TABLE `a``b` (c int COMMENT 'it''s;') /*!50100 PARTITION */;\nUSE `d`;insert into x.\"y\" values(0x00);",
        b"/*!50001 CREATE VIEW `v` AS SELECT 'a*/b' */;\n-- ORDER BY\nREPLACE t VALUES (1) ON DUPLICATE KEY UPDATE a=';';",
        b"DELIMITER ;;\nCREATE TRIGGER it's ;;\nDELIMITER ;\n/* a **/ # b\n",
        b"-- Server version\t10.11\nSET x='\\\\';",
        b"",
    ];
    let framed = statements.iter().map(|text| [&[2, 5], *text].concat());
    let spelled = (0..8u8).map(|seed| {
        let bytes = (1..40u8).map(|place| place.wrapping_mul(7).wrapping_mul(seed));
        [3].into_iter().chain(bytes).collect()
    });
    framed.chain(spelled).chain([[&[0, 9], HEAD, END].concat()]).collect()
}
