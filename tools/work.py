"""Put the learner's edition into ``work/``, where readers do the exercises, without touching what they have done.

A copy that is as it was put there is renewed with the edition. One that its reader has changed stays as it is; if the
edition has changed too, this is said, and where the new one is.
"""

import argparse
import hashlib
import json
from pathlib import Path

from tools.editions import main as write_editions
from tools.notebooks import replace
from tools.paths import BUILD, ROOT

WORK, LEARNER = ROOT / "work", BUILD / "editions" / "learner"
PUT = ".put.json"  # digests of the copies as they were put there


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def update(work: Path, edition: Path) -> list[str]:
    """Copy each notebook of an edition that isn't there or hasn't been changed; return the names of those kept.

    Parameters
    ----------
    work
        The reader's folder. It is made if needed, and nothing in it is removed.
    edition
        Folder with the notebooks as they are now.

    Returns
    -------
    list of str
        Copies that the reader has changed, and that are not of the edition as it is now.
    """
    record = work / PUT
    put = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    kept = []
    for new in sorted(edition.rglob("*.ipynb")):
        name = new.relative_to(edition).as_posix()
        copy, now = work / name, digest(new)
        if copy.exists() and digest(copy) not in (put.get(name), now):
            kept += [name] if put.get(name) != now else []
            continue
        replace(copy, new.read_text(encoding="utf-8"))
        put[name] = now
        replace(record, json.dumps(put, indent=1, sort_keys=True) + "\n")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=WORK, help="where the copies go; work/ if not given")
    parser.add_argument("--built", action="store_true", help="take the edition that `make editions` wrote")
    options = parser.parse_args()
    if not options.built:
        write_editions()
    kept = update(options.folder, LEARNER)
    print(f"Your copies are in {options.folder}; the chapters with their solutions are in {ROOT / 'book'}.")
    for name in kept:
        print(f"  {options.folder / name} is as you left it. The chapter has changed since: compare {LEARNER / name},\n"
              f"  or rename yours, and the new one is put in its place next time.")


if __name__ == "__main__":
    main()
