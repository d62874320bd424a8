#!/usr/bin/env python3
"""Runs the whole repositories of tests/vectors, and what must be refused of them, against sfarc_reader.py.

Usage: run_vectors.py [WORD]: only those with the word in their names. Ends with 1 if one ended otherwise than it should.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import sfarc_reader as reader

VECTORS = Path(__file__).parent.parent / "vectors"
Files = dict[str, str]


def put(folder: Path, files: Files) -> None:
    for path, stored in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bytes.fromhex(stored))


def refused(folder: Path, secrets: reader.Secrets, least: int, read: dict[str, str]) -> str:
    """The largest thing that is not read, and into `read` what the streams hold."""
    try:
        repository = reader.Repository(folder, secrets)
        snapshots, wrong = repository.snapshots()
    except reader.Damage as damage:
        print("repository:", damage)
        return "repository"
    if wrong or len(snapshots) < least:
        print("snapshot:", wrong)
        return "snapshot"
    try:
        for snapshot in snapshots:
            for stream in snapshot.streams:
                read[stream.name.decode()] = b"".join(repository.content(stream.content)).hex()
                reader.check_catalog(repository, stream)
    except reader.Damage as damage:
        print("stream:", damage)
        return "stream"
    return "nothing"


def run(files: Files, secrets: reader.Secrets, least: int) -> tuple[str, dict[str, str], str]:
    said, read = io.StringIO(), {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        put(Path(folder), files)
        return refused(Path(folder), secrets, least, read), read, said.getvalue().strip()


def of_snapshots(files: Files) -> int:
    """Snapshots that are listed: fences are shorter."""
    return sum(path.startswith("snapshots/") and len(stored) != 2 * reader.FENCE_LENGTH for path, stored in files.items())


def ways_in(base: dict) -> dict[str, reader.Secrets]:
    """Each secret of a repository, as it is given."""
    ways = {"passphrase": reader.Secrets(password=base["secrets"]["passphrase"].encode())}
    if "key file" in base["secrets"]:
        ways["key file"] = reader.Secrets(key_file=bytes.fromhex(base["secrets"]["key file"]))
        fingerprint = bytes.fromhex(json.loads((VECTORS / "format.json").read_text())["fingerprint"])
        identity = reader.parse_identity(base["secrets"]["identity"])
        ways["identity"] = reader.Secrets(identity=identity, fingerprint=fingerprint)
    return ways


def is_refused(case: dict, base: dict) -> bool:
    """True if a value is refused that lies in no folder."""
    value, ways = case["value"], ways_in(base)
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), base["files"])
        try:
            if case["kind"] == "fingerprint":
                fingerprint = bytes.fromhex(value) if value else None
                reader.Repository(Path(folder), ways["identity"]._replace(fingerprint=fingerprint))
                return False
            repository = reader.Repository(Path(folder), ways["passphrase"])
            if case["kind"] == "bundle":
                reader.read_bundle(bytes.fromhex(value))
            elif case["kind"] == "roots":
                repository.roots(bytes.fromhex(value))
            else:
                reader.read_role_key(value, repository)
        except reader.Damage:
            return True
    return False


def main() -> int:
    word, failures, ran = (sys.argv[1:] + [""])[0], 0, 0
    bases = json.loads((VECTORS / "repositories.json").read_text())
    cases = json.loads((VECTORS / "refused.json").read_text())
    for name, base in bases.items():
        for way, secrets in ways_in(base).items():
            ended, read, said = run(base["files"], secrets, of_snapshots(base["files"]))
            ran += 1
            if ended != "nothing" or read != base["streams"]:
                failures += 1
                print(f"{name} with {way}: refused {ended}: {said}")
    for case in cases["repositories"]:
        label = f"{case['rule']} {case['name']} ({case['base']})"
        if word not in label:
            continue
        base = bases[case["base"]]
        files = {path: stored for path, stored in (base["files"] | case["change"]).items() if stored is not None}
        ended, _, said = run(files, ways_in(base)["passphrase"], of_snapshots(base["files"]))
        ran += 1
        if ended != case["refused"]:
            failures += 1
            print(f"{label}: refused {ended}, not {case['refused']}: {said}")
        elif word:
            print(f"{label}: {ended}: {said}")
    for case in cases["values"]:
        ran += 1
        if is_refused(case, bases[case["base"]]) != case["refused"]:
            failures += 1
            print(f"{case['rule']} {case['name']}: refused or not, and should not or should")
    print(f"{ran} ran, {failures} ended otherwise than they should")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
