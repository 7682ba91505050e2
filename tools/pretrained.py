"""Put trained models into the package, or prepare them for a release: weights in float16, and their origin.

    python -m tools.pretrained runs/NAME/seed0 runs/NAME_cb/seed0
    python -m tools.pretrained --release runs/NAME/seed0 runs/NAME_cb/seed0

The records of the runs must be in results/ first. With --release the files are written to _build/release, ready to be
uploaded, and each gets an entry with its checksum in minivit/models/weights/published.json. Once they are uploaded, the
same command with the address of their folder, such as

    --url https://github.com/OWNER/NAME/releases/download/TAG

adds the address to the entries.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from minivit.models import pretrained
from minivit.models.pretrained import Asset, Pretrained, read_header, weights_path
from minivit.training import RESULTS, CheckpointError, load_trained, read_record
from minivit.training.checkpoint import WEIGHTS, pack_weights
from minivit.training.files import write_json, write_whole
from minivit.training.record import RUN
from tools.paths import RELEASE

LIMIT_MB = 3  # a clone fetches every version that was ever committed
RELEASE_LIMIT_MB = 12


def pack(run: Path, release: Path | None = None) -> Path:
    """Write the weights file of a run, and return its path.

    Parameters
    ----------
    run
        Folder of the run, with its record and ``model.safetensors``.
    release
        Folder for the file, whose name then ends in the first digits of its checksum; None for the package.

    Raises
    ------
    ValueError
        If the run is not finished, its record is not under ``results/``, or its file would be too large.
    CheckpointError
        If its weights cannot be read, or the file cannot be written.
    """
    record = read_record(run)
    epochs, history = record[0]["config"]["epochs"], record[1]
    if len(history) < epochs:
        raise ValueError(f"{run} has {len(history)} of its {epochs} epochs; finish it with --resume")
    kept = [path.parent for path in sorted(RESULTS.rglob(RUN)) if read_record(path.parent) == record]
    if not kept:
        raise ValueError(f"{run} has no copy of its record in {RESULTS}; results/README.md says how to add one")
    model, config, data = load_trained(run / WEIGHTS)
    header = {"config": json.dumps(asdict(config)), "record": kept[0].relative_to(RESULTS).as_posix(),
              "test_top1": json.dumps(history[-1]["test_top1"])}
    if data:
        header["data"] = json.dumps(asdict(data))
    content = pack_weights({name: tensor.half() for name, tensor in model.state_dict().items()}, header)
    limit_mb, way_out = (RELEASE_LIMIT_MB, "") if release else (LIMIT_MB, ", or --release")
    if len(content) > limit_mb * 1e6:
        raise ValueError(f"{run} would take {len(content) / 1e6:.1f} MB, more than {limit_mb} MB; use a smaller model"
                         f"{way_out}")
    path = weights_path(config.model, config.model_options.get("context", "none"))
    if release:
        path = release / f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}{path.suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda part: part.write_bytes(content))
    return path


def enter(path: Path, url: str | None) -> Pretrained:
    """Add a file of a release to the package's table, in place of any earlier file of the same model.

    Parameters
    ----------
    path
        The file.
    url
        Address of the folder that the file was uploaded to; None if it hasn't been.
    """
    content = path.read_bytes()
    asset = Asset(url and f"{url.rstrip('/')}/{path.name}", hashlib.sha256(content).hexdigest(), len(content))
    entry = replace(read_header(path), asset=asset)
    others = [it for it in pretrained.read_table() if (it.name, it.options) != (entry.name, entry.options)]
    table = pretrained.FOLDER / pretrained.TABLE
    table.parent.mkdir(exist_ok=True)
    write_json(table, [asdict(it) for it in sorted([*others, entry], key=lambda it: it.file)])
    return entry


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_FOLDER", help="folder of a finished run")
    parser.add_argument("--release", action="store_true",
                        help="write files to upload, and add them to the package's table")
    parser.add_argument("--url", metavar="ADDRESS", help="address of the folder that they were uploaded to")
    options = parser.parse_args(arguments)
    if options.url and not options.release:
        parser.error("--url needs --release")
    for run in options.runs:
        try:
            path = pack(run, RELEASE if options.release else None)
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
            if options.release:
                asset = enter(path, options.url).asset
                print(f"  {asset.num_bytes} bytes, sha256 {asset.sha256}, "
                      f"{asset.url or 'to be uploaded; then run this again with --url'}")
        except (ValueError, CheckpointError) as error:
            raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
