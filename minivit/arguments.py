"""What the command line accepts: the commands with their options, and how words become values."""

import argparse
import ast
import contextlib
import json
import logging
from collections.abc import Collection
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from minivit.data import list_datasets
from minivit.data.dataset import read_class_names
from minivit.files import user_path
from minivit.training.config import FIELDS, GROUPS, describe_setting

OF_DATA = {"dataset": "imagefolder, shards, ...; the run's by default, imagefolder for published weights",
           "dataset_options": "such as crop_pct=0.9 interpolation=bilinear mean=0.5,0.5,0.5 preprocessing=config.json"}
OF_MODEL = {"model": "model of the weights, by our name or timm's: deit_small_patch16_224 is our vit_small_patch16_224",
            "model_options": "such as image_size=384"}
Parser, Commands = argparse.ArgumentParser, argparse._SubParsersAction
DEVICE_HELP = "cpu, cuda, ...; by default an accelerator if there is one"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; ``KEY=VALUE`` may also come between or after options, which argparse doesn't support."""
    parser = create_parser()
    options, others = parser.parse_known_args(arguments)
    if wrong := [word for word in others if "settings" not in options or word.startswith("-") or "=" not in word]:
        parser.error(f"unrecognized arguments: {' '.join(wrong)}")
    if others:
        options.settings = [*options.settings, *others]
    return options


def create_parser() -> Parser:
    parser = argparse.ArgumentParser(prog="python -m minivit", description="Vision Transformers from scratch.",
                                     epilog="MINIVIT_DATA names the folder with the data sets where --data does not; "
                                            "MINIVIT_TRACEBACK=1 shows where an error came from.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_train, add_sweep, add_eval, add_analyze, add_data, add_bench, add_plan):
        add(commands)
    return parser


def create_command(commands: Commands, name: str, summary: str, level: int = logging.WARNING) -> Parser:
    """Add a command, which prints what the package logs from this level on."""
    sub = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    sub.set_defaults(command=name, level=level)
    sub.add_argument("--data", metavar="DIR", help="folder with the data sets")
    return sub


def trained_command(commands: Commands, name: str, summary: str) -> Parser:
    """Add a command for a trained model: that of a run, or published weights."""
    sub = create_command(commands, name, summary)
    sub.add_argument("checkpoint", metavar="CHECKPOINT", nargs="?",
                     help="a run's folder, its model.safetensors or checkpoint.pt")
    sub.add_argument("--device", default="auto", help=DEVICE_HELP)
    sub.add_argument("--classes", metavar="NAME", nargs="*", help="restrict model and images to these of the "
                     "model's classes, or to those in a file with one name per line; without a name, to those "
                     "that the data set has")
    sub.add_argument("--subset", action="store_true", help="restrict the model to the classes that the data set "
                     "has, as ImageNet-A is scored")
    section = sub.add_argument_group("data", "other images than the run's, or another way to prepare them")
    for field, about in OF_DATA.items():
        add_flag(section, field, FIELDS[field], about)
    section = sub.add_argument_group("published weights", "instead of CHECKPOINT. A config.json beside the file, "
                                     "in the format of timm or transformers, says how to prepare images; without "
                                     "one it is as for DeiT, or as for Google's ViTs if the model's tag is theirs")
    section.add_argument("--weights", metavar="FILE", help="weights with timm's names, in .safetensors or as "
                         "torch.save writes them; --classes then names their logits, in a file with one name per "
                         "line")
    for field, about in OF_MODEL.items():
        add_flag(section, field, FIELDS[field], about)
    return sub


def training_command(commands: Commands, name: str, summary: str, without: tuple[str, ...] = ()) -> Parser:
    """Add a command that trains: it has a flag for each setting, but for those it does without."""
    sub = create_command(commands, name, summary)
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


def add_train(commands: Commands) -> None:
    sub = training_command(commands, "train", "train a model from a recipe, or again from the run.json of an earlier "
                           "run")
    sub.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out, if there is one")


def add_sweep(commands: Commands) -> None:
    sub = training_command(commands, "sweep", "train every variant of a recipe with every seed, each in "
                           "VARIANT/seedN below --out, and sum up; the same command again continues where it stopped",
                           without=("seed",))
    sub.add_argument("--seeds", metavar="N", nargs="+", default=["0"], help="seeds of every variant; 0 by default")
    sub.add_argument("--variants", metavar="NAME", nargs="+", help="variants to train; all by default")
    sub.add_argument("--halvings", metavar="N", default="0", help="search: train all variants briefly, the better half "
                     "anew for twice as long, and so on, N times; they must be scored on held-out images")
    sub.add_argument("--no-comparison", action="store_true", help="list the runs and compare nothing; for runs that "
                     "differ in device, threads or precision")


def add_eval(commands: Commands) -> None:
    sub = trained_command(commands, "eval", "measure a trained model, or published weights, on test images: those of "
                          "its run, or of a folder DIR/CLASS/*.jpg or DIR/val/CLASS/*.jpg. Classes that are numbers, "
                          "as in ImageNet-V2, are positions among the model's, counted from 0")
    sub.add_argument("--labels", metavar="FILE", help="ImageNet-ReaL's real.json: any class that it gives an image is "
                     "right, and images without one are left out")
    sub.add_argument("--conditions", metavar="NAME", nargs="+", default=(), help="measure also on images made harder "
                     "to recognise: centre_occlusion, fgsm, gaussian_noise_5, gaussian_noise_10, shot_noise, "
                     "gaussian_blur_1, gaussian_blur_2")
    sub.add_argument("--epsilon", metavar="E", default="1", help="step of fgsm, in 255ths; 1 by default")
    sub.add_argument("--seed", metavar="N", default="0", help="seed of the noise; 0 by default")
    sub.add_argument("--batch-size", metavar="N", default="100", help="images at a time; 100 by default")


def add_analyze(commands: Commands) -> None:
    sub = trained_command(commands, "analyze", "measure the attention and robustness of a trained model, or of "
                          "published weights, and draw both")
    sub.add_argument("--out", metavar="DIR", help="folder for analysis.json and the figures; by default analysis, "
                     "beside the weights")
    sub.add_argument("--images", metavar="N", default="null", help="test images, drawn by the seed; all by default")
    sub.add_argument("--epsilon", metavar="E", default="1", help="step of the attack (FGSM), in 255ths; 1 by default")
    sub.add_argument("--seed", metavar="N", default="0", help="seed of the images and the noise; 0 by default")


def add_data(commands: Commands) -> None:
    sub = create_command(commands, "data", "download a data set and print what is in it", level=logging.INFO)
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
    sub.add_argument("--size-mb", metavar="N", default=argparse.SUPPRESS,
                     help="megabytes per shard, approximately; 100 by default")
    sub.add_argument("--seed", metavar="N", default=argparse.SUPPRESS,
                     help="seed of the order in the shards; 0 by default")


def add_bench(commands: Commands) -> None:
    sub = create_command(commands, "bench", "compare the speed of our models with timm's and vit-pytorch's, or of the "
                  "variants of a recipe")
    sub.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="replace values of --recipe, as for train")
    sub.add_argument("--models", metavar="NAME", nargs="+", default=argparse.SUPPRESS,
                     help="models; vit_tiny_patch4_32 by default")
    sub.add_argument("--batch-size", metavar="N", default=argparse.SUPPRESS, help="images per step; 64 by default")
    sub.add_argument("--precision", default=argparse.SUPPRESS, help="float32 (default), or bfloat16 for autocast")
    sub.add_argument("--compile", dest="compiled", action="store_true", default=argparse.SUPPRESS,
                     help="compile the blocks of every model with torch.compile")
    sub.add_argument("--cuda-graph", dest="recorded", action="store_true", default=argparse.SUPPRESS,
                     help="record every step as a CUDA graph, on an NVIDIA GPU")
    sub.add_argument("--kernels", action="store_true", help="also profile each training step, kernel by kernel")
    sub.add_argument("--recipe", metavar="RECIPE", help="instead of models: recipes/NAME.py, whose variants take "
                     "exactly the steps of their runs")
    sub.add_argument("--variants", metavar="NAME", nargs="+", help="variants of the recipe; all by default")
    sub.add_argument("--decode", action="store_true",
                     help="instead of models: how many JPEGs per second one core reads")
    sub.add_argument("--rounds", metavar="N", default="10", help="times to run each model or variant; 10 by default")
    sub.add_argument("--device", default="auto", help=DEVICE_HELP)
    sub.add_argument("--json", action="store_true", help="print one JSON object with all times instead of a table")


def add_plan(commands: Commands) -> None:
    sub = create_command(commands, "plan", "say what a run takes on another machine: steps, time, memory, bottleneck, "
                         "cost")
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


def add_flag(section: argparse._ArgumentGroup, name: str, field: FieldInfo, about: str | None = None) -> None:
    """Add an option for a field of the configuration, described as there unless ``about`` says something else."""
    is_options, kind = name.endswith("_options"), get_origin(field.annotation)
    metavar = "KEY=VALUE" if is_options else getattr(field.annotation, "__name__", "value").upper()
    section.add_argument("--" + name.replace("_", "-"), dest=name, default=argparse.SUPPRESS,
                         nargs="+" if is_options or kind is tuple else None,
                         action="extend" if is_options else "store",
                         metavar=f"{{{','.join(get_args(field.annotation))}}}" if kind is Literal else metavar,
                         help=(about or describe_setting(name)).replace("%", "%%"))


def read_classes(words: list[str] | None) -> list[str] | None:
    """Return the given classes, or the lines of the file if a single word names one.

    Raises
    ------
    DataError
        If the file is not a text.
    """
    if words is None or len(words) != 1 or not user_path(words[0], "classes").is_file():
        return words
    return read_class_names(words[0])


def read_overrides(options: argparse.Namespace, fields: Collection[str] = FIELDS) -> dict[str, Any]:
    """Return the values that replace those of a recipe or a run, given as flags or as ``KEY=VALUE``."""
    flags = {name: text for name, text in vars(options).items() if name in fields}
    values = {name: read_value(name, text) for name, text in flags.items() if not name.endswith("_options")}
    pairs = [("", word) for word in getattr(options, "settings", ())]
    pairs += [(f"{name}.", word) for name, words in flags.items() if name.endswith("_options") for word in words]
    for begin, word in pairs:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word!r} must be KEY=VALUE, such as {begin or 'model_options.'}context=cb")
        # A flag that takes several words also takes KEY=VALUE that follow it but aren't meant for it.
        key = key if key.partition(".")[0] in GROUPS else begin + key
        if key in values:
            raise ValueError(f"{key} is given twice; leave one out")
        values[key] = read_value(key, text)
    return values


def read_value(name: str, text: str | list[str]) -> Any:
    """Parse a value as JSON, or else as a Python literal, or else return the text itself."""
    if isinstance(text, list):
        return tuple(read_value(name, word) for word in text)
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, TypeError):  # a dictionary's key may be a list
            return read(text)
    return text
