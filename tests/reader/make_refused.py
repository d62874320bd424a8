"""Makes tests/vectors/repositories.json and refused.json from format-spec.md (section 21).

Usage: make_refused.py
"""

from make_vectors import FILEKEY, MATERIAL, V, write
from build import *

SECRET = {"passphrase": "correct horse"}


def counter() -> Files:
    files = {"config": V["repo.config"]} | named("keys", V["repo.slot"]) | named("packs", V["repo.pack"])
    files |= named("indexes", V["repo.index"]) | named("snapshots", V["repo.snapshot"]) | gc(1, V["repo.gc1"])
    return files | {f"snapshots/{seq(0x20, 32).hex()}": V["repo.fence"]}


COUNTED = b"".join(u32(i) for i in range(40))
TWO = slot(PASSPHRASE, 1, PASS, 2), slot(u32(1), 2, FILEKEY, 2), slot(RECOVERY, 1, SLOT_KEY, 2)
BASES = {
    "counter": (counter(), {"counter": COUNTED, "empty": b""}),
    "plain": (plain(), EXPECTED),
    "padded": (padded_repository(), EXPECTED),
    "folder": (folder_repository(slots=TWO), {"files": ARCHIVE}),
    "roles": (roles(), ROLE_EXPECTED),
}
CASES: list[dict] = []


def changes(base: Files, files: Files) -> dict[str, str | None]:
    gone = {path: None for path in base if path not in files}
    return gone | {path: stored.hex() for path, stored in files.items() if base.get(path) != stored}


def case(rule: int, name: str, base: str, files: Files, refused: str) -> None:
    changed = changes(BASES[base][0], files)
    assert changed, name
    CASES.append({"rule": f"R{rule}", "name": name, "base": base, "refused": refused, "change": changed})


def at(place: int, new: bytes) -> Bend:
    return lambda old: old[:place] + new + old[place + len(new) :] if place >= 0 else old[:place] + new + old[len(old) + place + len(new) :]


def plus(new: bytes) -> Bend:
    return lambda old: old + new


def beside(files: Files) -> Files:
    """The files, and a whole run that names their pack and no chunk of it: nobody looks into packs that are named."""
    [stored] = [stored for path, stored in files.items() if path.startswith("packs/")]
    return files | named("indexes", run([(H(b"no chunk")[:16], H(stored), len(stored), 0)]))


def moved_to(folder: str, files: Files, name: str) -> Files:
    """The files with the one object of a folder under another name."""
    return {(f"{folder}/{name}" if path.startswith(folder + "/") else path): stored for path, stored in files.items()}


def p4(place: int, value: int, whole: bytes = prefix(4, 2)) -> bytes:
    return at(place, bytes([value]))(whole)


# Names

case(1, "slot under another name", "plain", moved_to("keys", plain(), "11" * 32), "repository")
case(1, "manifest under another name", "plain", moved_to("snapshots", plain(), "11" * 32), "snapshot")
case(1, "registration under another name", "roles", moved_to("writers", roles(), "11" * 32), "snapshot")
OTHERS = ("keys/README", "packs/x", "indexes/" + "A" * 64, "snapshots/" + "1" * 63, "gc/" + "0" * 16, "gc/" + "f" * 16, "gc/1", "tmp/1")
case(4, "names that no object has", "plain", plain() | {path: b"x" for path in OTHERS}, "nothing")

# Records

version = lambda number: at(0, u16(number))
case(5, "manifest of version 0", "plain", plain(record=version(0)), "snapshot")
case(5, "manifest of version 3", "plain", plain(record=version(3)), "snapshot")
case(5, "configuration of version 2", "plain", plain(configuration=config(record=version(2))), "repository")
case(5, "configuration of version 0", "plain", plain(configuration=config(record=version(0))), "repository")
case(5, "gc record of version 2", "plain", plain(log=gc(1, record_object(6, gc_record(1, version=2)))), "repository")
case(5, "slot of version 9", "plain", plain(slots=(version(9)(SLOT),)), "repository")
case(5, "catalog entry of version 2", "folder", folder_repository(catalog([version(2)(ENTRIES[0])] + ENTRIES[1:]), slots=TWO), "stream")
case(5, "registration of version 2", "roles", roles(writers=(registration(pub25519(WRITER), record=version(2)),)), "snapshot")
case(6, "bytes behind a manifest", "plain", plain(record=plus(b"\0")), "snapshot")
case(6, "manifest without its last byte", "plain", plain(record=lambda r: r[:-1]), "snapshot")
case(6, "bytes behind a configuration", "plain", plain(configuration=config(record=plus(b"\0"))), "repository")
case(6, "bytes behind a slot", "plain", plain(slots=(SLOT + b"\0",)), "repository")
case(6, "bytes behind a gc record", "plain", plain(log=gc(1, record_object(6, gc_record(1, [H(b"")], tail=b"\0")))), "nothing")
case(63, "signature of another length", "roles", roles(reader=readers_snapshot(tail=b"\0")), "snapshot")
case(7, "complete is 2", "plain", plain(manifest_bent={"complete": b"\2"}), "snapshot")
case(7, "option byte is 2", "plain", plain(streams={"one": STREAMS["one"].replace(b"\1" + cid(ONE), b"\2" + cid(ONE))}), "snapshot")
case(8, "origin 7", "plain", plain(streams={"one": entry(b"one", of(ONE, cid(ONE) + b"\0"), origin=u32(7))}), "snapshot")
case(8, "proof 4", "plain", plain(streams={"one": entry(b"one", of(ONE, cid(ONE) + b"\0"), proof=4)}), "snapshot")
case(8, "slot of kind 3", "plain", plain(slots=(at(2, u32(3))(SLOT),)), "repository")
kind_at = 2 + 8 + 1
case(8, "catalog entry of kind 7", "folder", folder_repository(catalog([at(kind_at, u32(7))(ENTRIES[0])] + ENTRIES[1:]), slots=TWO), "stream")
case(9, "host is not UTF-8", "plain", plain(manifest_bent={"host": b"\xff\xfe"}), "snapshot")
case(10, "padded configuration", "plain", plain(configuration=config(record=pad_record)), "repository")
case(10, "padded slot", "plain", plain(slots=(pad_record(SLOT),)), "repository")
case(10, "padded catalog entry", "folder", folder_repository(catalog([pad_record(ENTRIES[0])] + ENTRIES[1:]), slots=TWO), "stream")
case(10, "padded registration", "roles", roles(writers=(registration(pub25519(WRITER), record=pad_record),)), "snapshot")
case(11, "padding of a manifest is not zero", "padded", padded_repository(record=lambda r: pad_record(r, b"\0\1\0")), "snapshot")
case(11, "fields longer than a manifest", "padded", padded_repository(record=lambda r: pad_record(r, b"\0", 2)), "snapshot")
case(11, "fields shorter than they are", "padded", padded_repository(record=lambda r: pad_record(r, b"\0", -1)), "snapshot")

# Sealed objects

for place, value, what in ((0, 0x54, "magic"), (6, 5, "kind"), (7, 2, "format"), (8, 2, "wrapping"), (12, 113, "header length")):
    bent = {"p": p4(place, value)}
    if what == "kind":
        stored = record_object(4, manifest(list(STREAMS.values())), 2, p4(6, 5))
        case(13, "header with another kind", "plain", plain(snapshot=stored), "snapshot")
    else:
        case(13, f"header with another {what}", "plain", plain(snapshot_bent=bent), "snapshot")
case(13, "unknown cipher", "plain", plain(snapshot_bent={"p": p4(9, 3)}), "snapshot")
case(13, "gc record in the place of a snapshot", "plain", plain(snapshot=record_object(6, gc_record(1))), "snapshot")
case(13, "pack with a header of another length", "plain", plain(pack_bent={"p": p4(12, 113, prefix(2, 1))}), "stream")
case(14, "header byte 10 is 1", "plain", plain(snapshot_bent={"p": p4(10, 1)}), "snapshot")
case(14, "header byte 76 is 1", "plain", plain(snapshot_bent={"reserved": 1}), "snapshot")
case(14, "envelope byte 2 is 1", "roles", roles(reader=readers_snapshot(zero=1)), "snapshot")
case(14, "bytes behind the nonce of an envelope", "roles", roles(reader=readers_snapshot(rest=bytes(19) + b"\1")), "snapshot")
case(15, "manifest that is not divided", "roles", roles(reader=record_object(4, manifest([one_stream(b"mine", MINE)]))), "snapshot")
case(15, "divided manifest without roles", "plain", plain() | named("snapshots", readers_snapshot()), "snapshot")
case(15, "pack that is not divided", "roles", roles(mine={"roles": False}), "stream")
case(16, "commitment to another key", "plain", plain(snapshot_bent={"commitment": bytes(32)}), "snapshot")
case(16, "commitment of an envelope to another key", "roles", roles(reader=readers_snapshot(commitment=bytes(32))), "snapshot")
case(17, "tag of a record", "plain", plain(snapshot=at(-1, b"\0")(record_object(4, manifest(list(STREAMS.values())), 2))), "snapshot")
case(17, "record under ordinal 1", "plain", plain(snapshot_bent={"ordinal": 1}), "snapshot")
case(17, "record as section 2", "plain", plain(snapshot_bent={"section": 2}), "snapshot")
case(17, "bytes behind a sealed record", "plain", plain(snapshot=record_object(4, manifest(list(STREAMS.values())), 2) + b"\0"), "snapshot")
case(17, "block under another ordinal", "plain", plain(pack_bent={"sections": {1: (2, 5)}}), "stream")
case(17, "block as a directory", "plain", plain(pack_bent={"sections": {1: (3, 1)}}), "stream")
case(17, "directory under ordinal 1", "plain", plain(pack_bent={"ordinal": 1}), "stream")
case(17, "page under another ordinal", "plain", beside(plain(run_bent={"page_ordinal": 1})), "stream")

# Configuration and keys

case(18, "magic of config", "plain", plain(configuration=at(7, b"Q")(config())), "repository")
case(18, "format 2 of config", "plain", plain(configuration=at(8, b"\2")(config())), "repository")
case(18, "byte 9 of config", "plain", plain(configuration=at(9, b"\1")(config())), "repository")
case(18, "byte 52 of config", "plain", plain(configuration=at(52, b"\1")(config())), "repository")
case(19, "unknown feature to read", "plain", plain(configuration=config((4, 0, 0))), "repository")
case(20, "head with another feature", "plain", plain(configuration=config(front=at(20, b"\2"))), "repository")
case(20, "record with another id", "plain", plain(configuration=config(record=at(26, bytes(16)))), "repository")
for cost, what in (((4, 1, 1), "too little memory"), ((2**20 + 1, 1, 1), "too much memory"), ((32, 17, 1), "too many passes"),
    ((1024, 1, 65), "too many lanes"), ((32, 1, 5), "too little memory for its lanes"), ((32, 0, 1), "no pass"), ((32, 1, 0), "no lane")):
    case(21, f"slot with {what}", "plain", plain(slots=(slot(u32(0) + b"".join(map(u32, cost)), 1, PASS),)), "repository")
JUNK = {f"keys/{number:064x}": bytes([number]) for number in range(70)}
case(21, "junk among the slots", "plain", plain() | JUNK, "nothing")
case(22, "slot with another root key beside the right one", "plain", plain(slots=(slot(PASSPHRASE, 1, PASS, root=seq(9, 32)), SLOT)), "nothing")
case(22, "only a slot with another root key", "plain", plain(slots=(slot(PASSPHRASE, 1, PASS, root=seq(9, 32)),)), "repository")
case(22, "damaged slot beside the right one", "plain", plain() | {"keys/" + "00" * 32: SLOT}, "nothing")
case(22, "commitment of a slot", "plain", plain(slots=(at(2 + 16 + 13 + 48, bytes(32))(SLOT),)), "repository")
case(22, "unknown cipher of a slot", "plain", plain(slots=(at(2 + 16, b"\3")(SLOT),)), "repository")
case(22, "sealed root key of a slot", "plain", plain(slots=(at(2 + 16 + 13, bytes(48))(SLOT),)), "repository")
case(22, "features of config under a slot of version 2", "folder", folder_repository(slots=TWO) | {"config": config((2, 0, 0))}, "repository")
case(22, "description of a slot", "plain", plain(slots=(at(-1, b"\0")(SLOT),)), "nothing")
WRITERS = named("writers", registration(pub25519(WRITER)))
case(23, "writers without roles, slot of version 1", "plain", plain() | WRITERS, "repository")
case(23, "writers without roles, slot of version 2", "folder", folder_repository(slots=TWO) | WRITERS, "nothing")

# Packs

trailer = lambda offset, length: lambda t: u64(int.from_bytes(t[:8], "little") + offset) + u32(int.from_bytes(t[8:12], "little") + length) + t[12:]
for what, bend in (("magic", at(12, b"X")), ("offset", trailer(1, 0)), ("length", trailer(0, 1)), ("offset in the header", trailer(-200, 0))):
    case(27, f"trailer of a pack: {what}", "plain", plain(pack_bent={"trailer": bend}), "stream")
    case(27, f"trailer of a run: {what}", "plain", beside(plain(run_bent={"trailer": bend})), "stream")
case(27, "bytes before the trailer of a pack", "plain", plain(pack_bent={"trailer": lambda t: b"junk" + t}), "stream")
case(27, "bytes before the trailer of a run", "plain", beside(plain(run_bent={"trailer": lambda t: b"junk" + t})), "stream")
case(27, "footer that begins in the header", "plain", beside(plain(run_bent={"trailer": lambda t: u64(100) + u32(int.from_bytes(t[:8], "little") + int.from_bytes(t[8:12], "little") - 100) + t[12:]})), "stream")
case(28, "directory too short", "plain", plain(pack_bent={"directory": lambda d: d[:-1]}), "stream")
case(28, "more chunks than there are", "plain", plain(pack_bent={"counts": (0, 1)}), "stream")
case(28, "more blocks than chunks", "plain", plain(pack_bent={"counts": (9, 0)}), "stream")
case(28, "too many chunks", "plain", plain(pack_bent={"counts": (0, 65536)}), "stream")
case(29, "zeros behind a directory", "plain", plain(pack_bent={"zeros": bytes(3)}), "stream")
case(29, "padding of a directory is not zero", "padded", padded_repository(pack_bent={"zeros": b"\0\0\1"}), "stream")
case(30, "a padded block beside others", "plain", plain(pad_blocks((2, 0, 0))), "stream")
case(30, "a block that is not padded beside others", "padded", padded_repository(blocks=pad_blocks((2, 3, 0))), "stream")
case(31, "block of kind 3", "plain", plain([data_block(), one_block(row={"kind": 3}), list_block()]), "stream")
case(31, "block of codec 4 beside padded ones", "padded", padded_repository(blocks=[data_block(codec=2), one_block(codec=3, row={"codec": 4}), list_block(codec=3)]), "stream")
case(31, "block of codec 4", "plain", plain([data_block(), one_block(row={"codec": 4}), list_block()]), "stream")
case(32, "block without a chunk", "plain", plain([data_block(), one_block(), list_block(), Block(1, 0, [])]), "stream")
case(32, "blocks with fewer chunks than there are", "plain", plain([data_block(row={"count": 2}), one_block(), list_block()]), "stream")
case(32, "block without room for a tag", "plain", plain([data_block(), one_block(row={"stored": 15}), list_block()]), "stream")
case(33, "plaintext longer than its chunks", "plain", plain([data_block(row={"plain": len(WHOLE) + 1}), one_block(), list_block()]), "stream")
case(33, "chunk of length 0", "plain", plain([data_block(ids=[cid(b"")] + [cid(c) for c in CHUNKS], lens=[0] + [len(c) for c in CHUNKS], row={"count": 4}), one_block(), list_block()]), "stream")
LONG = bytes(2**20 + 1)
case(33, "chunk longer than 2^20", "plain", plain([data_block(), data_block(chunks=[LONG]), list_block()], {"one": one_stream(b"one", LONG)}), "stream")
BIG = [bytes(6 << 17), b"\1" * (6 << 17)]
case(33, "block longer than its limit", "plain", plain([data_block(), data_block(chunks=BIG), list_block()], {"one": one_stream(b"one", BIG[0])}), "stream")
case(34, "bytes between blocks and directory", "plain", plain(pack_bent={"gap": bytes(8)}), "stream")
case(34, "blocks longer than they are", "plain", plain([data_block(), one_block(), list_block(row={"stored": 5000})]), "stream")
case(35, "padding of a block is not zero", "padded", padded_repository(blocks=[data_block(codec=2), one_block(codec=3, payload=padded(ONE) + b"\0\1"), list_block(codec=3)]), "stream")
case(35, "payload longer than its block", "padded", padded_repository(blocks=[data_block(codec=2), one_block(codec=3, payload=u32(len(ONE) + 1) + ONE), list_block(codec=3)]), "stream")
case(35, "padded block without a length", "padded", padded_repository(blocks=[data_block(codec=2), one_block(codec=3, payload=b"\0\0\0"), list_block(codec=3)]), "stream")
case(35, "bytes behind a block", "plain", plain([data_block(), one_block(payload=ONE + b"\0"), list_block()]), "stream")
for what, payload in (
    ("two frames", frame(CHUNKS[0]) + frame(b"".join(CHUNKS[1:]))), ("skippable frame before the frame", SKIPPABLE + frame(WHOLE)),
    ("skippable frame behind the frame", frame(WHOLE) + SKIPPABLE), ("bytes behind the frame", frame(WHOLE) + b"\0"),
    ("dictionary", frame(WHOLE, dictionary=7)), ("window of 2^22", frame(WHOLE, window=22)), ("no frame", WHOLE),
    ("frame cut short", frame(WHOLE)[:-1]), ("frame without a last block", frame(WHOLE, is_ended=False)),
):
    case(36, what, "plain", plain([data_block(payload=payload), one_block(), list_block()]), "stream")
case(36, "window of 2^21 is allowed", "plain", plain([data_block(payload=frame(WHOLE, window=21)), one_block(), list_block()]), "nothing")
case(37, "frame that announces less", "plain", plain([data_block(payload=frame(WHOLE, 5)), one_block(), list_block()]), "stream")
case(37, "frame that holds more", "plain", plain([data_block(payload=frame(WHOLE + b"!", window=21)), one_block(), list_block()]), "stream")
case(37, "frame that holds less", "plain", plain([data_block(payload=frame(WHOLE[:-1], window=21)), one_block(), list_block()]), "stream")
case(38, "chunk that is not its id", "plain", plain([data_block(), one_block(payload=ONE[:-1] + b"!"), list_block()]), "stream")
case(38, "data named as a list node", "plain", plain([data_block(), one_block(ids=[lid(ONE)]), list_block()], {"one": entry(b"one", of(ONE, lid(ONE) + b"\0"))}), "stream")
case(38, "lengths that compensate each other", "plain", plain([data_block(lens=[len(CHUNKS[0]) + 1, len(CHUNKS[1]) - 1, len(CHUNKS[2])]), one_block(), list_block()]), "stream")
case(39, "more foreign envelopes than 4096", "roles", roles(moved={"foreign": at(0, u32(4097))}), "stream")
case(39, "more foreign envelopes than there are", "roles", roles(moved={"foreign": at(0, u32(2))}), "stream")
case(39, "envelope that is not there", "roles", roles(moved={"moved": at(0, u16(2))}), "stream")
case(39, "block of this pack with an ordinal", "roles", roles(moved={"moved": at(8, u32(1))}), "stream")
case(39, "foreign envelope of a manifest", "roles", roles(moved={"foreign": at(4 + 6, b"\4")}), "stream")
case(39, "foreign envelope that is not divided", "roles", roles(moved={"foreign": at(4 + 8, b"\1")}), "stream")
case(39, "foreign envelope of another compartment", "roles", roles(moved={"foreign": lambda f: f[:20] + envelope(FOREIGN, 2, 2)}), "stream")
case(39, "moved block under another ordinal", "roles", roles(moved={"moved": at(2, u32(8))}), "stream")
case(39, "zeros behind moved blocks that are not padded", "roles", roles(moved={"directory": plus(bytes(2))}), "stream")

# Index runs

FALSE = [(i, bytes(32), 400, 0) for i in (cid(ONE), lid(NODE))]
case(40, "rows of a pack that is not there", "plain", plain(rows=lambda r: r + FALSE), "nothing")
other = pack([one_block(chunks=[b"another chunk\n"])])
case(40, "rows that lead to another chunk", "plain", plain(rows=lambda r: r + [(cid(ONE), H(other), len(other), 0)]) | named("packs", other), "nothing")
case(40, "rows behind the last chunk", "plain", plain(rows=lambda r: r + [(cid(ONE), H(other), len(other), 9)]) | named("packs", other), "nothing")
rotten = at(250, b"!!")(pack([one_block(), data_block()]))
case(40, "a damaged copy beside a whole one", "plain", plain(rows=lambda r: r + [(cid(ONE), H(rotten), len(rotten), 0)]) | named("packs", rotten), "nothing")
case(40, "a damaged run beside a whole one", "plain", plain() | named("indexes", at(-1, b"X")(run(FALSE))), "nothing")
case(40, "only a row that leads to another chunk", "plain", plain(rows=lambda r: [(i, n, s, 0 if i == cid(ONE) else o) for i, n, s, o in r]), "stream")
case(40, "pack of another length", "plain", plain(run_bent={"length": 1}), "stream")
case(41, "footer too short", "plain", beside(plain(run_bent={"footer": lambda f: f[:-1]})), "stream")
case(41, "zeros behind a footer", "plain", beside(plain(run_bent={"behind": bytes(8)})), "stream")
case(41, "padding of a footer is not zero", "padded", beside(padded_repository(run_bent={"is_padded": True, "behind": b"\0\1"})), "stream")
case(42, "more filter blocks than rows", "plain", beside(plain(run_bent={"filters": 9})), "stream")
case(42, "as many filter blocks as rows", "plain", plain(run_bent={"filters": 8}), "nothing")
case(42, "filter that is not there", "plain", beside(plain(run_bent={"counts": (0, 5)})), "stream")
case(42, "level above 255", "plain", beside(plain(run_bent={"level": 512})), "stream")
case(42, "no rows", "plain", beside(plain(run_bent={"footer": lambda f: u64(0) + f[8:-8]})), "stream")
MANY = sorted((H(u32(i))[:16], bytes([7]) * 32, 500, i) for i in range(190))
case(43, "pages that descend", "plain", beside(plain(rows=lambda r: r + MANY, run_bent={"starts": lambda s: s[::-1]})), "stream")
case(44, "bytes between pages and footer", "plain", beside(plain(run_bent={"gap": bytes(4)})), "stream")
case(44, "padded run without filler", "padded", beside(padded_repository(run_bent={"is_padded": True, "filler": None})), "stream")
case(45, "pack that the table does not have", "plain", beside(plain(run_bent={"number": 1})), "stream")

# The gc log

THE = H(plain()[next(path for path in plain() if path.startswith("snapshots/"))])
case(46, "gc record of another epoch", "plain", plain(log=gc(1, record_object(6, gc_record(2, [THE])))), "nothing")
case(47, "gap in the log", "plain", plain(log=gc(2, record_object(6, gc_record(2, [seq(0x70, 16)])))), "nothing")
case(47, "damaged gc record", "plain", plain(log=gc(1, b"junk")), "nothing")
case(48, "dead snapshot", "plain", plain(log=gc(1, record_object(6, gc_record(1, [THE])))), "snapshot")
case(49, "gc record with an unknown feature", "plain", plain(log=gc(1, record_object(6, gc_record(1, features=(4, 0, 0))))), "repository")
case(49, "gc record that switches on roles", "plain", plain(log=gc(1, record_object(6, gc_record(1, features=(1, 0, 0))))), "repository")
case(49, "gc record that switches on padding", "plain", plain(log=gc(1, record_object(6, gc_record(1, features=(2, 0, 0))))), "repository")
case(49, "gc record with a feature of writers", "plain", plain(log=gc(1, record_object(6, gc_record(1, features=(0, 1, 1))))), "nothing")

# Snapshots

one = of(ONE, cid(ONE) + b"\0")
case(51, "stream without a name", "plain", plain(streams={"one": entry(b"", one)}), "snapshot")
case(51, "line break in a name", "plain", plain(streams={"one": entry(b"a\nb", one)}), "snapshot")
case(51, "byte 0 in a name", "plain", plain(streams={"one": entry(b"a\0b", one)}), "snapshot")
case(51, "two streams of one name", "plain", plain(streams={"one": entry(b"data", one)}), "snapshot")
case(52, "root of an empty stream", "plain", plain(streams={"one": entry(b"one", content(0, H(b""), cid(ONE) + b"\0"))}), "snapshot")
case(52, "stream without a root", "plain", plain(streams={"one": entry(b"one", of(ONE, None))}), "snapshot")
case(52, "depth 25", "plain", plain(streams={"one": entry(b"one", of(ONE, cid(ONE) + bytes([25])))}), "snapshot")
case(52, "stream of 2^48 bytes", "plain", plain(streams={"one": entry(b"one", content(1 << 48, H(ONE), cid(ONE) + b"\0"))}), "snapshot")
case(52, "catalog of a file", "plain", plain(streams={"one": entry(b"one", one, one, u32(1) + blob(b"/a"))}), "snapshot")
POD = u32(4) + text("ns") + text("pod") + opt(None) + text("true")
case(52, "manifest of version 1 with an origin of version 2", "plain", plain(snapshot=record_object(4, manifest([entry(b"one", one, origin=POD, version=1)], 1), 2)), "snapshot")
case(52, "manifest of version 1", "plain", plain(snapshot=record_object(4, manifest([entry(b"one", one, version=1)], 1), 2)), "nothing")
FENCE = record_object(7, u16(1) + seq(0x20, 32))
case(53, "fence under another name", "plain", plain() | {"snapshots/" + "22" * 32: FENCE}, "snapshot")
case(53, "fence of another length", "plain", plain() | {f"snapshots/{seq(0x20, 32).hex()}": record_object(7, u16(1) + seq(0x20, 32) + b"\0")}, "snapshot")
case(53, "padded fence", "plain", plain() | {f"snapshots/{seq(0x20, 32).hex()}": record_object(7, pad_record(u16(1) + seq(0x20, 32)))}, "snapshot")
case(53, "fence", "plain", plain() | {f"snapshots/{seq(0x20, 32).hex()}": FENCE}, "nothing")

# Streams


def tree(node_bytes: bytes, data: bytes, depth: int = 1, **bent) -> Files:
    """The list of `data` begins with this node."""
    streams = {"data": entry(b"data", of(data, lid(node_bytes) + bytes([depth])))}
    return plain([data_block(), one_block(), list_block(chunks=[NODE, LEFT, RIGHT, TOP, node_bytes])], streams, **bent)


ROW = (cid(ONE), len(ONE))
case(54, "node of 65 rows", "plain", tree(node([ROW] * 65), ONE * 65), "stream")
case(54, "node of 64 rows", "plain", tree(node([ROW] * 64), ONE * 64), "nothing")
case(54, "bytes behind the rows of a node", "plain", tree(NODE + b"\0", WHOLE), "stream")
case(54, "row of length 0", "plain", tree(node(DATA_ROWS + [(cid(ONE), 0)]), WHOLE), "stream")
case(54, "row of length 0 on level 2", "plain", tree(node([(lid(NODE), len(WHOLE)), (lid(LEFT), 0)], 2), WHOLE, 2), "stream")
case(55, "node shorter than its stream", "plain", tree(node(DATA_ROWS[:2]), WHOLE), "stream")
case(55, "node longer than its row", "plain", tree(node([(lid(LEFT), 30), (lid(RIGHT), len(WHOLE) - 30)], 2), WHOLE, 2), "stream")
case(56, "node in a block of data", "plain", plain([data_block(), one_block(chunks=[ONE, NODE]), list_block()], {"data": entry(b"data", of(WHOLE, cid(NODE) + b"\1"))}), "stream")
case(56, "data in a block of nodes", "plain", plain([data_block(), one_block(), list_block(chunks=[NODE, LEFT, RIGHT, TOP, ONE])], {"one": entry(b"one", of(ONE, lid(ONE) + b"\0"))}), "stream")
case(57, "lengths of rows that compensate each other", "plain", tree(node([(i, n + d) for (i, n), d in zip(DATA_ROWS, (1, -1, 0))]), WHOLE), "stream")
case(57, "chunk shorter than its stream", "plain", plain(streams={"one": entry(b"one", content(len(ONE) + 1, H(ONE), cid(ONE) + b"\0"))}), "stream")
case(58, "another BLAKE3", "plain", plain(streams={"one": entry(b"one", content(len(ONE), H(b"x"), cid(ONE) + b"\0"))}), "stream")
case(58, "chunks in another order", "plain", tree(node(DATA_ROWS[::-1]), WHOLE), "stream")
case(58, "BLAKE3 of an empty stream", "plain", plain(streams={"empty": entry(b"empty", content(0, H(b"x"), None))}), "stream")
case(59, "catalog that ends within an entry", "folder", folder_repository(catalog()[:-1], slots=TWO), "stream")
case(59, "bytes behind the last entry", "folder", folder_repository(catalog() + b"\0\0", slots=TWO), "stream")
case(59, "catalog entry that announces too much", "folder", folder_repository(catalog() + u32(2**18 + 1), slots=TWO), "stream")
long_link = lambda size: ENTRIES[:-1] + [ENTRIES[-1].replace(blob(b"../a.txt"), blob(b"a" * (size - len(ENTRIES[-1]) + 8)))]
case(59, "catalog entry of 2^18 bytes", "folder", folder_repository(catalog(long_link(2**18)), slots=TWO), "nothing")
case(59, "catalog entry of 2^18 + 1 bytes", "folder", folder_repository(catalog(long_link(2**18 + 1)), slots=TWO), "stream")
case(59, "catalog without its last entry", "folder", folder_repository(catalog(ENTRIES[:-1]), slots=TWO), "stream")
HASH = len(ENTRIES[1]) - 33
case(59, "another BLAKE3 of a file", "folder", folder_repository(catalog([ENTRIES[0], at(HASH, bytes(32))(ENTRIES[1])] + ENTRIES[2:]), slots=TWO), "stream")

# Roles

READERS = H(readers_snapshot())
case(62, "gc record with another signature", "roles", roles(log=gc(1, signed_gc(gc_record(1, [READERS]), WRITER))), "nothing")
case(62, "gc record without a signature", "roles", roles(log=gc(1, record_object(6, gc_record(1, [READERS])))), "nothing")
case(62, "gc record with a right signature", "roles", roles(log=gc(1, signed_gc(gc_record(1, [READERS])))), "snapshot")
case(63, "record longer than it is", "roles", roles(reader=readers_snapshot(lengths=lambda n: u32(int.from_bytes(n[:4], "little") + 1) + n[4:])), "snapshot")
case(63, "bytes behind a signature's seal", "roles", roles(reader=readers_snapshot() + b"\0"), "snapshot")
ORDER = 2**252 + 27742317777372353535851937790883648493
case(64, "signature of another message", "roles", roles(reader=readers_snapshot(signature=lambda s: sign(AUTHORITY, b"x"))), "snapshot")
case(64, "S of a signature plus the order", "roles", roles(reader=readers_snapshot(signature=lambda s: s[:32] + le(32, int.from_bytes(s[32:], "little") + ORDER))), "snapshot")
case(65, "another key in the record", "roles", roles(reader=readers_snapshot(signer=pub25519(WRITER))), "snapshot")
case(66, "shared data, signed by a writer", "roles", roles(reader=readers_snapshot(seed=WRITER)), "snapshot")
case(66, "data to the recipient, signed by the authority", "roles", roles(writer=writers_snapshot(seed=AUTHORITY)), "snapshot")
case(66, "writer that is not registered", "roles", roles(writers=()), "snapshot")
case(66, "revoked writer", "roles", roles(writers=(registration(pub25519(WRITER), [READERS]),)), "snapshot")
case(66, "revoked writer, snapshot named", "roles", roles(writers=(registration(pub25519(WRITER), [H(writers_snapshot())]),)), "nothing")
case(66, "writer registered and revoked", "roles", roles(writers=(registration(pub25519(WRITER)), registration(pub25519(WRITER), []))), "snapshot")
case(67, "record of the program by a writer", "roles", roles(writer=writers_snapshot([("sfarc/pin", "1")])), "snapshot")
case(67, "copy by a writer", "roles", roles(writer=writers_snapshot([("sfarc/copy-of", "ab" * 32), ("sfarc/copy-proof", "cd" * 32)])), "nothing")
case(68, "registration signed by the writer", "roles", roles(writers=(registration(pub25519(WRITER), seed=WRITER),)), "snapshot")
case(68, "registration that was altered", "roles", roles(writers=(registration(pub25519(WRITER), record=lambda r: r.replace(b"pod", b"pot")),)), "snapshot")
swap = lambda h: h[:16] + h[132:248] + h[16:132] + h[248:]
case(69, "envelopes out of order", "roles", roles(reader=readers_snapshot(whole=swap)), "snapshot")
case(69, "names to a recipient", "roles", roles(writer=writers_snapshot(to=(2, 2, 2))), "snapshot")
case(69, "encapsulated key of zeros", "roles", roles(writer=writers_snapshot(enc=bytes(32))), "snapshot")
case(69, "unknown kind of envelope for lists", "roles", roles(writer=writers_snapshot(whole=at(16 + 116, b"\3"))), "snapshot")
case(69, "unknown kind of envelope for data", "roles", roles(writer=writers_snapshot(whole=at(16 + 232, b"\3"))), "snapshot")
case(69, "lists to the recipient and data shared", "roles", roles(reader=readers_snapshot(to=(1, 2, 1))), "nothing")


# Values that lie in no folder: key files of roles, roots of snapshots, bundles

VALUES: list[dict] = []


def role_key(role: int = 0, name: str = "writer", repo: bytes = REPO, drop: str = "", record: Bend = same, check: Bend = same, features: bytes | None = bytes([1]) + bytes(31)) -> str:
    names = {0: ["wrap 1", "wrap 3", "wrap 5", "wrap 6", "names 2", "names 4", "chunk id", "list id", "gear seed", "chunker prf"]}[0]
    secrets = {name: derive(name, ROOT) for name in names}
    secrets |= {"lists recipient, public": pubx(LISTS), "data recipient, public": pubx(DATA), "log signature, public": pub25519(LOG), "own signature": WRITER}
    secrets |= {} if features is None else {"features": features}
    listed = many([text(key) + value for key, value in sorted(secrets.items()) if key != drop])
    stored = record(u16(1) + repo + bytes([role]) + text("pod") + i64(6) + listed)
    return f"sfarc-{name}-1 " + (stored + check(H(stored)[:4])).hex() + "\n"


def value(rule: int, name: str, kind: str, stored: str, is_refused: bool = True, base: str = "roles") -> None:
    VALUES.append({"rule": f"R{rule}", "name": name, "kind": kind, "base": base, "value": stored, "refused": is_refused})


value(25, "key of a writer", "role key", role_key(), False)
value(25, "older key of a writer", "role key", role_key(features=None), False)
value(25, "wrong check", "role key", role_key(check=lambda c: bytes(4)))
value(25, "role that is not that of its line", "role key", role_key(role=1))
value(25, "unknown role", "role key", role_key(role=3, name="reader"))
value(25, "another repository", "role key", role_key(repo=bytes(16)))
value(25, "missing secret", "role key", role_key(drop="wrap 6"))
value(25, "digits in upper case", "role key", role_key()[:15] + role_key()[15:].upper())
value(25, "other features", "role key", role_key(features=bytes(32)))
value(25, "repository without roles", "role key", role_key(features=None), base="plain")
value(25, "bytes behind its record", "role key", role_key(record=plus(b"\0")))
value(25, "padded record", "role key", role_key(record=pad_record))
value(71, "roots of its own", "roots", readers_snapshot().hex(), False)
value(71, "roots of another", "roots", readers_snapshot(roots_signer=pub25519(WRITER)).hex())
value(71, "roots that are padded", "roots", readers_snapshot(roots=pad_record(roots([(len(MINE), cid(MINE) + b"\0")]))).hex(), False)
value(71, "bytes behind the roots", "roots", readers_snapshot(roots=roots([(len(MINE), cid(MINE) + b"\0")]) + b"\0").hex())
value(24, "fingerprint of the repository", "fingerprint", V["fingerprint"].hex(), False, "folder")
value(24, "fingerprint of another", "fingerprint", bytes(16).hex(), base="folder")
value(24, "no fingerprint", "fingerprint", "", base="folder")
BUNDLE = V["bundle"]
value(72, "bundle", "bundle", BUNDLE.hex(), False)
for what, stored in (
    ("another magic", at(0, b"x")(BUNDLE)), ("too many objects", at(8, u32(4097))(BUNDLE)), ("unknown kind", at(12, b"\2")(BUNDLE)),
    ("epoch 0", at(12 + 37 + 1, u64(0))(BUNDLE)), ("bytes behind an epoch", at(12 + 37 + 9, b"\1")(BUNDLE)),
    ("object cut short", BUNDLE[:-1]), ("bytes behind the objects", BUNDLE + b"\0"), ("rows cut short", BUNDLE[:40]),
):
    value(72, what, "bundle", stored.hex())

if __name__ == "__main__":
    listed = {}
    for name, (files, streams) in BASES.items():
        secrets = SECRET | ({"key file": MATERIAL.hex(), "identity": bech32("age-secret-key-", IDENTITY).upper()} if name == "folder" else {})
        listed[name] = {"secrets": secrets, "streams": {key: data.hex() for key, data in streams.items()}, "files": {path: stored.hex() for path, stored in files.items()}}
    write("repositories.json", listed)
    write("refused.json", {"repositories": CASES, "values": VALUES})
