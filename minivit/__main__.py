"""The command line: ``python -m minivit train | sweep | eval | analyze | data | bench | plan``."""

import argparse
import contextlib
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator

from minivit.arguments import OF_DATA, OF_MODEL, parse, read_classes, read_overrides, read_value
from minivit.data import DataError, Dataset, data_root, fetch, load
from minivit.data.broken import LIMIT, find_broken
from minivit.data.class_sorter import sort_into_classes
from minivit.data.decode import ignore_warnings
from minivit.data.registry import OWN
from minivit.data.shard_writer import write_shards
from minivit.files import user_path
from minivit.tasks import find_task
from minivit.training import (
    CheckpointError,
    Stopped,
    Trained,
    TrainingError,
    choose_data,
    load_config,
    load_data,
    load_published,
    load_trained,
    parallel,
    train,
)
from minivit.training.config import merge
from minivit.training.device import choose_device, failure

SIGPIPE = 13  # Windows has no such signal
OF_SHARDS = ("size_mb", "seed")  # options for writing them


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; errors that a user can fix are printed in one line."""
    options = parse(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # printing a Greek letter or a class's name must not fail
        sys.stdout.reconfigure(errors="backslashreplace")  # where the output's encoding lacks a character
    try:
        with told_to_the_user(options.level):
            COMMANDS[options.command](options)
            print(end="", flush=True)  # fail here, where it can be told, rather than at the end
    except Stopped as stopped:
        resume = " and --resume" if "resume" in options else ""  # a sweep always resumes
        if parallel.is_first():
            tell(f"stopped by {stopped} and saved; go on with the same command{resume}")
        return 128 + stopped.signum
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except BrokenPipeError:  # nobody reads on, as in `minivit ... | head`
        drop_output()
        return 128 + SIGPIPE
    except (ValueError, DataError, CheckpointError, TrainingError, RuntimeError, OSError) as error:
        if isinstance(error, OSError):
            drop_output()
        reason = failure(error) if isinstance(error, RuntimeError) else error
        if reason is None or os.environ.get("MINIVIT_TRACEBACK"):
            raise
        message = f"error: {' '.join(str(reason).split())}"
        if parallel.tells(message):  # print an error of many processes once
            tell(message)
        return 1
    finally:
        parallel.leave()
    return 0


def run_train(options: argparse.Namespace) -> None:
    parallel.join(choose_device(options.device, many=True))  # so that errors are printed once
    config = load_config(options.recipe).override(**read_overrides(options))
    history = train(config, options.out, root=options.data, resume=options.resume, device=options.device)
    last = history[-1]
    if not parallel.is_first():
        return
    print(f"{config.model}, {len(history)} epochs, {last['time_s']:.0f} s: "
          f"{find_task(config.task).read(last)}; everything is in {options.out}")


def run_sweep(options: argparse.Namespace) -> None:
    from minivit.report.halving import halve
    from minivit.report.sweep import sweep, table

    what = options.recipe, options.out, read_value("seeds", options.seeds)
    how = {"names": options.variants, "overrides": read_overrides(options), "root": options.data,
           "device": options.device, "tell": tell}
    if halvings := read_value("halvings", options.halvings):
        best = halve(*what, halvings=halvings, report=lambda rows: print(table(rows), flush=True), **how)
        print(f"\nBest first: {', '.join(best)}")
    else:
        print(table(sweep(*what, compare=not options.no_comparison, **how)))


def run_eval(options: argparse.Namespace) -> None:
    from minivit.report.evaluation import evaluate_under  # the other commands need none of it

    numbers = {name: read_value(name, getattr(options, name)) for name in ("epsilon", "seed", "batch_size")}
    trained, classes = choose_trained(options)
    config, (model, dataset) = trained.config, load_data(trained, options.data, classes, options.labels)
    chosen = "" if classes is None else f", {dataset.num_classes} classes"
    for name, metrics in evaluate_under(model.to(choose_device(options.device)), dataset, options.conditions,
                                        precision=config.precision, task=config.task, **numbers):
        condition = "" if name == "clean" else f", {name}"
        print(f"{config.model} on {dataset.test.num_read} test images of {dataset.name}{chosen}{condition}: "
              f"{find_task(config.task).read(metrics)}, loss {metrics['test_loss']:.4f}", flush=True)


def choose_trained(options: argparse.Namespace) -> tuple[Trained, list[str] | None]:
    """Return the run or the published weights that are named, and the classes to choose among."""
    overrides = merge({}, read_overrides(options, OF_DATA | OF_MODEL))
    published = options.weights is not None
    if published == (options.checkpoint is not None) or published != ("model" in overrides):
        raise ValueError(f"name a trained model: {options.command} CHECKPOINT, or {options.command} --weights FILE "
                         "--model NAME --classes FILE")
    if published:
        names, options.classes = read_classes(options.classes) or None, None
        return load_published(options.weights, classes=names, **overrides), wanted_classes(options)
    return choose_data(load_trained(options.checkpoint), **overrides), wanted_classes(options)


def wanted_classes(options: argparse.Namespace) -> list[str] | None:
    """Return the classes to choose among: empty for those that the data set has, None for all of the model's."""
    if options.subset and options.classes:
        raise ValueError("--classes names classes, --subset takes all that the data set has: leave out one of the two")
    return [] if options.subset else read_classes(options.classes)


def run_analyze(options: argparse.Namespace) -> None:
    from minivit.report.folder import place_for, report, table  # the other commands need none of it

    trained, classes = choose_trained(options)
    out = options.out or place_for(options.checkpoint or options.weights)
    result, out = report(trained, out, root=options.data, device=options.device, classes=classes,
                         **{name: read_value(name, getattr(options, name)) for name in ("images", "epsilon", "seed")})
    print(table(result))
    print(f"\n{result['config']['model']} on {result['images']} test images of {result['config']['dataset']}, "
          f"FGSM of {result['epsilon']:g}; everything is in {out}")


def run_data(options: argparse.Namespace) -> None:
    check_data_options(options)
    if options.labels is not None:
        images, classes = sort_into_classes(*(user_path(getattr(options, name), name) for name in
                                              ("source", "labels", "target")), copy=options.copy)
        print(f"imagefolder: {images} images {'copied' if options.copy else 'linked'} into {classes} class folders in "
              f"{options.target}")
        return
    root = options.target or options.data
    if options.source is not None:
        numbers = {name: read_value(name, getattr(options, name)) for name in OF_SHARDS if name in options}
        write_shards(data_root(options.source), data_root(root), **numbers)
    fetch(options.name, root)
    if options.name not in OWN or options.check or data_root(root).is_dir():
        dataset = load(options.name, root)
        print(f"{options.name}: {len(dataset.train)} training and {len(dataset.test)} test images of shape "
              f"{dataset.image_shape}, {dataset.num_classes} classes")
        if options.check:
            check_images(dataset)


def check_data_options(options: argparse.Namespace) -> None:
    """Raise an error unless the options go together: images are sorted, or written to shards, or neither."""
    sorts, folders = options.labels is not None, (options.source, options.target)
    whole = None not in folders and options.data is None
    idle = [name for name in OF_SHARDS if name in options and (options.name != "shards" or options.source is None)]
    if options.copy and not sorts:
        raise ValueError("--copy does nothing without --labels: leave it out")
    if idle:
        raise ValueError(f"--{idle[0].replace('_', '-')} does nothing without shards --from: leave it out")
    if sorts and not (whole and options.name == "imagefolder"):
        raise ValueError("--labels needs imagefolder, --from and --to, without --data: python -m minivit data "
                         "imagefolder --from DIR --labels FILE --to DIR/val")
    if not sorts and folders != (None, None) and not (whole and options.name == "shards"):
        raise ValueError("--from DIR and --to DIR go together, without --data: python -m minivit data shards "
                         "--from DIR --to DIR, or data imagefolder --from DIR --labels FILE --to DIR/val")


def check_images(dataset: Dataset) -> None:
    """Print the broken images of a data set; raise an error if no run could use it."""
    found = {name: find_broken(getattr(dataset, name)) for name in ("train", "test")}
    for name, broken in found.items():
        print(*broken.errors.values(), f"{name}: {broken}", sep="\n")
    if many := [name for name, broken in found.items() if len(broken) > LIMIT * broken.total]:
        raise DataError(f"too many images of {dataset.name} ({', '.join(many)}) cannot be read: replace or delete them")


def run_bench(options: argparse.Namespace) -> None:
    from minivit.bench import decoding  # the other commands need none of it
    from minivit.bench.models import bench, table
    from minivit.bench.recipes import bench_recipe

    chosen = {name: getattr(options, name) for name in ("models", "batch_size", "precision", "compiled", "recorded")
              if name in options}
    common = {"device": options.device, "rounds": read_value("rounds", options.rounds)}
    if options.decode:
        if others := [*chosen, *(name for name in ("recipe", "variants", "data", "kernels") if getattr(options, name))]:
            raise ValueError(f"{', '.join(others)} and --decode do not go together: it reads JPEGs of its own")
        result, table = decoding.bench_decoding(rounds=common["rounds"]), decoding.table
    elif options.recipe is None:
        if needless := options.settings + [f"--variants {name}" for name in options.variants or ()]:
            raise ValueError(f"{' '.join(needless)} needs --recipe")
        if "batch_size" in chosen:
            chosen["batch_size"] = read_value("batch_size", chosen["batch_size"])
        result = bench(**chosen, **common, kernels=options.kernels, tell=tell)
    elif chosen:
        raise ValueError(f"{', '.join(chosen)} and recipe={options.recipe!r} do not go together: the recipe says what "
                         "is run")
    else:
        result = bench_recipe(options.recipe, names=options.variants, overrides=read_overrides(options, ()),
                              root=options.data, kernels=options.kernels, **common)
    print(json.dumps(result) if options.json else table(result))


def run_plan(options: argparse.Namespace) -> None:
    from minivit.bench.plan import plan, table  # the other commands need none of it

    numbers = ("gpus", "images_per_second", "decode_per_core", "cores", "price", "watts")
    result = plan(load_config(options.recipe).override(**read_overrides(options)), root=options.data,
                  **{name: read_value(name, getattr(options, name)) for name in numbers})
    print(json.dumps(result) if options.json else table(result, options.recipe))


COMMANDS = {"train": run_train, "sweep": run_sweep, "eval": run_eval, "analyze": run_analyze, "data": run_data,
            "bench": run_bench, "plan": run_plan}


def drop_output() -> None:
    """Discard what can't be printed, if anything: Python would try again when it ends, and complain."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(message: str) -> None:
    print(f"minivit: {message}", file=sys.stderr)


@contextlib.contextmanager
def told_to_the_user(least: int) -> Iterator[None]:
    """Print log messages of the package, from this level on, in the format of the command line; none of Pillow's."""
    handler = logging.Handler(least)
    handler.emit = lambda record: tell(record.getMessage())
    logger = logging.getLogger("minivit")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(least)
    logger.propagate = False
    try:
        with warnings.catch_warnings():
            ignore_warnings()
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


if __name__ == "__main__":
    sys.exit(main())
