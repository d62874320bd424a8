#!/usr/bin/env python3
"""Reads sfarc repositories of format 1: a second implementation, written from format-spec.md alone.

    sfarc_reader.py REPO list
    sfarc_reader.py REPO cat SNAPSHOT STREAM > out
    sfarc_reader.py REPO restore SNAPSHOT DIR

The password comes from $SFARC_PASSWORD, or give --key-file FILE, or --identity FILE and --fingerprint DIGITS. Sections
and rules (R1, R2, ...) are those of format-spec.md. Everything that is read is proven: names, headers, seals, chunks,
lists, stream hashes. It is slow, reads only, and reads with the root key only.
"""

import argparse
import base64
import datetime
import hmac
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

CONTEXT = "sfarc 2026-11-22 format 1 "
CONFIG, PACK, INDEX, SNAPSHOT, GC, FENCE, WRITER = 1, 2, 3, 4, 6, 7, 8
IN_RECORD, IN_BLOCK, IN_FOOTER, IN_PAGE, IN_FILTER, IN_FILLER, IN_ROOTS, IN_SIGNATURE = 1, 2, 3, 4, 5, 6, 7, 8
NAMES, LISTS, DATA = 1, 2, 3
COMPARTMENTS = {NAMES: "names", LISTS: "lists", DATA: "data"}
READ_ROLES, ENVELOPE_LEN, DIVIDED_LEN, FOREIGN_MAX = 1, 116, 16 + 3 * 116, 4096
SNAPSHOT_SIGNATURE_LEN, LOG_SIGNATURE_LEN = 2 + 128 + 16, 2 + 64 + 16
PADDED_RECORD, PADDED_RUN, READ_PADDING = 1 << 15, 1 << 8, 1 << 1
HEADER_LEN, TAG_LEN, PAGE_LEN, ROW_LEN = 112, 16, 4096, 22
PAGE_ROWS = (PAGE_LEN - TAG_LEN) // ROW_LEN
CHUNK_MAX, BLOCK_MAX, PACK_MAX = 1 << 20, (256 << 10) + (1 << 20), 32 << 20
RECORD_MAX, FOOTER_MAX, NODE_MAX_ROWS, LIST_MAX_DEPTH = 64 << 20, 40 << 20, 64, 24
OBJECT_MAX, CATALOG_ENTRY_MAX, STREAMS_MAX, ELEMENTS_MAX = RECORD_MAX + 4096, 1 << 18, 10_000, 1 << 16
SLOT_LENGTHS, SLOTS_READ, COSTS_TRIED, DEAR_COSTS = range(153, (1 << 16) + 1), 1 << 24, 16, 2
USUAL_COST, DEAR = (1 << 16, 3, 4), 16 * (1 << 16) * 3
WINDOW_MAX, FENCE_LENGTH, BUNDLE_OBJECTS = 1 << 21, 162, 4096
T = TypeVar("T")


class Damage(Exception):
    """Stored bytes that are not what the format asks for."""


class TooNew(Damage):
    """A record of a newer version, or a feature that is not known."""


def note(text: str) -> None:
    print(f"sfarc_reader: {text}", file=sys.stderr)


def require(condition: bool, why: str) -> None:
    if not condition:
        raise Damage(why)


# Fields and records (section 3)


class Fields:
    """Little-endian fields from the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        require(0 <= count <= len(self.data) - self.at, "it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def time(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def bool(self) -> bool:
        byte = self.uint(1)
        require(byte < 2, "a truth value is neither 0 nor 1")
        return byte == 1

    def blob(self) -> bytes:
        return self.take(self.uint(8))

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise Damage("a text is not UTF-8") from error

    def many(self, read: Callable[[], T], most: int = ELEMENTS_MAX) -> list[T]:
        count = self.uint(8)
        require(count <= most, "a list has too many elements")
        return [read() for _ in range(count)]

    def maybe(self, read: Callable[[], T]) -> T | None:
        return read() if self.bool() else None

    def end(self, padded: bool = False) -> None:
        rest = self.data[self.at :]
        require(rest == bytes(len(rest) if padded else 0), "bytes follow its end")


def unpad(data: bytes) -> bytes:
    """What stands before padding."""
    fields = Fields(data)
    payload = fields.take(fields.uint(4))
    fields.end(padded=True)
    return payload


def versioned(data: bytes, newest: int, may_pad: bool) -> tuple[int, Fields]:
    """The version and the fields of a record."""
    require(len(data) <= RECORD_MAX, "a record is too large")
    fields = Fields(data)
    stored = fields.uint(2)
    version, rest = stored & ~PADDED_RECORD, data[2:]
    if version > newest:
        raise TooNew("a record has a newer version than this reader knows")
    require(version > 0, "a record has version 0")
    if stored & PADDED_RECORD:
        require(may_pad, "a record is padded that must not be")
        rest = unpad(rest)
    return version, Fields(rest)


def record(data: bytes, read: Callable[[Fields], T], may_pad: bool = False) -> T:
    _version, fields = versioned(data, 1, may_pad)
    value = read(fields)
    fields.end()
    return value


# Keys and seals (sections 4, 5 and 14)


def derive(context: str, material: bytes, length: int = 32) -> bytes:
    return blake3(material, derive_key_context=CONTEXT + context).digest(length)


def unseal(cipher: int, key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    require(cipher in (1, 2), "it names an unknown cipher")
    aead = AESGCM(key) if cipher == 1 else ChaCha20Poly1305(key)
    try:
        return aead.decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError) as error:
        raise Damage("its seal is broken") from error


def hpke_open(private: bytes, encapsulated: bytes, aad: bytes, sealed: bytes) -> bytes:
    """RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305."""

    def extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, info + b"\x01", "sha256")[:length]

    secret = X25519PrivateKey.from_private_bytes(private)
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    except ValueError as error:
        raise Damage("an encapsulated key is none") from error
    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x03"
    context = encapsulated + secret.public_key().public_bytes_raw()
    shared = expand(kem, extract(kem, b"", b"eae_prk", shared), b"shared_secret", context, 32)
    hashes = extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", b"sfarc 2026-11-28 envelope")
    schedule = b"\x00" + hashes
    key = extract(suite, shared, b"secret", b"")
    nonce = expand(suite, key, b"base_nonce", schedule, 12)
    return unseal(2, expand(suite, key, b"key", schedule, 32), nonce, sealed, aad)


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Keys:
    """What is derived from the root key."""

    def __init__(self, root: bytes, roles: bool) -> None:
        self.root, self.roles = root, roles
        self.wrap = {kind: derive(f"wrap {kind}", root) for kind in range(1, 9)}
        self.ids = {1: derive("chunk id", root), 2: derive("list id", root)}

    def is_divided(self, kind: int) -> bool:
        return self.roles and kind in (PACK, SNAPSHOT)

    def header_len(self, kind: int) -> int:
        return DIVIDED_LEN if self.is_divided(kind) else HEADER_LEN

    def public(self, pair: str) -> bytes:
        """The public half of a key pair for signatures."""
        return Ed25519PrivateKey.from_private_bytes(derive(pair, self.root)).public_key().public_bytes_raw()

    def chunk_id(self, block_kind: int, chunk: bytes) -> bytes:
        return blake3(chunk, key=self.ids[block_kind]).digest(16)


class Key(NamedTuple):
    """The key of an object or of a compartment, and what its seals authenticate."""

    cipher: int
    prefix: bytes
    key: bytes
    by_stranger: bool

    def open(self, section: int, ordinal: int, sealed: bytes) -> bytes:
        nonce = struct.pack("<IQ", section, ordinal)
        return unseal(self.cipher, self.key, nonce, sealed, self.prefix + nonce)


def read_prefix(fields: Fields, kind: int, wrapping: int, header_len: int) -> tuple[bytes, int]:
    """The first bytes of a header, and its cipher."""
    prefix = fields.take(16)
    magic, found, version, wrap, cipher, zero, length = struct.unpack("<6sBBBBHI", prefix)
    require((magic, found, version, wrap) == (b"SFARC\0", kind, 1, wrapping), "its header is not the expected one")
    require((zero, length) == (0, header_len), "its length or reserved bytes are wrong")
    return prefix, cipher


def read_envelope(keys: Keys, fields: Fields, kind: int, prefix: bytes, cipher: int) -> tuple[int, Key]:
    """An envelope's compartment and key (14.2)."""
    seal, compartment, zero, sender = fields.uint(1), fields.uint(1), fields.uint(2), fields.take(32)
    sealed, commitment = fields.take(48), fields.take(32)
    require(seal in (1, 2) and compartment in COMPARTMENTS and zero == 0, "an envelope is malformed")
    require(seal == 1 or compartment != NAMES, "names are sealed to a recipient")
    name, aad = COMPARTMENTS[compartment], prefix + bytes([compartment])
    if seal == 1:
        require(sender[12:] == bytes(20), "an envelope is malformed")
        key = unseal(cipher, derive(f"{name} {kind}", keys.root), sender[:12], sealed, aad)
    else:
        key = hpke_open(derive(f"{name} recipient", keys.root), sender, aad, sealed)
    require(derive("key commitment", key) == commitment, "its key is not the one it commits to")
    return compartment, Key(cipher, prefix, key, seal == 2)


class Sealed:
    """A sealed object whose header is open."""

    def __init__(self, keys: Keys, kind: int, data: bytes) -> None:
        fields, self.header_len = Fields(data), keys.header_len(kind)
        if keys.is_divided(kind):
            prefix, cipher = read_prefix(fields, kind, 2, DIVIDED_LEN)
            envelopes = [read_envelope(keys, fields, kind, prefix, cipher) for _ in COMPARTMENTS]
            require([compartment for compartment, _ in envelopes] == list(COMPARTMENTS), "envelopes out of order")
            self.keys = dict(envelopes)
        else:
            prefix, cipher = read_prefix(fields, kind, 1, HEADER_LEN)
            nonce, wrapped = fields.take(12), fields.take(48)
            require(fields.uint(4) == 0, "its reserved bytes are not zero")
            key = unseal(cipher, keys.wrap[kind], nonce, wrapped, prefix)
            require(derive("key commitment", key) == fields.take(32), "its key is not the one it commits to")
            self.keys = dict.fromkeys(COMPARTMENTS, Key(cipher, prefix, key, False))
        self.data = data

    def section(self, section: int, ordinal: int, start: int, length: int, compartment: int = NAMES) -> bytes:
        return self.keys[compartment].open(section, ordinal, self.part(start, length))

    def part(self, start: int, length: int) -> bytes:
        require(self.header_len <= start <= start + length <= len(self.data), "a section lies outside the object")
        return self.data[start : start + length]

    def record(self) -> bytes:
        return self.section(IN_RECORD, 0, HEADER_LEN, len(self.data) - HEADER_LEN)

    def footer(self) -> tuple[int, bytes]:
        """Where the footer begins, and its plaintext."""
        require(len(self.data) >= self.header_len + 16, "it is too short")
        start, length, magic = struct.unpack("<QI4s", self.data[-16:])
        require(magic == b"SFEN" and start + length + 16 == len(self.data), "its trailer is wrong")
        require(start >= self.header_len, "its footer begins in its header")
        require(length <= FOOTER_MAX + TAG_LEN, "its footer is too large")
        return start, self.section(IN_FOOTER, 0, start, length)


# Chunks: packs and index runs (sections 8 and 9)


class Block(NamedTuple):
    kind: int
    codec: int
    start: int
    stored_len: int
    plain_len: int
    first_chunk: int
    chunks: int

    def compartment(self) -> int:
        return DATA if self.kind == 1 else LISTS


def decompress(frame: bytes, length: int) -> bytes:
    """One zstd frame and nothing else (R36), which holds so many bytes."""
    try:
        announced = zstandard.get_frame_parameters(frame)
        require(frame[:4] == b"\x28\xb5\x2f\xfd" and announced.dict_id == 0, "a block is no frame without a dictionary")
        single = frame[4] & 0x20 != 0
        window = announced.content_size if single else announced.window_size
        require(window <= WINDOW_MAX, "a frame has too large a window")
        decoder = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).decompressobj()
        plain = b""
        for at in range(0, len(frame), 4096):
            plain += decoder.decompress(frame[at : at + 4096])
            require(len(plain) <= BLOCK_MAX, "a block is too long")
            if decoder.eof:
                require(not decoder.unused_data and at + 4096 >= len(frame), "bytes follow a frame")
        require(decoder.eof and len(plain) == length, "a block is not as long as its directory says")
    except zstandard.ZstdError as error:
        raise Damage("a block does not decompress") from error
    return plain


class Pack:
    def __init__(self, keys: Keys, data: bytes) -> None:
        require(len(data) <= PACK_MAX, "a pack is too large")
        self.keys, self.sealed = keys, Sealed(keys, PACK, data)
        end, directory = self.sealed.footer()
        fields = Fields(directory)
        blocks, chunks = fields.uint(4), fields.uint(4)
        require(0 < blocks <= chunks <= 0xFFFF, "it counts too few or too many blocks or chunks")
        self.blocks: list[Block] = []
        start, first = keys.header_len(PACK), 0
        for _ in range(blocks):
            kind, codec, count, stored, plain = struct.unpack("<BBHII", fields.take(12))
            require(kind in (1, 2) and codec in (0, 1, 2, 3), "a block is of an unknown kind or codec")
            require(count > 0 and plain <= BLOCK_MAX and stored >= TAG_LEN, "a block has an impossible length")
            self.blocks.append(Block(kind, codec, start, stored, plain, first, count))
            start, first = start + stored, first + count
        require((start, first) == (end, chunks), "its blocks do not fill it")
        self.ids = [fields.take(16) for _ in range(chunks)]
        self.lens = [fields.uint(3) for _ in range(chunks)]
        self.moved = self._read_moved(fields) if keys.roles else {}
        padded = {block.codec > 1 for block in self.blocks}
        require(len(padded) <= 1, "some blocks are padded, and some are not")
        fields.end(padded=padded == {True})
        require(all(0 < length <= CHUNK_MAX for length in self.lens), "a chunk has an impossible length")
        self.open_block = lru_cache(maxsize=16)(self._open_block)

    def _read_moved(self, fields: Fields) -> dict[int, tuple[Key, int]]:
        """Blocks that were sealed in other packs: their keys, and their numbers there."""
        if not any(fields.data[fields.at : fields.at + 4]):
            return {}  # Nothing follows, or padding.
        count = fields.uint(4)
        require(count <= FOREIGN_MAX, "it names keys of too many other packs")
        foreign = []
        for _ in range(count):
            prefix, cipher = read_prefix(fields, PACK, 2, DIVIDED_LEN)
            foreign.append(read_envelope(self.keys, fields, PACK, prefix, cipher))
        moved = {}
        for number, block in enumerate(self.blocks):
            envelope, ordinal = fields.uint(2), fields.uint(4)
            require(envelope <= count and (envelope > 0 or ordinal == 0), "a moved block has no key")
            if envelope > 0:
                compartment, key = foreign[envelope - 1]
                require(compartment == block.compartment(), "a moved block has no key of its kind")
                moved[number] = key, ordinal
        return moved

    def _open_block(self, number: int) -> list[bytes]:
        block = self.blocks[number]
        key, ordinal = self.moved.get(number, (self.sealed.keys[block.compartment()], number))
        plain = key.open(IN_BLOCK, ordinal, self.sealed.part(block.start, block.stored_len))
        if block.codec > 1:
            plain = unpad(plain)
        if block.codec in (1, 2):
            plain = decompress(plain, block.plain_len)
        require(len(plain) == block.plain_len, "a block is not as long as its directory says")
        fields, numbers = Fields(plain), range(block.first_chunk, block.first_chunk + block.chunks)
        chunks = [fields.take(self.lens[chunk]) for chunk in numbers]
        fields.end()
        names = [self.keys.chunk_id(block.kind, chunk) for chunk in chunks]
        require(names == [self.ids[chunk] for chunk in numbers], "a chunk does not hash to its name")
        return chunks

    def chunk(self, ordinal: int) -> tuple[int, bytes]:
        """The kind and the bytes of the chunk with this number."""
        for number, block in enumerate(self.blocks):
            if block.first_chunk <= ordinal < block.first_chunk + block.chunks:
                return block.kind, self.open_block(number)[ordinal - block.first_chunk]
        raise Damage("a pack has no chunk of that number")


class Run:
    def __init__(self, keys: Keys, data: bytes) -> None:
        self.sealed = Sealed(keys, INDEX, data)
        end, footer = self.sealed.footer()
        fields = Fields(footer)
        self.rows, self.filter_blocks = fields.uint(8), fields.uint(8)
        packs, level = fields.uint(4), fields.uint(4)
        padded, level = level & PADDED_RUN != 0, level & ~PADDED_RUN
        require(self.filter_blocks <= self.rows > 0 and level <= 255, "its footer is malformed")
        self.group = fields.take(16)
        self.packs = [(fields.take(32), fields.uint(4)) for _ in range(packs)]
        self.starts = [fields.uint(8) for _ in range(-(-self.rows // PAGE_ROWS))]
        fields.end(padded)
        require(self.starts == sorted(self.starts), "its pages are not in order")
        self.page = lru_cache(maxsize=256)(self._page)
        filters, at = bytearray(), self._page_span(len(self.starts))[0]
        for number, left in enumerate(range(self.filter_blocks, 0, -63)):
            length = min(left, 63) * 64 + TAG_LEN
            filters += self.sealed.section(IN_FILTER, number, at, length)
            at += length
        if padded:
            require(not any(self.sealed.section(IN_FILLER, 0, at, end - at)), "its filler is not zero")
        require(padded or at == end, "its pages and filters do not end where its footer begins")
        self.filter = bytes(filters)

    def _page_span(self, number: int) -> tuple[int, int]:
        """Where a page lies; for the number of pages, where the last one ends."""
        rows = min(max(self.rows - number * PAGE_ROWS, 0), PAGE_ROWS)
        if number == len(self.starts) and number > 0:
            start, length = self._page_span(number - 1)
            return start + length, 0
        return HEADER_LEN + number * PAGE_LEN, PAGE_LEN if rows == PAGE_ROWS else rows * ROW_LEN + TAG_LEN

    def _page(self, number: int) -> list[tuple[bytes, int, int]]:
        plain = self.sealed.section(IN_PAGE, number, *self._page_span(number))
        rows = list(struct.iter_unpack("<16sIH", plain[: len(plain) // ROW_LEN * ROW_LEN]))
        require([row[0] for row in rows] == sorted(row[0] for row in rows), "rows are not in order")
        require(int.from_bytes(rows[0][0][:8], "big") == self.starts[number], "a page does not begin as announced")
        return rows

    def may_hold(self, name: bytes) -> bool:
        if not self.filter_blocks:
            return True
        block = (int.from_bytes(name[:8], "big") * self.filter_blocks >> 64) * 64
        tail = int.from_bytes(name[8:], "little")
        bits = [tail >> (9 * k) & 511 for k in range(6)]
        return all(self.filter[block + bit // 8] >> (bit % 8) & 1 for bit in bits)

    def find(self, name: bytes) -> Iterator[tuple[bytes, int, int]]:
        """The packs that hold a chunk, their lengths, and its number in each."""
        prefix = int.from_bytes(name[:8], "big")
        for number, start in enumerate(self.starts):
            following = self.starts[number + 1] if number + 1 < len(self.starts) else 1 << 64
            if start <= prefix <= following:
                for found, pack, ordinal in self.page(number):
                    if found == name:
                        require(pack < len(self.packs), "a row names a pack that its table does not have")
                        yield *self.packs[pack], ordinal


# Manifests (section 11)


class Content(NamedTuple):
    length: int
    hash: bytes
    root: tuple[bytes, int] | None

    def check(self) -> None:
        require((self.root is None) == (self.length == 0), "a stream has a root or lacks one")
        require(self.length < 1 << 48 and (self.root is None or self.root[1] <= LIST_MAX_DEPTH), "a list is too deep or too long")


class Stream(NamedTuple):
    name: bytes
    content: Content
    catalog: Content | None
    facts: list[tuple[str, str]]


class Manifest(NamedTuple):
    time: int
    id: str
    host: str
    streams: list[Stream]
    labels: list[tuple[str, str]]
    maker: str = "reader"

    def is_of_writer(self) -> bool:
        """True if nothing of it is given out before it is proven as a whole (R70)."""
        return self.maker != "reader" or any(key == "sfarc/writer" for stream in self.streams for key, _ in stream.facts)

    def is_own(self) -> bool:
        """True for a record of the program."""
        return any(key.startswith("sfarc/") and key not in ("sfarc/copy-of", "sfarc/copy-proof") for key, _ in self.labels)


def read_content(fields: Fields) -> Content:
    length, digest, _sizes = fields.uint(8), fields.take(32), fields.take(12)
    return Content(length, digest, fields.maybe(lambda: (fields.take(16), fields.uint(1))))


def read_stream(fields: Fields, version: int) -> Stream:
    name, origin = fields.blob(), fields.uint(4)
    require(origin <= (3 if version == 1 else 6), "an origin is unknown")
    if 0 < origin <= 3:
        _path_or_command = fields.blob()
    elif origin > 3:
        _namespace = fields.text()
        if origin < 6:
            _pod, _container, _path_or_command = fields.text(), fields.maybe(fields.text), fields.text()
    content, catalog = read_content(fields), fields.maybe(lambda: read_content(fields))
    require(fields.uint(4) <= 3, "a proof is unknown")
    _new_bytes, _problems = fields.uint(8), fields.many(fields.text)
    facts = fields.many(lambda: (fields.text(), fields.text())) if version > 1 else []
    require(len(name) > 0 and b"\0" not in name and b"\n" not in name, "a stream has a name that none may have")
    require(catalog is None or origin in (2, 5, 6), "a stream has a catalog that is no folder")
    for one in [content] if catalog is None else [content, catalog]:
        one.check()
    return Stream(name, content, catalog, facts)


def read_manifest(name: str, data: bytes) -> Manifest:
    version, fields = versioned(data, 2, True)
    time, _duration, host, _tags = fields.time(), fields.uint(8), fields.text(), fields.many(fields.text)
    labels = fields.many(lambda: (fields.text(), fields.text()))
    _program, _session, _added, _complete = fields.text(), fields.take(16), fields.uint(8), fields.bool()
    streams = fields.many(lambda: read_stream(fields, version), STREAMS_MAX)
    if version > 1:
        _findings = fields.many(fields.text)
    fields.end()
    require(len({stream.name for stream in streams}) == len(streams), "two streams have one name")
    return Manifest(time, name, host, streams, labels)


def read_gc_record(fields: Fields) -> tuple[int, bytes, list[bytes], list[bytes]]:
    """Epoch, features, condemned packs, dead snapshots."""
    many = lambda: fields.many(lambda: fields.take(16))
    return fields.uint(8), fields.take(24), many(), many()


# The repository (sections 2, 6 and 7)


class Secrets(NamedTuple):
    """What may open a slot."""

    password: bytes | None = None
    key_file: bytes | None = None
    identity: bytes | None = None
    fingerprint: bytes | None = None


class Slot(NamedTuple):
    version: int
    kind: int
    cost: tuple[int, int, int] | None
    age_file: bytes
    cipher: int
    nonce: bytes
    sealed_root: bytes
    commitment: bytes
    info_nonce: bytes
    sealed_info: bytes


def read_slot(data: bytes) -> Slot:
    version, fields = versioned(data, 2, False)
    kind, cost, age_file = fields.uint(4), None, b""
    require(kind <= 2, "a key slot is of an unknown kind")
    if kind == 0:
        memory, passes, lanes = cost = (fields.uint(4), fields.uint(4), fields.uint(4))
        sane = 1 <= lanes <= 64 and max(8, 8 * lanes) <= memory <= 1 << 20 and 1 <= passes <= 16
        require(sane, "a key slot asks for an impossible amount of work")
    elif kind == 2:
        age_file = fields.blob()
    cipher, nonce, sealed_root, commitment = fields.uint(1), fields.take(12), fields.take(48), fields.take(32)
    slot = Slot(version, kind, cost, age_file, cipher, nonce, sealed_root, commitment, fields.take(12), fields.blob())
    fields.end()
    return slot


def open_age(file: bytes, identity: bytes) -> bytes | None:
    """What a file of age-encryption.org/v1 holds (one chunk), if it is to the recipient of an identity."""

    def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
        return hmac.digest(hmac.digest(salt or bytes(32), key, "sha256"), info + b"\x01", "sha256")

    def decode(text: bytes) -> bytes:
        return base64.b64decode(text + b"=" * (-len(text) % 4))

    front, mark, rest = file.partition(b"\n--- ")
    require(front.startswith(b"age-encryption.org/v1\n-> ") and mark != b"", "a recovery slot holds no file of age")
    secret = X25519PrivateKey.from_private_bytes(identity)
    for stanza in front.split(b"\n-> ")[1:]:
        arguments, _, body = stanza.partition(b"\n")
        if not arguments.startswith(b"X25519 "):
            continue
        try:
            share = decode(arguments.removeprefix(b"X25519 "))
            shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
            salt = share + secret.public_key().public_bytes_raw()
            wrap = hkdf(shared, salt, b"age-encryption.org/v1/X25519")
            key = unseal(2, wrap, bytes(12), decode(body), b"")
            mac, _, payload = rest.partition(b"\n")
            require(hmac.digest(hkdf(key, b"", b"header"), front + b"\n---", "sha256") == decode(mac), "the head of a file of age was altered")
            return unseal(2, hkdf(key, payload[:16], b"payload"), bytes(11) + b"\x01", payload[16:], b"")
        except (Damage, ValueError):
            continue
    return None


class Repository:
    def __init__(self, root: Path, secrets: Secrets) -> None:
        self.root = root
        config = (root / "config").read_bytes()
        self.head = config[:56]
        head = Fields(self.head)
        require(head.take(8) == b"SFARCREP" and head.uint(4) == 1, "there is no repository of format 1")
        features, self.id = head.take(24), head.take(16)
        require(head.uint(4) == 0, "its reserved bytes are not zero")
        read_features = int.from_bytes(features[:8], "little")
        require(read_features & ~(READ_ROLES | READ_PADDING) == 0, "the repository uses features that this reader does not know")
        self.features, roles, why = features, read_features & READ_ROLES != 0, "wrong password, key file or identity"
        for version, root_key in self.root_keys(secrets):
            if root_key is None:
                why = "the head of the configuration was altered" if version > 1 else why
                continue
            try:
                self.keys = Keys(root_key, roles)
                sealed = record(Sealed(self.keys, CONFIG, config[56:]).record(), lambda f: (f.take(24), f.take(16), f.time(), f.text()))
                break
            except Damage as damage:
                why = f"the configuration is damaged: {damage}"  # Or the slot is left from a creation that was not finished.
        else:
            raise Damage(why)
        require(sealed[:2] == (features, self.id), "the head of the configuration was altered")
        require(version > 1 or roles or not self.names("writers"), "the repository says that it has no roles, and has writers")
        self.check_fingerprint(secrets, root_key)
        self.pack = lru_cache(maxsize=4)(lambda name: Pack(self.keys, self.read("packs", name)))
        self.runs: list[Run] | None = None

    def check_fingerprint(self, secrets: Secrets, root_key: bytes) -> None:
        found = derive("fingerprint", root_key + self.id + self.features)[:16]
        if secrets.fingerprint is not None:
            require(secrets.fingerprint == found, "this is another repository than that of the fingerprint")
        else:
            require(secrets.identity is None, "an identity alone does not say whose repository this is: give its fingerprint")

    def names(self, folder: str) -> list[str]:
        """Names that are objects; others are passed over."""
        if not (self.root / folder).is_dir():
            return []
        digits, found = 16 if folder == "gc" else 64, [path.name for path in (self.root / folder).iterdir()]
        found = [name for name in found if len(name) == digits and not set(name) - set("0123456789abcdef")]
        return sorted(name for name in found if folder != "gc" or set(name) not in ({"0"}, {"f"}))

    def load(self, folder: str, name: str) -> bytes:
        path = self.root / folder / name
        require(path.is_file(), f"{folder}/{name} is missing")
        require(path.stat().st_size <= OBJECT_MAX, f"{folder}/{name} is too large")
        return path.read_bytes()

    def read(self, folder: str, name: str) -> bytes:
        """An object that is named by its content."""
        data = self.load(folder, name)
        require(blake3(data).hexdigest() == name, f"{folder}/{name} does not hash to its name")
        return data

    def slots(self) -> Iterator[Slot]:
        """What counts in `keys/` (section 7), the shorter ones first."""
        sizes = sorted(((self.root / "keys" / name).stat().st_size, name) for name in self.names("keys"))
        read = 0
        for size, name in sizes:
            read += size
            if size not in SLOT_LENGTHS or read > SLOTS_READ:
                continue
            try:
                yield read_slot(self.read("keys", name))
            except Damage as damage:
                note(f"passing over keys/{name}: {damage}")

    def root_keys(self, secrets: Secrets) -> Iterator[tuple[int, bytes | None]]:
        """The versions of slots whose commitment fits, and their root keys; nothing for one that does not open."""
        slots = list(self.slots())
        for slot in slots:
            if slot.kind == 1 and secrets.key_file is not None:
                yield from self.open_slot(slot, derive("key file", secrets.key_file + self.id))
            if slot.kind == 2 and secrets.identity is not None:
                key = open_age(slot.age_file, secrets.identity)
                yield from self.open_slot(slot, key) if key is not None and len(key) == 32 else ()
        if secrets.password is None:
            return
        costs = sorted({slot.cost for slot in slots if slot.cost is not None}, key=lambda cost: (cost != USUAL_COST, cost[0] * cost[1], cost))
        dear = [cost for cost in costs if cost[0] * cost[1] > DEAR][DEAR_COSTS:]
        for cost in [cost for cost in costs if cost not in dear][:COSTS_TRIED]:
            memory, passes, lanes = cost
            key = derive("passphrase", hash_secret_raw(secrets.password, self.id, passes, memory, lanes, 32, Type.ID, 0x13))
            for slot in slots:
                if slot.cost == cost:
                    yield from self.open_slot(slot, key)

    def open_slot(self, slot: Slot, key: bytes) -> Iterator[tuple[int, bytes | None]]:
        if derive("slot commitment", key + slot.nonce) != slot.commitment:
            return
        bound = b"sfarc key slot root" + self.id if slot.version == 1 else b"sfarc key slot root 2" + self.id + self.features
        try:
            root_key = unseal(slot.cipher, key, slot.nonce, slot.sealed_root, bound)
        except Damage:
            yield slot.version, None
            return
        described = b"sfarc key slot description" + slot.commitment + slot.sealed_root
        described_key = derive("key slot description", root_key)
        try:
            info = unseal(slot.cipher, described_key, slot.info_nonce, slot.sealed_info, described)
            _label, _created = record(info, lambda f: (f.text(), f.time()))
        except Damage as damage:
            note(f"the description of a key slot is damaged: {damage}")
        yield slot.version, root_key

    # The gc log (section 13)

    def gc_record(self, epoch: str) -> tuple[bytes, list[bytes]]:
        """Features and dead snapshots that a gc record says; nothing if it is of somebody who decides nothing."""
        data, signature = self.load("gc", epoch), None
        if self.keys.roles:
            data, sealed = data[:-LOG_SIGNATURE_LEN], data[-LOG_SIGNATURE_LEN:]
            opened = Sealed(self.keys, GC, data).keys[NAMES].open(IN_SIGNATURE, 0, sealed)
            signature = record(opened, lambda f: f.take(64))
        plain = Sealed(self.keys, GC, data).record()
        message = b"sfarc 2026-11-28 gc record\0" + self.id + blake3(data).digest()
        if signature and not is_signed(self.keys.public("log signature"), signature, message):
            note(f"gc/{epoch} has another signature: it says nothing")
            return bytes(24), []
        number, features, _, gone = record(plain, read_gc_record, True)
        require(number == int(epoch, 16), f"gc/{epoch} is the record of another epoch")
        return features, gone

    def dead(self) -> set[bytes]:
        dead, epochs = set(), self.names("gc")
        if epochs and int(epochs[-1], 16) != len(epochs):
            note("records of the gc log are missing: forgotten snapshots may show, and features may be missing")
        for epoch in epochs:
            try:
                features, gone = self.gc_record(epoch)
            except TooNew:
                raise
            except Damage as damage:
                note(f"gc/{epoch}: {damage}: forgotten snapshots may show, and features may be missing")
                continue
            if any(features[:8]):
                raise TooNew("the repository uses features that this reader does not know")
            dead |= set(gone)
        return dead

    # Snapshots (sections 11 and 14)

    def snapshots(self) -> tuple[list[Manifest], list[str]]:
        """Those that the gc log does not declare dead, oldest first; and what is wrong with those that cannot be read."""
        names, dead, found, wrong = self.names("snapshots"), self.dead(), [], []
        for name in names:
            if bytes.fromhex(name)[:16] in dead:
                continue
            try:
                data = self.load("snapshots", name)
                if not self.is_fence(name, data):
                    found.append(self.snapshot(name))
            except Damage as damage:
                wrong.append(f"snapshots/{name}: {damage}")
        return sorted(found), wrong

    def snapshot(self, name: str) -> Manifest:
        sealed = Sealed(self.keys, SNAPSHOT, self.read("snapshots", name))
        if not self.keys.roles:
            return read_manifest(name, sealed.record())
        maker, plain = self.divided_record(name, sealed)
        manifest = read_manifest(name, plain)._replace(maker=maker)
        require(maker == "reader" or not manifest.is_own(), "a writer has made a record of the program")
        return manifest

    def divided_record(self, name: str, sealed: Sealed) -> tuple[str, bytes]:
        """Who made a divided snapshot, and the manifest in it, if who has signed it counts (14.7)."""
        fields = Fields(sealed.data)
        fields.take(DIVIDED_LEN)
        lengths = fields.uint(4), fields.uint(4)
        end = fields.at + sum(lengths)
        require(end + SNAPSHOT_SIGNATURE_LEN == len(sealed.data), "its sections are not as long as it is")
        plain = sealed.section(IN_RECORD, 0, fields.at, lengths[0], DATA)
        signature = sealed.section(IN_SIGNATURE, 0, end, SNAPSHOT_SIGNATURE_LEN)
        public, previous, signed = record(signature, lambda f: (f.take(32), f.take(32), f.take(64)))
        message = self.id + public + previous + blake3(sealed.data[:end]).digest()
        require(is_signed(public, signed, b"sfarc 2026-11-28 snapshot\0" + message), "its signature is not right")
        require(plain[:32] == public, "another has signed it than has made it")
        if sealed.keys[DATA].by_stranger:
            return self.label_of(public, bytes.fromhex(name)), plain[32:]
        require(public == self.keys.public("authority signature"), "who has signed it is no reader")
        return "reader", plain[32:]

    def roots(self, data: bytes) -> list[tuple[int, tuple[bytes, int] | None]]:
        """Lengths and roots of the contents of a divided snapshot (R71), as who prunes takes them."""
        sealed, fields = Sealed(self.keys, SNAPSHOT, data), Fields(data)
        fields.take(DIVIDED_LEN)
        first, second = fields.uint(4), fields.uint(4)
        plain = sealed.section(IN_ROOTS, 0, fields.at + first, second, LISTS)
        signature = sealed.section(IN_SIGNATURE, 0, fields.at + first + second, SNAPSHOT_SIGNATURE_LEN)
        public, _before, _signed = record(signature, lambda f: (f.take(32), f.take(32), f.take(64)))
        require(plain[:32] == public, "its roots are out of the snapshot of another")
        root = lambda f: f.maybe(lambda: (f.take(16), f.uint(1)))
        _session, roots = record(plain[32:], lambda f: (f.take(16), f.many(lambda: (f.uint(8), root(f)), 2 * STREAMS_MAX)), True)
        return roots

    def label_of(self, public: bytes, name: bytes) -> str:
        """The label of a writer that is registered, and was not revoked before this snapshot."""
        of = [(label, revoked) for writer, label, revoked in self.writers() if writer == public]
        counts = bool(of) and all(revoked is None or name in revoked for _, revoked in of)
        require(counts, "who has signed it is no writer")
        return f"writer {of[0][0] or public.hex()[:8]}"

    def writers(self) -> Iterator[tuple[bytes, str, list[bytes] | None]]:
        """Registered writers (14.6), their labels, and the snapshots that count of one that was revoked."""
        authority = self.keys.public("authority signature")
        for name in self.names("writers"):
            try:
                data = Sealed(self.keys, WRITER, self.read("writers", name)).record()
                ids = lambda f: f.many(lambda: f.take(32))
                public, label, _created, revoked, signature = record(
                    data, lambda f: (f.take(32), f.text(), f.time(), f.maybe(lambda: ids(f)), f.take(64))
                )
                message = b"sfarc 2026-11-28 writer\0" + self.id + data[:-64] + bytes(64)
                require(is_signed(authority, signature, message), "its signature is not right")
            except Damage as damage:
                note(f"passing over writers/{name}: {damage}")
                continue
            yield public, label, revoked

    def is_fence(self, name: str, data: bytes) -> bool:
        if len(data) != FENCE_LENGTH:
            return False
        try:
            return record(Sealed(self.keys, FENCE, data).record(), lambda f: f.take(32)).hex() == name
        except Damage:
            return False

    # Chunks and lists (sections 9 and 10)

    def open_runs(self) -> list[Run]:
        runs = []
        for name in self.names("indexes"):
            try:
                runs.append(Run(self.keys, self.read("indexes", name)))
            except Damage as damage:
                note(f"passing over indexes/{name}: {damage}")
        return runs

    def chunk(self, name: bytes, kind: int) -> bytes:
        """A chunk, from the first of its places that is whole (R40)."""
        if self.runs is None:
            self.runs = self.open_runs()
        why = f"chunk {name.hex()} is missing"
        for run in self.runs:
            try:
                places = list(run.find(name)) if run.may_hold(name) else []
            except Damage as damage:
                why = str(damage)
                continue
            for pack, length, ordinal in places:
                try:
                    found = self.pack(pack.hex())
                    require(len(found.sealed.data) == length, "a pack has another length than the index says")
                    found_kind, data = found.chunk(ordinal)
                    require(found_kind == kind, "a chunk is of another kind than its list says")
                    require(self.keys.chunk_id(kind, data) == name, "an index row points to another chunk")
                    return data
                except Damage as damage:
                    why = str(damage)
        raise Damage(why)

    def walk(self, name: bytes, length: int, depth: int) -> Iterator[bytes]:
        """The data chunks below a list row."""
        data = self.chunk(name, 1 if depth == 0 else 2)
        if depth == 0:
            require(len(data) == length, "a chunk is not as long as its list says")
            yield data
            return
        size = 19 if depth == 1 else 22
        require(len(data) % size == 0 and 0 < len(data) // size <= NODE_MAX_ROWS, "a list node is malformed")
        rows = [(data[at : at + 16], int.from_bytes(data[at + 16 : at + size], "little")) for at in range(0, len(data), size)]
        require(all(row[1] > 0 for row in rows) and sum(row[1] for row in rows) == length, "a list node has a wrong length")
        for child, child_length in rows:
            yield from self.walk(child, child_length, depth - 1)

    def content(self, content: Content) -> Iterator[bytes]:
        """The bytes of a stream; fails at their end if they are not those that were hashed."""
        digest = blake3()
        if content.root is not None:
            for chunk in self.walk(content.root[0], content.length, content.root[1]):
                digest.update(chunk)
                yield chunk
        require(digest.digest() == content.hash, "the stream does not hash to what its snapshot says")


def check_catalog(repository: Repository, stream: Stream) -> None:
    """The entries of a catalog must lead exactly through the tar stream, and say what is in it (section 12)."""
    if stream.catalog is None:
        return
    archive = b"".join(repository.content(stream.content))
    fields, end = Fields(b"".join(repository.content(stream.catalog))), 0
    while fields.at < len(fields.data):
        length = fields.uint(4)
        require(length <= CATALOG_ENTRY_MAX, "a catalog entry is too large")
        _version, entry = versioned(fields.take(length), 1, False)
        require(bool(entry.blob()) and entry.uint(4) <= 6, "a catalog entry is malformed")
        entry.take(4 + 8 + 8 + 8 + 4 + 8)
        header_len, stored_len, _link, digest = entry.uint(8), entry.uint(8), entry.blob(), entry.take(32)
        entry.bool()
        entry.end()
        start = end + header_len
        require(blake3(archive[start : start + stored_len]).digest() == digest, "a file is not what the catalog says")
        end = start + -(-stored_len // 512) * 512
    require(end + 1024 == stream.content.length, "the catalog does not fit its tar stream")


# Bundles (section 15) and keys of roles (14.1): read here, and used for nothing.


def read_bundle(data: bytes) -> list[tuple[str, bytes]]:
    fields = Fields(data)
    require(fields.take(8) == b"sfarcgt1", "a bundle begins with something else")
    count = fields.uint(4)
    require(count <= BUNDLE_OBJECTS, "a bundle has too many objects")
    rows = [(fields.uint(1), fields.take(32), fields.uint(4)) for _ in range(count)]
    objects = []
    for kind, name, length in rows:
        epoch = int.from_bytes(name[:8], "little")
        require(kind == 0 or kind == 1 and name[8:] == bytes(24) and 0 < epoch < (1 << 64) - 1, "a row of a bundle names no object")
        objects.append((f"snapshots/{name.hex()}" if kind == 0 else f"gc/{epoch:016x}", fields.take(length)))
    fields.end()
    return objects


ROLES = {
    "writer": {"wrap 1", "wrap 3", "wrap 5", "wrap 6", "names 2", "names 4", "chunk id", "list id", "gear seed", "chunker prf",
        "lists recipient, public", "data recipient, public", "log signature, public", "own signature"},
    "maintainer": {"wrap 1", "wrap 3", "wrap 5", "wrap 6", "wrap 7", "wrap 8", "names 2", "names 4", "lists 2", "lists 4", "list id",
        "lists recipient", "log signature", "data recipient, public", "authority signature, public"},
    "auditor": {"wrap 1", "wrap 6", "wrap 7", "wrap 8", "names 4", "log signature, public", "authority signature, public"},
}


def read_role_key(line: str, repository: Repository) -> dict[str, bytes]:
    """The secrets of a role (R25)."""
    role, _, digits = line.rstrip().removeprefix("sfarc-").partition("-1 ")
    require(line.startswith("sfarc-") and role in ROLES and not set(digits) - set("0123456789abcdef"), "this is no key of a role")
    data = bytes.fromhex(digits)
    data, check = data[:-4], data[-4:]
    require(blake3(data).digest(4) == check, "the key of a role is damaged")
    repo, number, _label, _created, listed = record(
        data, lambda f: (f.take(16), f.uint(1), f.text(), f.time(), f.many(lambda: (f.text(), f.take(32))))
    )
    secrets = dict(listed)
    require(number < len(ROLES) and list(ROLES)[number] == role and ROLES[role] <= secrets.keys(), "the key of a role is not whole")
    require(repo == repository.id and repository.keys.roles, "the key of a role is of another repository")
    require(secrets.get("features", repository.features + bytes(8)) == repository.features + bytes(8), "the configuration was altered")
    return secrets


def file_name(stream: Stream) -> bytes:
    name = stream.name.replace(b"/", b"%2F").replace(b"\0", b"%00")
    name = name.replace(b".", b"%2E") if name in (b".", b"..") else name
    return name + b".tar" if stream.catalog is not None else name


def shown(text: str) -> str:
    """A text without what a terminal takes for more than text (R75)."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def latest(snapshots: list[Manifest], wanted: str) -> list[Manifest]:
    """The latest snapshot of one maker (R73): `latest`, `latest@reader`, `latest@LABEL`."""
    soon = (time.time() + 86400) * 10**9
    people = [snapshot for snapshot in snapshots if not snapshot.is_own() and (snapshot.maker == "reader" or snapshot.time <= soon)]
    _, given, maker = wanted.partition("@")
    makers = {snapshot.maker for snapshot in people}
    require(given != "" or len(makers) < 2, "several have made snapshots: say latest@reader or latest@LABEL of a writer")
    return [snapshot for snapshot in people if not given or snapshot.maker in (maker, f"writer {maker}")][-1:]


def parse_key_file(text: str) -> bytes:
    head, digits = text[:12], text[12:].rstrip()
    require(head == "sfarc-key-1 " and len(digits) == 64 and not set(digits) - set("0123456789abcdef"), "this is no key file")
    return bytes.fromhex(digits)


def parse_identity(text: str) -> bytes:
    """The private key in an identity of age (bech32, BIP 173). A typing error shows when nothing opens."""
    digits = text.strip().lower().removeprefix("age-secret-key-1")[:-6]
    require(len(digits) == 52 and text.strip().startswith("AGE-SECRET-KEY-1"), "this is no identity of age")
    bits = 0
    for digit in digits:
        require(digit in BECH32, "this is no identity of age")
        bits = bits << 5 | BECH32.index(digit)
    return (bits >> 4).to_bytes(32, "big")


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def parse_fingerprint(text: str) -> bytes:
    return bytes.fromhex("".join(text.split()).replace("-", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads sfarc repositories of format 1.")
    parser.add_argument("repo", type=Path)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--identity", type=Path)
    parser.add_argument("--fingerprint", type=parse_fingerprint)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    cat, restore = verbs.add_parser("cat"), verbs.add_parser("restore")
    for verb, last in ((cat, "stream"), (restore, "dir")):
        verb.add_argument("snapshot")
        verb.add_argument(last)
    args = parser.parse_args()
    key_file = parse_key_file(args.key_file.read_text()) if args.key_file else None
    identity = parse_identity(args.identity.read_text()) if args.identity else None
    password = os.environb.get(b"SFARC_PASSWORD")
    first_line = None if password is None else password.split(b"\n")[0].removesuffix(b"\r")
    repository = Repository(args.repo, Secrets(first_line, key_file, identity, args.fingerprint))
    snapshots, wrong = repository.snapshots()
    for why in wrong:
        note(why)
    if args.verb == "list":
        for snapshot in snapshots:
            moment = datetime.datetime.fromtimestamp(snapshot.time // 10**9, datetime.UTC)
            streams = ", ".join(f"{s.name.decode(errors='replace')} ({s.content.length})" for s in snapshot.streams)
            print(snapshot.id, moment.isoformat(), shown(snapshot.host), shown(streams), shown(snapshot.maker))
        return
    chosen = latest(snapshots, args.snapshot) if args.snapshot.startswith("latest") else [s for s in snapshots if s.id.startswith(args.snapshot)]
    require(len(chosen) == 1, "the name fits no snapshot or several")
    if args.verb == "cat":
        named = [stream for stream in chosen[0].streams if stream.name == os.fsencode(args.stream)]
        require(len(named) == 1, "the snapshot has no such stream")
        if chosen[0].is_of_writer():
            for _ in repository.content(named[0].content):
                pass
        sys.stdout.buffer.writelines(repository.content(named[0].content))
        return
    os.makedirs(args.dir, exist_ok=True)
    for stream in chosen[0].streams:
        check_catalog(repository, stream)
        path = os.path.join(os.fsencode(args.dir), file_name(stream))
        with open(path + b".part", "xb") as out:
            out.writelines(repository.content(stream.content))
        os.link(path + b".part", path)
        os.unlink(path + b".part")


if __name__ == "__main__":
    try:
        main()
    except Damage as damage:
        sys.exit(f"sfarc_reader: {damage}")
