"""Builds whole repositories from format-spec.md alone, each part of which can be bent: for make_refused.py."""

import base64
import hmac
import re
import tarfile
from collections.abc import Callable

from make_vectors import (
    AUTHORITY, DATA, GROUP, KEY, LISTS, LOG, NONCE, PASS, REPO, ROOT, WRAP, H, aead, blob, cid, derive,
    dprefix, hpke_seal, i64, le, lid, many, opt, padded, prefix, pub25519, pubx, seq, sign, slot, text, u16,
    u32, u64,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

Files = dict[str, bytes]
Bend = Callable[[bytes], bytes]
COMMITMENT = derive("key commitment", KEY)
WRITER = seq(0x30, 32)
FEATURES = {"plain": (0, 0, 0), "padded": (2, 1, 0), "roles": (1, 0, 0)}


def same(value: bytes) -> bytes:
    return value


# Sealed objects (section 5)


def head(kind: int, cipher: int = 1, p: bytes | None = None, reserved: int = 0, commitment: bytes = COMMITMENT) -> bytes:
    p = prefix(kind, cipher) if p is None else p
    return p + NONCE + aead(cipher, WRAP[kind]).encrypt(NONCE, KEY, p) + u32(reserved) + commitment


def seal(p: bytes, section: int, ordinal: int, plain: bytes) -> bytes:
    nonce = u32(section) + u64(ordinal)
    return aead(p[9], KEY).encrypt(nonce, plain, p + nonce)


def record_object(kind: int, record: bytes, cipher: int = 1, p: bytes | None = None, section: int = 1, ordinal: int = 0, **bent) -> bytes:
    p = prefix(kind, cipher) if p is None else p
    return head(kind, cipher, p, **bent) + seal(p, section, ordinal, record)


def envelope(
    p: bytes, compartment: int, to: int = 1, ephemeral: bytes = seq(0x50, 32), zero: int = 0, rest: bytes = bytes(20),
    commitment: bytes = COMMITMENT, enc: bytes | None = None,
) -> bytes:
    """An envelope (14.2): shared, or to the recipient of its compartment."""
    aad, name = p + bytes([compartment]), {1: "names", 2: "lists", 3: "data"}[compartment]
    if to == 1:
        place, key = NONCE + rest, aead(p[9], derive(f"{name} {p[6]}", ROOT)).encrypt(NONCE, KEY, aad)
    else:
        public = pubx({1: derive("names recipient", ROOT), 2: LISTS, 3: DATA}[compartment])
        place, key = hpke_seal(public, ephemeral, b"sfarc 2026-11-28 envelope", aad, KEY)
    return bytes([to, compartment]) + u16(zero) + (enc or place) + key + commitment


def divided_head(p: bytes, to: tuple[int, int, int] = (1, 1, 1), **bent) -> bytes:
    return p + b"".join(envelope(p, n, to[n - 1], **(bent if n == 3 else {})) for n in (1, 2, 3))


# Packs (section 8, 14.3)


def frame(
    plain: bytes, announced: int | None = None, window: int | None = None, dictionary: int | None = None, is_ended: bool = True,
) -> bytes:
    """A zstd frame (RFC 8878) of raw blocks, and of repeated bytes; made by hand, so that nothing is in it by chance."""
    stretches = [part.group() for part in re.finditer(rb"(?s)(.)\1{999,}|(?:(?!(.)\2{999,}).)+", plain)]
    blocks, parts = [part[at : at + (1 << 17)] for part in stretches for at in range(0, len(part), 1 << 17)] or [b""], []
    for number, part in enumerate(blocks):
        repeated, last = len(part) > 1000 and not part.strip(part[:1]), is_ended and number + 1 == len(blocks)
        parts.append(le(3, last | repeated << 1 | len(part) << 3) + (part[:1] if repeated else part))
    has_id = 0 if dictionary is None else 1
    if window is None:
        front = bytes([2 << 6 | 1 << 5 | has_id]) + (bytes([dictionary]) if has_id else b"")
        front += u32(len(plain) if announced is None else announced)
    else:
        front = bytes([has_id, (window - 10) << 3])
    return b"\x28\xb5\x2f\xfd" + front + b"".join(parts)


SKIPPABLE = b"\x50\x2a\x4d\x18" + u32(3) + b"abc"


class Block:
    """A block, and what its row says of it."""

    def __init__(
        self, kind: int, codec: int, chunks: list[bytes], payload: bytes | None = None, ids: list[bytes] | None = None,
        lens: list[int] | None = None, row: dict[str, int] | None = None, ordinal: int | None = None, foreign: bool = False,
    ) -> None:
        self.kind, self.codec, self.chunks, self.ordinal, self.foreign = kind, codec, chunks, ordinal, foreign
        self.ids = [(cid if kind == 1 else lid)(chunk) for chunk in chunks] if ids is None else ids
        self.lens = [len(chunk) for chunk in chunks] if lens is None else lens
        plain = b"".join(chunks)
        inner = frame(plain) if codec in (1, 2) else plain
        self.payload = payload if payload is not None else padded(inner, 4 + len(inner) + 9) if codec > 1 else inner
        self.row = row or {}

    def encode_row(self, stored: int) -> bytes:
        row = {"kind": self.kind, "codec": self.codec, "count": len(self.chunks), "stored": stored, "plain": sum(self.lens)}
        row |= self.row
        return bytes([row["kind"], row["codec"]]) + u16(row["count"]) + u32(row["stored"]) + u32(row["plain"])


def pack(
    blocks: list[Block], cipher: int = 1, roles: bool = False, to: tuple[int, int, int] = (1, 1, 1), zeros: bytes = b"",
    directory: Bend = same, gap: bytes = b"", trailer: Bend = same, counts: tuple[int, int] = (0, 0), p: bytes | None = None,
    foreign: Bend = same, moved: Bend = same, sections: dict[int, tuple[int, int]] | None = None, ordinal: int = 0, **bent,
) -> bytes:
    p = p or (dprefix(2, cipher) if roles else prefix(2, cipher))
    out, rows = (divided_head(p, to, **bent) if roles else head(2, cipher, p, **bent)), []
    for number, block in enumerate(blocks):
        section, place = (sections or {}).get(number, (2, number if block.ordinal is None else block.ordinal))
        sealed = seal(FOREIGN if block.foreign else p, section, place, block.payload)
        out, rows = out + sealed, rows + [block.encode_row(len(sealed))]
    ids, lens = [i for block in blocks for i in block.ids], [n for block in blocks for n in block.lens]
    plain = u32(len(blocks) + counts[0]) + u32(len(ids) + counts[1]) + b"".join(rows + ids) + b"".join(le(3, n) for n in lens)
    if any(block.foreign for block in blocks):
        plain += foreign(u32(1) + FOREIGN + envelope(FOREIGN, 3, 2))
        plain += moved(b"".join(u16(1) + u32(block.ordinal) if block.foreign else u16(0) + u32(0) for block in blocks))
    out += gap
    sealed = seal(p, 3, ordinal, directory(plain + zeros))
    return out + sealed + trailer(u64(len(out)) + u32(len(sealed)) + b"SFEN")


FOREIGN = dprefix(2, 2)
Row = tuple[bytes, bytes, int, int]


def rows_of(stored: bytes, blocks: list[Block]) -> list[Row]:
    ids = [i for block in blocks for i in block.ids]
    return [(i, H(stored), len(stored), ordinal) for ordinal, i in enumerate(ids)]


# Index runs (section 9)


def run(
    rows: list[Row], cipher: int = 2, level: int = 0, is_padded: bool = False, footer: Bend = same, counts: tuple[int, int] = (0, 0),
    number: int = 0, gap: bytes = b"", trailer: Bend = same, starts: Callable[[list[int]], list[int]] = lambda s: s,
    page_ordinal: int = 0, filler: int | None = 40, filters: int = 0, behind: bytes | None = None, length: int = 0,
) -> bytes:
    p, packs = prefix(3, cipher), []
    rows = sorted(rows)
    for _, name, size, _ in rows:
        if name not in [known for known, _ in packs]:
            packs.append((name, size))
    numbers = {name: place + number for place, (name, _) in enumerate(packs)}
    out, first = head(3, cipher, p), []
    for at in range(0, len(rows), 185):
        page = rows[at : at + 185]
        first.append(int.from_bytes(page[0][0][:8], "big"))
        plain = b"".join(i + u32(numbers[name]) + u16(ordinal) for i, name, _, ordinal in page)
        out += seal(p, 4, at // 185 + page_ordinal, plain + (bytes(10) if len(page) == 185 else b""))
    for at in range(0, filters, 63):
        out += seal(p, 5, at // 63, b"\xff" * 64 * min(63, filters - at))
    out += gap
    if is_padded and filler is not None:
        out += seal(p, 6, 0, bytes(filler))
    foot = u64(len(rows) + counts[0]) + u64(filters + counts[1]) + u32(len(packs)) + u32(level | (256 if is_padded else 0)) + GROUP
    foot += b"".join(name + u32(size + length) for name, size in packs) + b"".join(map(u64, starts(first)))
    foot += (bytes(13) if is_padded else b"") if behind is None else behind
    sealed = seal(p, 3, 0, footer(foot))
    return out + sealed + trailer(u64(len(out)) + u32(len(sealed)) + b"SFEN")


# Lists, manifests (sections 10 and 11)


def node(rows: list[tuple[bytes, int]], level: int = 1) -> bytes:
    return b"".join(i + le(3 if level == 1 else 6, n) for i, n in rows)


def content(length: int, digest: bytes, root: bytes | None) -> bytes:
    return u64(length) + digest + u32(1024) + u32(4096) + u32(32768) + opt(root)


def of(data: bytes, root: bytes | None) -> bytes:
    return content(len(data), H(data), root)


def entry(name: bytes, stored: bytes, catalog: bytes | None = None, origin: bytes = u32(0), proof: int = 0, version: int = 2) -> bytes:
    facts = many([]) if version > 1 else b""
    return blob(name) + origin + stored + opt(catalog) + u32(proof) + u64(0) + many([]) + facts


def manifest(
    streams: list[bytes], version: int = 2, labels: list[tuple[str, str]] | None = None, host: bytes = b"host",
    complete: bytes = b"\1", tail: bytes = b"",
) -> bytes:
    pairs = many([text(key) + text(value) for key, value in labels or []])
    front = u16(version) + i64(1_800_000_000_000_000_000) + u64(1) + blob(host) + many([]) + pairs + text("sfarc 0.1.0")
    findings = many([]) if version & 0x7FFF > 1 else b""
    return front + seq(0x60, 16) + u64(0) + complete + many(streams) + findings + tail


def pad_record(record: bytes, zeros: bytes = bytes(11), length: int = 0) -> bytes:
    version = int.from_bytes(record[:2], "little") | 1 << 15
    return u16(version) + u32(len(record) - 2 + length) + record[2:] + zeros


def gc_record(epoch: int, dead: list[bytes] = (), features: tuple[int, int, int] = (0, 0, 0), version: int = 1, tail: bytes = b"") -> bytes:
    return u16(version) + u64(epoch) + b"".join(map(u64, features)) + many([]) + many([name[:16] for name in dead]) + tail


# Repositories


def config(features: tuple[int, int, int] = (0, 0, 0), record: Bend = same, front: Bend = same, sealed: Bend = same) -> bytes:
    packed = b"".join(map(u64, features))
    stored = record(u16(1) + packed + REPO + i64(1_800_000_000_000_000_000) + text("sfarc 0.1.0"))
    return front(b"SFARCREP" + u32(1) + packed + REPO + u32(0)) + sealed(record_object(1, stored))


PASSPHRASE = u32(0) + u32(32) + u32(1) + u32(2)
SLOT = slot(PASSPHRASE, 1, PASS)


def named(folder: str, *objects: bytes) -> Files:
    return {f"{folder}/{H(stored).hex()}": stored for stored in objects}


def gc(epoch: int, stored: bytes) -> Files:
    return {f"gc/{epoch:016x}": stored}


CHUNKS = [b"the first chunk, ", b"the second one, ", b"and the third\n"]
ONE = b"a stream of one chunk\n"
DATA_ROWS = [(cid(chunk), len(chunk)) for chunk in CHUNKS]
NODE, LEFT, RIGHT = node(DATA_ROWS), node(DATA_ROWS[:2]), node(DATA_ROWS[2:])
TOP = node([(lid(LEFT), sum(n for _, n in DATA_ROWS[:2])), (lid(RIGHT), DATA_ROWS[2][1])], 2)
WHOLE = b"".join(CHUNKS)
STREAMS = {
    "data": entry(b"data", of(WHOLE, lid(NODE) + b"\1")),
    "deep": entry(b"deep", of(WHOLE, lid(TOP) + b"\2")),
    "one": entry(b"one", of(ONE, cid(ONE) + b"\0")),
    "empty": entry(b"empty", of(b"", None)),
}
EXPECTED = {"data": WHOLE, "deep": WHOLE, "one": ONE, "empty": b""}


def data_block(**bent) -> Block:
    return Block(**({"kind": 1, "codec": 1, "chunks": CHUNKS} | bent))


def one_block(**bent) -> Block:
    return Block(**({"kind": 1, "codec": 0, "chunks": [ONE]} | bent))


def list_block(**bent) -> Block:
    return Block(**({"kind": 2, "codec": 0, "chunks": [NODE, LEFT, RIGHT, TOP]} | bent))


def plain(
    blocks: list[Block] | None = None, streams: dict[str, bytes] | None = None, rows: Callable[[list[Row]], list[Row]] = lambda r: r,
    slots: tuple[bytes, ...] = (SLOT,), configuration: bytes | None = None, snapshot: bytes | None = None, stored_run: bytes | None = None,
    log: Files | None = None, pack_bent: dict | None = None, run_bent: dict | None = None, manifest_bent: dict | None = None,
    record: Bend = same, snapshot_bent: dict | None = None,
) -> Files:
    blocks = [data_block(), one_block(), list_block()] if blocks is None else blocks
    stored = pack(blocks, **(pack_bent or {}))
    record_bytes = record(manifest(list((STREAMS | (streams or {})).values()), **(manifest_bent or {})))
    files = {"config": configuration or config()} | named("keys", *slots) | named("packs", stored)
    files |= named("indexes", stored_run or run(rows(rows_of(stored, blocks)), **(run_bent or {})))
    files |= named("snapshots", snapshot or record_object(4, record_bytes, 2, **(snapshot_bent or {})))
    return files | (gc(1, record_object(6, gc_record(1, [seq(0x70, 16)]))) if log is None else log)


def pad_blocks(codecs: tuple[int, int, int] = (2, 3, 3)) -> list[Block]:
    return [data_block(codec=codecs[0]), one_block(codec=codecs[1]), list_block(codec=codecs[2])]


def padded_repository(**bent) -> Files:
    """As `plain`, with padding wherever it may be."""
    usual = {
        "blocks": pad_blocks(), "configuration": config(FEATURES["padded"]), "record": pad_record,
        "log": gc(1, record_object(6, pad_record(gc_record(1, [seq(0x70, 16)])))),
        "pack_bent": {"zeros": bytes(21)}, "run_bent": {"is_padded": True},
    }
    return plain(**(usual | bent))


# A folder stream (section 12), and a recovery slot (section 7)


def archive() -> tuple[bytes, list[bytes]]:
    """An archive, and the records of its catalog."""
    stored, records = b"", []
    for name, kind, mode, data, link in (
        ("./", tarfile.DIRTYPE, 0o755, b"", ""), ("a.txt", tarfile.REGTYPE, 0o644, b"some text\n", ""),
        ("sub/", tarfile.DIRTYPE, 0o700, b"", ""), ("sub/link", tarfile.SYMTYPE, 0o777, b"", "../a.txt"),
    ):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, len(data), link, 1_700_000_000
        front = info.tobuf(tarfile.USTAR_FORMAT)
        stored += front + data + bytes(-len(data) % 512)
        number = {tarfile.REGTYPE: 0, tarfile.DIRTYPE: 1, tarfile.SYMTYPE: 2}[kind]
        records.append(
            u16(1) + blob(name.rstrip("/").encode()) + u32(number) + u32(mode) + u64(0) * 2 + i64(1_700_000_000) + u32(0)
            + u64(len(data)) + u64(len(front)) + u64(len(data)) + blob(link.encode()) + H(data) + b"\0"
        )
    return stored + bytes(1024), records


ARCHIVE, ENTRIES = archive()


def catalog(records: list[bytes] = ENTRIES) -> bytes:
    return b"".join(u32(len(record)) + record for record in records)


def folder_repository(stored_catalog: bytes = catalog(), stored: bytes = ARCHIVE, **bent) -> Files:
    blocks = [data_block(chunks=[stored]), data_block(chunks=[stored_catalog])]
    origin = u32(2) + blob(b"/srv/files")
    listed = entry(b"files", of(stored, cid(stored) + b"\0"), of(stored_catalog, cid(stored_catalog) + b"\0"), origin)
    packed = pack(blocks)
    files = {"config": config()} | named("keys", *bent.pop("slots", (SLOT,))) | named("packs", packed)
    files |= named("indexes", run(rows_of(packed, blocks))) | named("snapshots", record_object(4, manifest([listed])))
    return files


IDENTITY = seq(0x11, 32)


def bech32(hrp: str, data: bytes) -> str:
    """BIP 173, as age writes identities."""
    digits, bits, value = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", [], int.from_bytes(data, "big") << (-8 * len(data) % 5)
    for place in range(-(-8 * len(data) // 5) - 1, -1, -1):
        bits.append(value >> 5 * place & 31)
    def polymod(values: list[int]) -> int:
        check = 1
        for value in values:
            top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
            for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                check ^= generator if top >> place & 1 else 0
        return check
    spread = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    check = polymod(spread + bits + [0] * 6) ^ 1
    return hrp + "1" + "".join(digits[bit] for bit in bits + [check >> 5 * (5 - place) & 31 for place in range(6)])


def hkdf(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt or bytes(32), ikm, "sha256"), info + b"\1", "sha256")


def age_file(plain: bytes, public: bytes) -> bytes:
    """A file of age-encryption.org/v1 to one X25519 recipient."""
    encode = lambda data: base64.b64encode(data).rstrip(b"=")
    ephemeral, file_key, nonce = seq(0x21, 32), seq(0x31, 16), seq(0x41, 16)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    wrap = hkdf(shared, pubx(ephemeral) + public, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    front = b"age-encryption.org/v1\n-> X25519 " + encode(pubx(ephemeral)) + b"\n" + encode(body) + b"\n---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), front, "sha256")
    payload = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\1", plain, None)
    return front + b" " + encode(mac) + b"\n" + nonce + payload


SLOT_KEY = seq(0x61, 32)
RECOVERY = u32(2) + blob(age_file(SLOT_KEY, pubx(IDENTITY)))


# Repositories with roles (section 14)


def snapshot(
    record: bytes, roots: bytes, seed: bytes, to: tuple[int, int, int] = (1, 1, 1), signer: bytes | None = None,
    signature: Bend = same, lengths: Bend = same, p: bytes | None = None, cipher: int = 2, before: bytes = bytes(32),
    whole: Bend = same, tail: bytes = b"", roots_signer: bytes | None = None, **bent,
) -> bytes:
    p, public = p or dprefix(4, cipher), pub25519(seed)
    one, two = seal(p, 1, 0, (signer or public) + record), seal(p, 7, 0, (roots_signer or public) + roots)
    out = whole(divided_head(p, to, **bent)) + lengths(u32(len(one)) + u32(len(two))) + one + two
    message = b"sfarc 2026-11-28 snapshot\0" + REPO + public + before + H(out)
    return out + seal(p, 8, 0, u16(1) + public + before + signature(sign(seed, message)) + tail)


def roots(contents: list[tuple[int, bytes | None]]) -> bytes:
    return u16(1) + seq(0x60, 16) + many([u64(length) + opt(root) for length, root in contents])


def registration(public: bytes, revoked: list[bytes] | None = None, seed: bytes = AUTHORITY, record: Bend = same, label: str = "pod") -> bytes:
    front = u16(1) + public + text(label) + i64(5) + opt(None if revoked is None else many(sorted(revoked)))
    signed = sign(seed, b"sfarc 2026-11-28 writer\0" + REPO + front + bytes(64))
    return record_object(8, record(front + signed))


def signed_gc(record: bytes, seed: bytes = LOG, signature: Bend = same, end: Bend = same) -> bytes:
    p, stored = prefix(6, 1), record_object(6, record)
    made = sign(seed, b"sfarc 2026-11-28 gc record\0" + REPO + H(stored))
    return stored + end(seal(p, 8, 0, u16(1) + signature(made)))


MINE, THEIRS, MOVED = b"what a reader stored\n", b"what a writer stored\n", b"what was moved as it was\n"
ROLE_EXPECTED = {"mine": MINE, "theirs": THEIRS, "moved": MOVED}


def one_stream(name: bytes, data: bytes) -> bytes:
    return entry(name, of(data, cid(data) + b"\0"))


def readers_snapshot(**bent) -> bytes:
    record = bent.pop("record", manifest([one_stream(b"mine", MINE), one_stream(b"moved", MOVED)]))
    both = roots([(len(MINE), cid(MINE) + b"\0"), (len(MOVED), cid(MOVED) + b"\0")])
    return snapshot(**({"record": record, "roots": both, "seed": AUTHORITY} | bent))


def writers_snapshot(labels: list[tuple[str, str]] | None = None, **bent) -> bytes:
    record = bent.pop("record", manifest([one_stream(b"theirs", THEIRS)], labels=labels))
    only = roots([(len(THEIRS), cid(THEIRS) + b"\0")])
    return snapshot(**({"record": record, "roots": only, "seed": WRITER, "to": (1, 2, 2)} | bent))


def moved_blocks(**bent) -> list[Block]:
    return [one_block(**({"chunks": [MOVED], "ordinal": 7, "foreign": True} | bent)), one_block(chunks=[b"its neighbour\n"])]


def roles(
    reader: bytes | None = None, writer: bytes | None = None, writers: tuple[bytes, ...] | None = None, log: Files | None = None,
    slots: tuple[bytes, ...] = (SLOT,), mine: dict | None = None, theirs: dict | None = None, moved: dict | None = None,
    moved_block: dict | None = None, moved_pack: bytes | None = None, configuration: bytes | None = None,
) -> Files:
    packs, rows = [], []
    for blocks, bent in (
        ([one_block(chunks=[MINE])], {"roles": True} | (mine or {})),
        ([one_block(chunks=[THEIRS])], {"roles": True, "to": (1, 2, 2)} | (theirs or {})),
        (moved_blocks(**(moved_block or {})), {"roles": True} | (moved or {})),
    ):
        packs.append(pack(blocks, **bent))
        rows += rows_of(packs[-1], blocks)
    files = {"config": configuration or config(FEATURES["roles"])} | named("keys", *slots) | named("packs", *packs)
    files |= named("indexes", run(rows)) | named("snapshots", reader or readers_snapshot(), writer or writers_snapshot())
    files |= named("writers", *((registration(pub25519(WRITER)),) if writers is None else writers))
    return files | (gc(1, signed_gc(gc_record(1, [seq(0x70, 16)]))) if log is None else log)
