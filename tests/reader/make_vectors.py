"""Makes the test vectors of format-spec.md (section 21) from the spec alone: tests/vectors/format.json.

Usage: make_vectors.py
"""
import json, struct
from pathlib import Path
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
CTX = "sfarc 2026-11-22 format 1 "
V: dict[str, bytes] = {}
def derive(c, m, n=32): return blake3(m, derive_key_context=CTX + c).digest(n)
def aead(c, k): return AESGCM(k) if c == 1 else ChaCha20Poly1305(k)
def le(n, v): return v.to_bytes(n, "little")
def u16(v): return le(2, v)
def u32(v): return le(4, v)
def u64(v): return le(8, v)
def i64(v): return v.to_bytes(8, "little", signed=True)
def blob(b): return u64(len(b)) + b
def text(t): return blob(t.encode())
def many(l): return u64(len(l)) + b"".join(l)
def opt(v): return b"\0" if v is None else b"\1" + v
def seq(first, n): return bytes((first + i) % 256 for i in range(n))

ROOT = seq(0, 32); REPO = seq(0x40, 16); KEY = seq(0xa0, 32); NONCE = seq(0xa0, 12); GROUP = seq(0xa0, 16)
V["root"] = ROOT; V["repo"] = REPO
CHUNK, LIST = derive("chunk id", ROOT), derive("list id", ROOT)
V["key.chunk_id"], V["key.list_id"] = CHUNK, LIST
WRAP = {k: derive(f"wrap {k}", ROOT) for k in range(1, 9)}
for k in WRAP: V[f"key.wrap.{k}"] = WRAP[k]
INFO = derive("key slot description", ROOT); V["key.slot_description"] = INFO
def cid(b): return blake3(b, key=CHUNK).digest(16)
def lid(b): return blake3(b, key=LIST).digest(16)
STREAM = blake3(b"sfarc test stream").digest(300001)
V["id.chunk"] = cid(STREAM[:5000]); V["id.list"] = lid(STREAM[:5000])

# passphrase and key file
raw = hash_secret_raw(b"correct horse", REPO, 1, 32, 2, 32, Type.ID, 0x13)
PASS = derive("passphrase", raw)
V["argon2.output"] = raw; V["key.passphrase"] = PASS; V["commitment.passphrase"] = derive("slot commitment", PASS + NONCE)
MATERIAL = seq(0x80, 32); FILEKEY = derive("key file", MATERIAL + REPO)
V["key_file.material"] = MATERIAL; V["key.key_file"] = FILEKEY

# chunker
GEAR_BYTES = derive("gear table", ROOT, 2048); GEAR = struct.unpack("<256Q", GEAR_BYTES)
V["gear.blake3"] = blake3(GEAR_BYTES).digest(); V["gear.first"] = GEAR_BYTES[:8]
MASKS = {5: 0x1804110, 6: 0x1803110, 7: 0x18035100, 8: 0x1800035300, 9: 0x19000353000, 10: 0x590003530000, 11: 0xd90003530000, 12: 0xd90103530000,
 13: 0xd90303530000, 14: 0xd90313530000, 15: 0xd90f03530000, 16: 0xd90303537000, 17: 0xd90703537000, 18: 0xd90707537000, 19: 0xd91707537000, 20: 0xd91747537000}
def cut(b, mn, avg, mx):
    n = min(len(b), mx); bits = avg.bit_length() - 1; h = 0
    if n > mn:
        for i in range(mn, n - n % 2):
            h = ((h << 1) + GEAR[b[i]]) & (2**64 - 1)
            if h & MASKS[bits + 1 if i < avg else bits - 1] == 0: return i
    return n
def cuts(b, *s):
    out = []
    while b: out.append(cut(b, *s)); b = b[out[-1]:]
    return out
DUMP, BULK = (1024, 4096, 32768), (16384, 65536, 524288)
V["cuts.dump"] = b"".join(map(u32, cuts(STREAM, *DUMP))); V["cuts.bulk"] = b"".join(map(u32, cuts(STREAM, *BULK)))
V["cuts.zeros"] = b"".join(map(u32, cuts(bytes(100001), *DUMP)))
start = 0
for c in cuts(STREAM, *DUMP):
    if c % 2 == 0 and c < 32768: break
    start += c
V["cuts.odd"] = u32(start) + u32(c + 1) + u32(cut(STREAM[start:start + c + 1], *DUMP)) + u32(cut(STREAM[start:start + c + 2], *DUMP))
assert cut(STREAM[start:start + c + 1], *DUMP) == c + 1 and cut(STREAM[start:start + c + 2], *DUMP) == c

# the chunker with a pseudo-random function
PRF = derive("chunker prf", ROOT)[:16]; V["key.prf"] = PRF
def places(b):
    """For each place of the stream the first eight bytes of what AES makes of the 64 bytes before it."""
    hashes, h = [], 0
    for i, byte in enumerate(b):
        h = (2 * h + GEAR[byte]) & (2**64 - 1)
        hashes.append(u64(h) + bytes(8))
    out = Cipher(algorithms.AES(PRF), modes.ECB()).encryptor().update(b"".join(hashes))
    return [None] + [int.from_bytes(out[i:i + 8], "little") for i in range(0, len(out), 16)]
def prf_cuts(b, mn, avg, mx):
    out, start, judged, bits = [], 0, places(b), avg.bit_length() - 1
    while start < len(b):
        n = min(len(b) - start, mx)
        ends = (i for i in range(mn, n + 1) if i == mx or judged[start + i] % 2 ** (bits + 1 if i < avg else bits - 1) == 0)
        out.append(next(ends, n)); start += out[-1]
    return out
V["cuts.prf.dump"] = b"".join(map(u32, prf_cuts(STREAM, *DUMP))); V["cuts.prf.bulk"] = b"".join(map(u32, prf_cuts(STREAM, *BULK)))
V["cuts.prf.zeros"] = b"".join(map(u32, prf_cuts(bytes(100001), *DUMP)))

# padding
def padme(n):
    if n < 2: return n
    e = n.bit_length() - 1; z = e - e.bit_length()
    return -(-n // 2 ** z) * 2 ** z
def padded(b, n=0): return u32(len(b)) + b + bytes(max(0, n - 4 - len(b)))
V["padme"] = b"".join(u32(n) + u32(padme(n)) for n in (1, 9, 100, 1000, 65537, 1000000, 1 << 24))
V["padded.block"] = padded(b"some block", 40)

# seals
def prefix(kind, cipher): return b"SFARC\0" + bytes([kind, 1, 1, cipher]) + u16(0) + u32(112)
def header(kind, cipher):
    p = prefix(kind, cipher)
    return p + NONCE + aead(cipher, WRAP[kind]).encrypt(NONCE, KEY, p) + u32(0) + derive("key commitment", KEY)
def section(kind, cipher, sec, ordinal, plain):
    n = u32(sec) + u64(ordinal)
    return aead(cipher, KEY).encrypt(n, plain, prefix(kind, cipher) + n)
def sealed(kind, cipher, rec): return header(kind, cipher) + section(kind, cipher, 1, 0, rec)
def end(kind, cipher, obj, footer):
    f = section(kind, cipher, 3, 0, footer)
    return obj + f + u64(len(obj)) + u32(len(f)) + b"SFEN"
V["object.key"] = KEY; V["object.wrap_nonce"] = NONCE
V["header.pack.aes"] = header(2, 1); V["header.session.chacha"] = header(5, 2)
V["section.block3.aes"] = section(2, 1, 2, 3, b"some block"); V["section.page7.chacha"] = section(3, 2, 4, 7, b"some page")
V["trailer"] = u64(112) + u32(51) + b"SFEN"

# records
def content(length, digest, root): return u64(length) + digest + u32(1024) + u32(4096) + u32(32768) + opt(root)
def stream(name, origin, cont, cat, proof, new, problems, facts=None):
    old = blob(name) + origin + cont + opt(cat) + u32(proof) + u64(new) + many([text(p) for p in problems])
    return old if facts is None else old + many([text(k) + text(v) for k, v in facts])
H = lambda x: blake3(x).digest()
V["record.config"] = u16(1) + u64(0)*3 + REPO + i64(1_800_000_000_000_000_000) + text("sfarc 0.1.0")
V["record.slot_description"] = u16(1) + text("initial") + i64(-1)
SI = V["record.slot_description"]
def slot(kind, cipher, key, version=1, features=bytes(24), root=ROOT, info=None, nonce=NONCE):
    bound = b"sfarc key slot root" + REPO if version == 1 else b"sfarc key slot root 2" + REPO + features
    sealed_root, commitment = aead(cipher, key).encrypt(nonce, root, bound), derive("slot commitment", key + nonce)
    description = aead(cipher, derive("key slot description", root)).encrypt(nonce, SI if info is None else info, b"sfarc key slot description" + commitment + sealed_root)
    return u16(version) + kind + bytes([cipher]) + nonce + sealed_root + commitment + nonce + blob(description)
V["record.slot.passphrase"] = slot(u32(0) + u32(32) + u32(1) + u32(2), 1, PASS)
V["record.slot.key_file"] = slot(u32(1), 2, FILEKEY)
V["record.session"] = u16(1) + seq(9, 16) + u64(7) + text("höst") + u32(4321) + i64(123456789)
V["record.gc"] = u16(1) + u64(7) + u64(1) + u64(2) + u64(4) + many([seq(1, 16), seq(2, 16)]) + many([seq(3, 16)])
V["record.fence"] = u16(1) + seq(0x20, 32)
V["record.catalog"] = u16(1) + blob(b"etc/link\xff") + u32(2) + u32(0o777) + u64(1000) + u64(100) + i64(-5) + u32(999_999_999) + u64(0) + u64(1536) + u64(0) + blob(b"target") + H(b"") + b"\1"
V["record.manifest.v1"] = (u16(1) + i64(1_800_000_000_123_456_789) + u64(5_000_000) + text("host") + many([text("nightly"), text("é")])
    + many([text("app") + text("shop"), text("env") + text("prod")]) + text("sfarc 0.1.0") + seq(0x60, 16) + u64(4096) + b"\0"
    + many([stream(b"db.sql", u32(3) + text("pg_dump shop"), content(160, H(b"x"), seq(9, 16) + b"\2"), None, 1, 160, []),
            stream(b"\xff", u32(0), content(0, H(b""), None), None, 0, 0, []),
            stream(b"f", u32(1) + blob(b"/a/f"), content(3, H(b"abc"), seq(8, 16) + b"\0"), None, 3, 3, []),
            stream(b"data", u32(2) + blob(b"/data"), content(2048, H(b"y"), seq(5, 16) + b"\1"), content(99, H(b"z"), seq(6, 16) + b"\0"), 2, 1, ["a: left out", "b: changed"])]))
V["record.manifest"] = (u16(2) + i64(1_800_000_000_123_456_789) + u64(5_000_000) + text("host") + many([]) + many([text("namespace") + text("sf")])
    + text("sfarc 0.1.0") + seq(0x60, 16) + u64(4096) + b"\1"
    + many([stream(b"objects", u32(6) + text("sf"), content(2048, H(b"y"), seq(5, 16) + b"\1"), content(99, H(b"z"), seq(6, 16) + b"\0"), 3, 1, [], [("secrets", "12")]),
            stream(b"database", u32(4) + text("sf") + text("mariadb-0") + opt(text("mariadb")) + text("mariadb-dump zuul"), content(160, H(b"x"), seq(9, 16) + b"\2"), None, 3, 160, [], [("rows/a", "1"), ("rows/b", "2")]),
            stream(b"logs", u32(5) + text("sf") + text("logserver-0") + opt(None) + text("/logs"), content(2048, H(b"y"), seq(5, 16) + b"\1"), content(99, H(b"z"), seq(6, 16) + b"\0"), 2, 1, ["b: changed"], [])])
    + many([text("one thing contradicts another")]))
pad_record = lambda r: (lambda whole: u16(int.from_bytes(r[:2], "little") | 1 << 15) + padded(r[2:], padme(whole) - 130))(130 + 4 + len(r) - 2)
V["record.gc.padded"] = pad_record(V["record.gc"]); V["record.manifest.padded"] = pad_record(V["record.manifest"])

# layouts
rows = [(seq(i, 16), 1000 + i) for i in range(3)]
V["node.level1"] = b"".join(i + le(3, n) for i, n in rows); V["node.level2"] = b"".join(i + le(6, n << 30) for i, n in rows)
V["directory"] = (u32(2) + u32(3) + b"\1\1" + u16(2) + u32(516) + u32(2001) + b"\2\0" + u16(1) + u32(1018) + u32(1002)
    + b"".join(i for i, _ in rows) + b"".join(le(3, n) for _, n in rows))
V["directory.padded"] = V["directory"][:9] + b"\2" + V["directory"][10:21] + b"\3" + V["directory"][22:] + bytes(9)
V["index.row"] = seq(1, 16) + u32(70000) + u16(65534)
V["index.footer"] = u64(186) + u64(0) + u32(1) + u32(3) + GROUP + seq(7, 32) + u32(12345) + u64(1 << 60) + u64(1 << 63)
V["index.footer.padded"] = V["index.footer"][:21] + b"\1" + V["index.footer"][22:] + bytes(9)
V["filter.id"] = seq(0x91, 16); fid = V["filter.id"]
V["filter.place"] = u64(int.from_bytes(fid[:8], "big") * 100 >> 64) + b"".join(u16(int.from_bytes(fid[8:], "little") >> 9 * k & 511) for k in range(6))

# an index run of 5000 rows in three packs
def index(rows, cipher, level):
    packs, free = [], sorted(rows)
    for _, p, _, _ in free:
        if p not in [x[0] for x in packs]: packs.append((p, next(r[2] for r in rows if r[1] == p)))
    num = {p: i for i, (p, _) in enumerate(packs)}
    obj, starts = header(3, cipher), []
    for k in range(0, len(free), 185):
        page = free[k:k + 185]; starts.append(page[0][0][:8])
        plain = b"".join(i + u32(num[p]) + u16(o) for i, p, _, o in page)
        if len(page) == 185: plain += bytes(10)
        obj += section(3, cipher, 4, k // 185, plain)
    blocks = -(-len(free) // 51) if len(free) >= 4096 else 0
    filt = bytearray(64 * blocks)
    for i, *_ in free:
        b = int.from_bytes(i[:8], "big") * blocks >> 64
        for k in range(6 if blocks else 0):
            bit = int.from_bytes(i[8:], "little") >> 9 * k & 511
            filt[64 * b + bit // 8] |= 1 << bit % 8
    for n, k in enumerate(range(0, len(filt), 63 * 64)): obj += section(3, cipher, 5, n, bytes(filt[k:k + 63 * 64]))
    foot = u64(len(free)) + u64(blocks) + u32(len(packs)) + u32(level) + GROUP + b"".join(p + u32(n) for p, n in packs)
    return end(3, cipher, obj, foot + b"".join(u64(int.from_bytes(s, "big")) for s in starts))
V["index5000.blake3"] = H(index([(H(u32(i))[:16], bytes([i % 3 + 1]) * 32, 1000 + i % 3 + 1, i % 1000) for i in range(5000)], 1, 2))

# a chunk list and a whole repository
chunks = [u32(i) for i in range(40)]
nodes: list[bytes] = []
def ends(i, n): return n >= 64 or (n >= 2 and i[15] % 8 == 0)
def build(rows):
    depth = 0
    while len(rows) > 1:
        depth += 1; up, node = [], []
        for r in rows + [None]:
            if r is not None: node.append(r)
            if node and (r is None or ends(r[0], len(node))):
                b = b"".join(i + le(3 if depth == 1 else 6, n) for i, n in node)
                nodes.append(b); up.append((lid(b), sum(n for _, n in node))); node = []
        rows = up
    return (rows[0][0] + bytes([depth])) if rows else None
LROOT = build([(cid(c), len(c)) for c in chunks]); V["list.root"] = LROOT
body = b"".join(chunks); lbody = b"".join(nodes)
b0, b1 = section(2, 1, 2, 0, body), section(2, 1, 2, 1, lbody)
pack = header(2, 1) + b0 + b1
directory = (u32(2) + u32(40 + len(nodes)) + b"\1\0" + u16(40) + u32(len(b0)) + u32(len(body)) + b"\2\0" + u16(len(nodes)) + u32(len(b1)) + u32(len(lbody))
   + b"".join(map(cid, chunks)) + b"".join(map(lid, nodes)) + b"".join(le(3, len(c)) for c in chunks + nodes))
pack = end(2, 1, pack, directory)
run = index([(cid(c), H(pack), len(pack), o) for o, c in enumerate(chunks)] + [(lid(c), H(pack), len(pack), 40 + o) for o, c in enumerate(nodes)], 2, 0)
man = (u16(1) + i64(1_800_000_000_000_000_000) + u64(1) + text("host") + many([]) + many([]) + text("sfarc 0.1.0") + seq(0x60, 16) + u64(len(pack)) + b"\1"
    + many([stream(b"counter", u32(0), content(160, H(body), LROOT), None, 0, 160, []), stream(b"empty", u32(0), content(0, H(b""), None), None, 0, 0, [])]))
dead = u16(1) + u64(1) + u64(0) * 3 + many([]) + many([seq(0x70, 16)])
V["repo.config"] = b"SFARCREP" + u32(1) + u64(0)*3 + REPO + u32(0) + sealed(1, 1, V["record.config"])
V["repo.slot"] = V["record.slot.passphrase"]; V["repo.pack"] = pack; V["repo.index"] = run; V["repo.snapshot"] = sealed(4, 2, man); V["repo.gc1"] = sealed(6, 1, dead); V["repo.fence"] = sealed(7, 2, V["record.fence"])

# roles: the same keys and nonces for all compartments, as an entropy gives them that always begins anew
import hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
def pub25519(seed): return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
def pubx(secret): return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
def sign(seed, m): return Ed25519PrivateKey.from_private_bytes(seed).sign(m)
LISTS, DATA, LOG, AUTHORITY = (derive(c, ROOT) for c in ("lists recipient", "data recipient", "log signature", "authority signature"))
V["roles.lists.public"], V["roles.data.public"], V["roles.log.public"], V["roles.authority.public"] = pubx(LISTS), pubx(DATA), pub25519(LOG), pub25519(AUTHORITY)
GEAR_ROLES = derive("gear table", derive("gear seed", ROOT), 2048); V["roles.gear.blake3"] = blake3(GEAR_ROLES).digest()
def dprefix(kind, cipher): return b"SFARC\0" + bytes([kind, 1, 2, cipher]) + u16(0) + u32(364)
def shared(kind, cipher, n):
    name = {1: "names", 2: "lists", 3: "data"}[n]
    return bytes([1, n]) + u16(0) + NONCE + bytes(20) + aead(cipher, derive(f"{name} {kind}", ROOT)).encrypt(NONCE, KEY, dprefix(kind, cipher) + bytes([n])) + derive("key commitment", KEY)
def dheader(kind, cipher): return dprefix(kind, cipher) + b"".join(shared(kind, cipher, n) for n in (1, 2, 3))
def dsection(kind, cipher, sec, ordinal, plain):
    n = u32(sec) + u64(ordinal)
    return aead(cipher, KEY).encrypt(n, plain, dprefix(kind, cipher) + n)
def hpke_seal(public, ephemeral, info, aad, plain):
    """RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305."""
    ex = lambda suite, salt, label, ikm: hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")
    ep = lambda suite, prk, label, i, n: hmac.digest(prk, n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + i + b"\1", "sha256")[:n]
    enc, dh = pubx(ephemeral), X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(public))
    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\1\0\3"
    ss = ep(kem, ex(kem, b"", b"eae_prk", dh), b"shared_secret", enc + public, 32)
    sched = b"\0" + ex(suite, b"", b"psk_id_hash", b"") + ex(suite, b"", b"info_hash", info)
    prk = ex(suite, ss, b"secret", b"")
    return enc, ChaCha20Poly1305(ep(suite, prk, b"key", sched, 32)).encrypt(ep(suite, prk, b"base_nonce", sched, 12), plain, aad)
V["roles.header.pack"] = dheader(2, 1)
enc, ct = hpke_seal(pubx(DATA), seq(0x20, 32), b"sfarc 2026-11-28 envelope", dprefix(2, 1) + b"\3", KEY)
V["roles.envelope.recipient"] = b"\2\3" + u16(0) + enc + ct + derive("key commitment", KEY)
foreign = dprefix(2, 1) + V["roles.envelope.recipient"]
V["roles.directory"] = V["directory"] + u32(1) + foreign + u16(1) + u32(77) + u16(0) + u32(0)
def dsnapshot(rec, roots, seed, previous):
    r, t = dsection(4, 2, 1, 0, pub25519(seed) + rec), dsection(4, 2, 7, 0, pub25519(seed) + roots)
    o = dheader(4, 2) + u32(len(r)) + u32(len(t)) + r + t
    m = b"sfarc 2026-11-28 snapshot\0" + REPO + pub25519(seed) + previous + H(o)
    return o + dsection(4, 2, 8, 0, u16(1) + pub25519(seed) + previous + sign(seed, m))
V["roles.roots"] = u16(1) + seq(0x60, 16) + many([u64(160) + opt(LROOT), u64(0) + opt(None)])
V["roles.snapshot"] = dsnapshot(man, V["roles.roots"], AUTHORITY, bytes(32))
g = sealed(6, 1, dead)
V["roles.gc1"] = g + section(6, 1, 8, 0, u16(1) + sign(LOG, b"sfarc 2026-11-28 gc record\0" + REPO + H(g)))
w = u16(1) + pub25519(seq(0x30, 32)) + text("pod") + i64(5) + opt(many([seq(0x10, 32)]))
V["roles.record.writer"] = w + sign(AUTHORITY, b"sfarc 2026-11-28 writer\0" + REPO + w + bytes(64))
V["roles.record.key"] = u16(1) + REPO + b"\2" + text("auditor") + i64(6) + many([text("names 4") + seq(1, 32), text("wrap 1") + seq(2, 32)])
V["roles.config"] = b"SFARCREP" + u32(1) + u64(1) + u64(0) * 2 + REPO + u32(0) + sealed(1, 1, u16(1) + u64(1) + u64(0) * 2 + REPO + i64(1_800_000_000_000_000_000) + text("sfarc 0.1.0"))

V["fingerprint"] = derive("fingerprint", ROOT + REPO + bytes(24))[:16]
manifest, gc_object = b"a manifest", b"a record"
V["bundle"] = (b"sfarcgt1" + u32(2) + b"\0" + H(manifest) + u32(len(manifest)) + b"\1" + u64(7) + bytes(24) + u32(len(gc_object))
    + manifest + gc_object)
# The proof that a copy in repository 80..8f is one of the snapshot above, as if its chunk lists had the same names there.
def proven(name, length, digest, root): return blob(name) + u64(length) + digest + opt(root) + b"\0"
V["key.copy_proof"] = derive("copy proof", ROOT)
V["copy_proof"] = blake3(seq(0x80, 16) + H(V["repo.snapshot"]) + text(H(V["repo.snapshot"]).hex()) + u64(2)
    + proven(b"counter", 160, H(body), LROOT) + proven(b"empty", 0, H(b""), None), key=V["key.copy_proof"]).digest()
V["record.slot.passphrase.v2"] = slot(u32(0) + u32(32) + u32(1) + u32(2), 1, PASS, 2)
V["record.slot.key_file.v2"] = slot(u32(1), 2, FILEKEY, 2)

VECTORS = Path(__file__).parent.parent / "vectors"
def write(name, value):
    (VECTORS / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

if __name__ == "__main__":
    write("format.json", {name: value.hex() for name, value in V.items()})
