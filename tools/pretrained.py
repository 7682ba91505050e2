"""Put trained models into the package: the weights of whole runs in float16, and where they come from.

    python -m tools.pretrained runs/NAME/seed0 runs/NAME_cb/seed0

The records of the runs stand under results/ before.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from minivit.models.pretrained import weights_path
from minivit.training import RESULTS, CheckpointError, load_trained, read_record
from minivit.training.checkpoint import WEIGHTS, pack_weights
from minivit.training.files import write_whole
from minivit.training.record import RUN

LIMIT_MB = 3  # a clone fetches every version there ever was


def pack(run: Path) -> Path:
    """Write the package's file of a run, and return its path.

    Parameters
    ----------
    run
        Folder of the run, with its record and ``model.safetensors``.

    Raises
    ------
    ValueError
        If the run is not whole, its record is not under ``results/``, or its file would be too large.
    CheckpointError
        If its weights cannot be read, or the file cannot be written.
    """
    record = read_record(run)
    epochs, history = record[0]["config"]["epochs"], record[1]
    if len(history) < epochs:
        raise ValueError(f"{run} has {len(history)} of its {epochs} epochs; finish it with --resume")
    kept = [path.parent for path in sorted(RESULTS.rglob(RUN)) if read_record(path.parent) == record]
    if not kept:
        raise ValueError(f"{run} has no copy of its record in {RESULTS}; see how to add one in results/README.md")
    model, config, data = load_trained(run / WEIGHTS)
    header = {"config": json.dumps(asdict(config)), "record": kept[0].relative_to(RESULTS).as_posix(),
              "test_top1": json.dumps(history[-1]["test_top1"])}
    if data:
        header["data"] = json.dumps(asdict(data))
    content = pack_weights({name: tensor.half() for name, tensor in model.state_dict().items()}, header)
    if len(content) > LIMIT_MB * 1e6:
        raise ValueError(f"{run} would take {len(content) / 1e6:.1f} MB, more than {LIMIT_MB} MB; take a smaller model")
    path = weights_path(config.model, config.model_options.get("context", "none"))
    path.parent.mkdir(exist_ok=True)
    write_whole(path, lambda part: part.write_bytes(content))
    return path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_FOLDER", help="a run that has ended")
    for run in parser.parse_args(arguments).runs:
        try:
            path = pack(run)
        except (ValueError, CheckpointError) as error:
            raise SystemExit(str(error)) from None
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
