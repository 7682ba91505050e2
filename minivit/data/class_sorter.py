"""Sort a folder of images, such as ImageNet's validation set, into class folders, without moving the images."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from minivit.data.dataset import DataError, os_errors
from minivit.data.folders import image_suffixes
from minivit.files import read_names, write_whole

GROUND_TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.\w+)")


def sort_into_classes(source: Path, labels: Path, target: Path, *, copy: bool = False) -> tuple[int, int]:
    """Link or copy images that are all in one folder into a new folder with one folder per class.

    The new folder is called TARGET.part until it is complete. If a call is interrupted, the same call continues there.

    Parameters
    ----------
    source
        Folder with images PREFIX1.JPEG, PREFIX2.JPEG, ...; their numbers may begin with zeros.
    labels
        File whose line k is the class of image k: its name, such as a WordNet id, or its number, if there is a
        ``meta.mat`` in the same folder that gives the names, as in ImageNet's devkit. Or the folder of the devkit.
    target
        Folder to create: ROOT/val for :func:`minivit.data.imagefolder.load_imagefolder`.
    copy
        Whether to copy the images; by default, relative symbolic links to them are created.

    Returns
    -------
    int, int
        Number of images and of classes.

    Raises
    ------
    DataError
        If the numbers of the images are not those of the lines, the classes cannot be read, or the target cannot be
        written or has other content.
    """
    with os_errors(target, "read or written"):
        images, classes = _find(source), _read_classes(labels)
        _compare(source, images, labels, classes)
        wanted = {os.path.join(name, path.name): path for name, path in zip(classes, images.values(), strict=True)}
        counts = len(wanted), len(set(classes))
        if os.path.lexists(target):
            if wanted.keys() != set(_inside(target)):
                raise DataError(f"{target} already exists with other files: delete it, or choose another folder")
            return counts
        part = target.with_name(target.name + ".part")
        for name in set(classes):
            (part / name).mkdir(parents=True, exist_ok=True)
        for place, image in wanted.items():
            _put(part / place, image.resolve(), copy)
        if other := sorted(set(_inside(part)) - wanted.keys()):
            raise DataError(f"{part / other[0]} is from an earlier call with other images or classes: delete {part}")
        os.replace(part, target)
    return counts


def _find(source: Path) -> dict[int, Path]:
    """Return the images in a folder by number, sorted."""
    suffixes, found = image_suffixes(), {}
    for name in sorted(os.listdir(source)):
        match = NUMBERED.fullmatch(name)
        if match and not name.startswith(".") and match["suffix"].lower() in suffixes:
            number = int(match["number"])
            if number in found:
                raise DataError(f"{source} has two images of number {number}, {found[number].name} and {name}: move "
                                "the wrong one away")
            found[number] = source / name
    return dict(sorted(found.items()))


def _read_classes(labels: Path) -> list[str]:
    """Return the class name of each image."""
    for folder in (labels, labels / "data"):
        if (folder / GROUND_TRUTH).is_file():
            labels = folder / GROUND_TRUTH
    if labels.is_dir():
        raise DataError(f"{labels} has no {GROUND_TRUTH}: give the folder of ImageNet's devkit, or a file with one "
                        "class per line")
    try:
        classes = read_names(labels)
    except UnicodeDecodeError:
        raise DataError(f"{labels} is not a text file: expected one class per line") from None
    if classes and all(re.fullmatch(r"\d+", name) for name in classes):
        names = _read_meta(labels)
        if unknown := set(classes) - names.keys():
            raise DataError(f"{labels} has the class {min(unknown)}, which {labels.with_name(META)} lacks")
        classes = [names[number] for number in classes]
    if odd := [name for name in classes if name.startswith(".") or re.search(r"[/\\\s\0]", name)]:
        raise DataError(f"{labels} has the line {odd[0]!r}, which cannot be the name of a folder: expected one name "
                        "per line, such as n01440764")
    return classes


def _read_meta(labels: Path) -> dict[str, str]:
    """Return the WordNet id of each of ImageNet's class numbers."""
    path = labels.with_name(META)
    if not path.is_file():
        raise DataError(f"{labels} has the numbers of classes, and {path}, which has their names, is missing: copy it "
                        "from the devkit, or give a file with the WordNet id of each image")
    from scipy.io import loadmat

    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        return dict(zip(map(str, synsets["ILSVRC2012_ID"].tolist()), synsets["WNID"].tolist(), strict=True))
    except Exception as error:   # damaged bytes fail with nearly anything
        raise DataError(f"{path} cannot be read ({error}): copy it again from ImageNet's devkit") from None


def _compare(source: Path, images: dict[int, Path], labels: Path, classes: list[str]) -> None:
    """Check that there is one image for each line."""
    expected = range(1, len(classes) + 1)
    missing, more = sorted(set(expected) - images.keys()), sorted(images.keys() - set(expected))
    told = f"{labels} has {len(classes)} lines"
    if not images or not classes or missing:
        which = f"; number {missing[0]} is missing" if missing and images else ""
        raise DataError(f"{source} has {len(images)} images PREFIX1.JPEG, PREFIX2.JPEG, ..., and {told}{which}")
    if more:
        raise DataError(f"{images[more[0]]} has no class: {told}")


def _put(place: Path, image: Path, copy: bool) -> None:
    link = os.path.relpath(image, place.parent.resolve())
    if copy:
        if place.is_symlink() or not place.exists():
            write_whole(place, lambda part: shutil.copyfile(image, part))
    elif not (place.is_symlink() and os.readlink(place) == link):
        place.unlink(missing_ok=True)
        place.symlink_to(link)


def _inside(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all files below a folder."""
    for path, _, names in os.walk(folder):
        yield from (os.path.normpath(os.path.join(os.path.relpath(path, folder), name)) for name in names)
