from collections.abc import Sequence
from typing import Literal

import pytest

from minivit.options import check_options, did_you_mean, image_sides


def cook(pan, eggs: int, heat: float = 1.0, cover: bool = False, herbs: str | Sequence[str] = "none",
         fat: Literal["oil", "butter"] = "oil", minutes: int | None = None, rests: Sequence[int] = ()):
    pass


@pytest.mark.parametrize("options", [
    {}, {"eggs": 2}, {"heat": 2}, {"heat": 0.5}, {"cover": True}, {"herbs": "dill"}, {"herbs": ("dill", "mint")},
    {"fat": "butter"}, {"minutes": None}, {"minutes": 3},
])
def test_what_is_annotated_passes(options):
    check_options(cook, options, "cook", given=("pan",))


@pytest.mark.parametrize("options, message", [
    ({"egs": 2}, r"egs=2 is no option of cook \(did you mean 'eggs'\?\); allowed: eggs, heat, "),
    ({"pan": 1}, "pan=1 is no option of cook"),
    ({"eggs": "2"}, "eggs='2' is of the wrong type for cook: it should be a valid integer"),
    ({"eggs": True}, "eggs=True"),
    ({"eggs": 1.5}, "eggs=1.5"),
    ({"heat": "hot"}, "heat='hot'.*number"),
    ({"herbs": ["dill", 3]}, r"herbs=\['dill', 3\]"),
    ({"rests": "5, 6"}, "rests='5, 6'.*it should be a sequence, no string"),
    ({"fat": "lard"}, "fat='lard'.*'oil' or 'butter'"),
])
def test_what_is_not_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        check_options(cook, options, "cook", given=("pan",))


def test_a_class_is_checked_by_its_init():
    class Stove:
        def __init__(self, rings: int):
            pass

    check_options(Stove, {"rings": 4}, "stove")
    with pytest.raises(ValueError, match="rings='four'"):
        check_options(Stove, {"rings": "four"}, "stove")


def test_nothing_close_gives_no_hint():
    assert did_you_mean("xyz", ["eggs", "heat"]) == ""


@pytest.mark.parametrize("image_size, sides", [(7, (7, 7)), ((5, 7), (5, 7)), ([5, 7], (5, 7))])
def test_one_side_is_a_square(image_size, sides):
    assert image_sides(image_size) == sides


@pytest.mark.parametrize("image_size", [0, -8, (5,), (5, 0), (5, 7, 3), (5, 7.0), ()])
def test_an_impossible_size_is_named(image_size):
    with pytest.raises(ValueError, match="side=.*at least 1"):
        image_sides(image_size, "side")
