"""The command line: ``python -m minivit train | sweep | eval | analyze | data | bench | plan``."""

import argparse
import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from minivit.arguments import add_flag, read_classes, read_overrides, read_value
from minivit.data import DataError, Dataset, data_root, fetch, list_datasets, load
from minivit.data.broken import LIMIT, find_broken
from minivit.data.class_sorter import sort_into_classes
from minivit.data.registry import OWN
from minivit.data.shard_writer import write_shards
from minivit.options import folder_path
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
from minivit.training.config import FIELDS, GROUPS, merge
from minivit.training.device import choose_device, failure

OF_DATA = {"dataset": "imagefolder, shards, ...; the run's by default, imagefolder for published weights",
           "dataset_options": "such as crop_pct=0.9 interpolation=bilinear mean=0.5,0.5,0.5 preprocessing=config.json"}
OF_MODEL = {"model": "model of the weights, by our name or timm's: deit_small_patch16_224 is our vit_small_patch16_224",
            "model_options": "such as image_size=384"}
DEVICE_HELP = "cpu, cuda, ...; by default an accelerator if there is one"


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; errors that a user can fix are printed in one line."""
    options = parse(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # printing a Greek letter or a class's name must not fail
        sys.stdout.reconfigure(errors="backslashreplace")  # where the output's encoding lacks a character
    try:
        with told_to_the_user(options.level):
            options.run(options)
    except Stopped as stopped:
        resume = " and --resume" if "resume" in options else ""  # a sweep always resumes
        if parallel.is_first():
            tell(f"stopped by {stopped} and saved; go on with the same command{resume}")
        return 128 + stopped.signum
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except (ValueError, DataError, CheckpointError, TrainingError, RuntimeError) as error:
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


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; ``KEY=VALUE`` may also come between or after options, which argparse doesn't support."""
    parser = create_parser()
    options, others = parser.parse_known_args(arguments)
    if wrong := [word for word in others if "settings" not in options or word.startswith("-") or "=" not in word]:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    if others:
        options.settings = [*options.settings, *others]
    return options


def create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m minivit", description="Vision Transformers from scratch.",
                                     epilog="MINIVIT_DATA names the folder with the data sets where --data does not; "
                                            "MINIVIT_TRACEBACK=1 shows where an error came from.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, summary: str, data: bool = True, level: int = logging.WARNING
                ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        sub.set_defaults(run=run, level=level)
        if data:
            sub.add_argument("--data", metavar="DIR", help="folder with the data sets")
        return sub

    def trained_command(name: str, run: Any, summary: str, nargs: str | None = None) -> argparse.ArgumentParser:
        sub = command(name, run, summary)
        sub.add_argument("checkpoint", metavar="CHECKPOINT", nargs=nargs,
                         help="a run's folder, its model.safetensors or checkpoint.pt")
        sub.add_argument("--device", default="auto", help=DEVICE_HELP)
        sub.add_argument("--classes", metavar="NAME", nargs="*", help="restrict model and images to these of the "
                         "model's classes, or to those in a file with one name per line; without a name, to those "
                         "that the data set has")
        sub.add_argument("--subset", action="store_true", help="restrict the model to the classes that the data set "
                         "has, as ImageNet-A is scored")
        return sub

    def training_command(name: str, run: Any, summary: str, without: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        sub = command(name, run, summary)
        sub.add_argument("recipe", metavar="RECIPE", help="recipes/NAME.py, or a run.json")
        sub.add_argument("settings", metavar="KEY=VALUE", nargs="*",
                         help="replace values of the recipe, under any of the names below, with or without the group, "
                         "such as optimizer.learning_rate=1e-3 or model_options.context=cb. Values are written as in "
                         "JSON or Python: null or None, [0,1] or (0,1)")
        sub.add_argument("--out", metavar="DIR", required=True, help="folder for the record, checkpoint and weights")
        sub.add_argument("--device", default="auto", help=DEVICE_HELP)
        for group, its in GROUPS.items():
            section = sub.add_argument_group(group, its.__doc__)
            for field_name, field in its.__pydantic_fields__.items():
                if field_name not in without:
                    add_flag(section, field_name, field)
        return sub

    sub = training_command("train", run_train, "train a model from a recipe, or again from the run.json of an earlier "
                           "run")
    sub.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out, if there is one")

    sub = training_command("sweep", run_sweep, "train every variant of a recipe with every seed, each in VARIANT/seedN "
                           "below --out, and sum up; the same command again continues where it stopped",
                           without=("seed",))
    sub.add_argument("--seeds", metavar="N", nargs="+", default=["0"], help="seeds of every variant; 0 by default")
    sub.add_argument("--variants", metavar="NAME", nargs="+", help="variants to train; all by default")

    sub = trained_command("eval", run_eval, "measure a trained model, or published weights, on test images: those of "
                          "its run, or of a folder DIR/CLASS/*.jpg or DIR/val/CLASS/*.jpg. Classes that are numbers, "
                          "as in ImageNet-V2, are positions among the model's, counted from 0", nargs="?")
    sub.add_argument("--labels", metavar="FILE", help="ImageNet-ReaL's real.json: any class that it gives an image is "
                     "right, and images without one are left out")
    sub.add_argument("--conditions", metavar="NAME", nargs="+", default=(), help="measure also on images made harder "
                     "to recognise: centre_occlusion, fgsm, gaussian_noise_5, gaussian_noise_10, shot_noise, "
                     "gaussian_blur_1, gaussian_blur_2")
    sub.add_argument("--epsilon", metavar="E", default="1", help="step of fgsm, in 255ths; 1 by default")
    sub.add_argument("--seed", metavar="N", default="0", help="seed of the noise; 0 by default")
    sub.add_argument("--batch-size", metavar="N", default="100", help="images at a time; 100 by default")
    section = sub.add_argument_group("data", "other images than the run's, or another way to prepare them")
    for field, about in OF_DATA.items():
        add_flag(section, field, FIELDS[field], about)
    section = sub.add_argument_group("published weights", "instead of CHECKPOINT. A config.json beside the file, in "
                                     "the format of timm or transformers, says how to prepare images; without one it "
                                     "is as for DeiT")
    section.add_argument("--weights", metavar="FILE", help="weights with timm's names, in .safetensors or as "
                         "torch.save writes them; --classes then names their logits, in a file with one name per "
                         "line")
    for field, about in OF_MODEL.items():
        add_flag(section, field, FIELDS[field], about)

    sub = trained_command("analyze", run_analyze, "measure a trained model's attention and robustness, and draw both")
    sub.add_argument("--out", metavar="DIR", help="folder for analysis.json and the figures; analysis in the run's "
                     "folder by default")
    sub.add_argument("--images", metavar="N", default="null", help="test images, drawn by the seed; all by default")
    sub.add_argument("--epsilon", metavar="E", default="1", help="step of the attack (FGSM), in 255ths; 1 by default")
    sub.add_argument("--seed", metavar="N", default="0", help="seed of the images and the noise; 0 by default")

    sub = command("data", run_data, "download a data set and print what is in it", level=logging.INFO)
    sub.add_argument("name", metavar="NAME", help=", ".join(list_datasets()))
    sub.add_argument("--from", dest="source", metavar="DIR", help="for shards: write them first, from this folder with "
                     "train/CLASS/*.jpg and test/CLASS/*.jpg, or val. For imagefolder: sort the images in this folder, "
                     "such as ILSVRC2012_img_val, into class folders")
    sub.add_argument("--to", dest="target", metavar="DIR", help="folder for the shards, or for the class folders, such "
                     "as IMAGENET/val")
    sub.add_argument("--labels", metavar="FILE", help="with imagefolder and --from: the folder of ImageNet's devkit, "
                     "or a file with the class of one image per line, such as its WordNet id")
    sub.add_argument("--copy", action="store_true", help="with --labels: copy the images; by default they are linked")
    sub.add_argument("--check", action="store_true", help="read all images, and list those that cannot be read")
    sub.add_argument("--size-mb", metavar="N", default="100", help="megabytes per shard, approximately; 100 by default")
    sub.add_argument("--seed", metavar="N", default="0", help="seed of the order in the shards; 0 by default")

    sub = command("bench", run_bench, "compare the speed of our models with timm's and vit-pytorch's, or of the "
                  "variants of a recipe")
    sub.add_argument("--models", metavar="NAME", nargs="+", default=argparse.SUPPRESS,
                     help="models; vit_tiny_patch4_32 by default")
    sub.add_argument("--batch-size", metavar="N", default=argparse.SUPPRESS, help="images per step; 64 by default")
    sub.add_argument("--precision", default=argparse.SUPPRESS, help="float32 (default), or bfloat16 for autocast")
    sub.add_argument("--compile", dest="compiled", action="store_true", default=argparse.SUPPRESS,
                     help="compile the blocks of every model with torch.compile")
    sub.add_argument("--cuda-graph", dest="recorded", action="store_true", default=argparse.SUPPRESS,
                     help="record every step as a CUDA graph, on an NVIDIA GPU")
    sub.add_argument("--recipe", metavar="RECIPE", help="instead of models: recipes/NAME.py, whose variants take "
                     "exactly the steps of their runs")
    sub.add_argument("--variants", metavar="NAME", nargs="+", help="variants of the recipe; all by default")
    sub.add_argument("--decode", action="store_true",
                     help="instead of models: how many JPEGs per second one core reads")
    sub.add_argument("--rounds", metavar="N", default="10", help="times to run each model or variant; 10 by default")
    sub.add_argument("--device", default="auto", help=DEVICE_HELP)
    sub.add_argument("--json", action="store_true", help="print one JSON object with all times instead of a table")

    sub = command("plan", run_plan, "say what a run takes on another machine: steps, time, memory, bottleneck, cost")
    sub.add_argument("recipe", metavar="RECIPE", help="recipes/NAME.py, or a run.json")
    sub.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="replace values of the recipe, as for train")
    sub.add_argument("--gpus", metavar="N", default="1", help="GPUs that share each batch; 1 by default")
    sub.add_argument("--images-per-second", metavar="N", required=True, help="that one GPU trains on, as bench "
                     "measures")
    sub.add_argument("--decode-per-core", metavar="N", default="null", help="images that a core decodes in a second; "
                     "without it, decoding keeps up")
    sub.add_argument("--cores", metavar="N", default="null", help="cores that decode, on all machines")
    sub.add_argument("--price", metavar="P", default="null", help="of one GPU for an hour")
    sub.add_argument("--watts", metavar="W", default="1000", help="of one GPU with its share of the machine; 1000 by "
                     "default")
    sub.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return parser


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
    from minivit.report.sweep import sweep, table

    rows = sweep(options.recipe, options.out, read_value("seeds", options.seeds), names=options.variants,
                 overrides=read_overrides(options), root=options.data, device=options.device, tell=tell)
    print(table(rows))


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
    """Return the run or the published weights to evaluate, and the classes to choose among."""
    overrides = merge({}, read_overrides(options, OF_DATA | OF_MODEL))
    published = options.weights is not None
    if published == (options.checkpoint is not None) or published != ("model" in overrides):
        raise ValueError("name what to evaluate: eval CHECKPOINT, or eval --weights FILE --model NAME --classes FILE")
    if published:
        names, options.classes = read_classes(options.classes) or None, None
        return load_published(options.weights, classes=names, **overrides), choose_classes(options)
    return choose_data(load_trained(options.checkpoint), **overrides), choose_classes(options)


def choose_classes(options: argparse.Namespace) -> list[str] | None:
    """Return the classes to choose among: empty for those that the data set has, None for all of the model's."""
    if options.subset and options.classes:
        raise ValueError("--classes names classes, --subset takes all that the data set has: leave out one of the two")
    return [] if options.subset else read_classes(options.classes)


def run_analyze(options: argparse.Namespace) -> None:
    from minivit.report.folder import report, table  # the other commands need none of it

    result, out = report(options.checkpoint, options.out, root=options.data, device=options.device,
                         classes=choose_classes(options),
                         **{name: read_value(name, getattr(options, name)) for name in ("images", "epsilon", "seed")})
    print(table(result))
    print(f"\n{result['config']['model']} on {result['images']} test images of {result['config']['dataset']}, "
          f"FGSM of {result['epsilon']:g}; everything is in {out}")


def run_data(options: argparse.Namespace) -> None:
    root = options.data
    if options.labels is not None:
        if options.name != "imagefolder" or None in (options.source, options.target) or root is not None:
            raise ValueError("--labels needs imagefolder, --from and --to, without --data: python -m minivit data "
                             "imagefolder --from DIR --labels FILE --to DIR/val")
        images, classes = sort_into_classes(*(folder_path(name, getattr(options, name)) for name in
                                              ("source", "labels", "target")), copy=options.copy)
        print(f"imagefolder: {images} images {'copied' if options.copy else 'linked'} into {classes} class folders in "
              f"{options.target}")
        return
    if options.source is not None or options.target is not None:
        if options.name != "shards" or None in (options.source, options.target) or root is not None:
            raise ValueError("--from DIR and --to DIR go together, without --data: python -m minivit data shards "
                             "--from DIR --to DIR, or data imagefolder --from DIR --labels FILE --to DIR/val")
        root = options.target
        write_shards(data_root(options.source), data_root(root),
                     **{name: read_value(name, getattr(options, name)) for name in ("size_mb", "seed")})
    fetch(options.name, root)
    if options.name not in OWN or data_root(root).is_dir():
        dataset = load(options.name, root)
        print(f"{options.name}: {len(dataset.train)} training and {len(dataset.test)} test images of shape "
              f"{dataset.image_shape}, {dataset.num_classes} classes")
        if options.check:
            check_images(dataset)


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
        if others := [*chosen, *(name for name in ("recipe", "variants", "data") if getattr(options, name))]:
            raise ValueError(f"{', '.join(others)} and --decode do not go together: it reads JPEGs of its own")
        result, table = decoding.bench_decoding(rounds=common["rounds"]), decoding.table
    elif options.recipe is None:
        if options.variants:
            raise ValueError(f"--variants {' '.join(options.variants)} needs --recipe")
        if "batch_size" in chosen:
            chosen["batch_size"] = read_value("batch_size", chosen["batch_size"])
        result = bench(**chosen, **common, tell=tell)
    elif chosen:
        raise ValueError(f"{', '.join(chosen)} and recipe={options.recipe!r} do not go together: the recipe says what "
                         "is run")
    else:
        result = bench_recipe(options.recipe, names=options.variants, root=options.data, **common)
    print(json.dumps(result) if options.json else table(result))


def run_plan(options: argparse.Namespace) -> None:
    from minivit.bench.plan import plan, table  # the other commands need none of it

    numbers = ("gpus", "images_per_second", "decode_per_core", "cores", "price", "watts")
    result = plan(load_config(options.recipe).override(**read_overrides(options)), root=options.data,
                  **{name: read_value(name, getattr(options, name)) for name in numbers})
    print(json.dumps(result) if options.json else table(result, options.recipe))


def tell(message: str) -> None:
    print(f"minivit: {message}", file=sys.stderr)


@contextlib.contextmanager
def told_to_the_user(least: int) -> Iterator[None]:
    """Print log messages of the package, from this level on, in the format of the command line."""
    handler = logging.Handler(least)
    handler.emit = lambda record: tell(record.getMessage())
    logger = logging.getLogger("minivit")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(least)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


if __name__ == "__main__":
    sys.exit(main())
