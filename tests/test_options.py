from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch
from pydantic import Field
from pydantic.fields import FieldInfo

from minivit.options import (
    check_at_least,
    check_between,
    check_options,
    check_positive,
    check_rate,
    did_you_mean,
    image_sides,
    layer_indices,
    patch_grid,
    range_in_words,
    scaled_size,
    type_in_words,
)

Spoons = Annotated[float, Field(ge=0, lt=7)]


def cook(pan, eggs: int, heat: float = 1.0, cover: bool = False, herbs: str | Sequence[str] = "none",
         fat: Literal["oil", "butter"] = "oil", minutes: int | None = None, rests: Sequence[int] = (),
         salt: Spoons = 0.0, spices: tuple[Spoons, Spoons] = (0.0, 0.0)):
    pass


@pytest.mark.parametrize("options", [
    {}, {"eggs": 2}, {"heat": 2}, {"heat": 0.5}, {"cover": True}, {"herbs": "dill"}, {"herbs": ("dill", "mint")},
    {"fat": "butter"}, {"minutes": None}, {"minutes": 3}, {"salt": 0}, {"spices": (0.5, 6.5)},
])
def test_what_is_annotated_passes(options):
    check_options(cook, options, "cook", given=("pan",))


@pytest.mark.parametrize("options, message", [
    ({"egs": 2}, r"egs=2 is not an option of cook \(did you mean 'eggs'\?\); allowed: eggs, heat, "),
    ({"pan": 1}, "pan=1 is not an option of cook"),
    ({"eggs": "2"}, "eggs='2' has the wrong type for cook: it should be a valid integer"),
    ({"eggs": True}, "eggs=True"),
    ({"eggs": 1.5}, "eggs=1.5"),
    ({"heat": "hot"}, "heat='hot'.*number"),
    ({"herbs": ["dill", 3]}, r"herbs=\['dill', 3\]"),
    ({"rests": "5, 6"}, "rests='5, 6'.*it should be a sequence, not a string"),
    ({"fat": "lard"}, "fat='lard'.*'oil' or 'butter'"),
    ({"salt": 7}, r"salt=7 must be in \[0, 7\)"),
    ({"salt": "a pinch"}, "salt='a pinch' has the wrong type for cook: it should be a valid number"),
    ({"spices": (3.0, -1.0)}, r"spices=\(3.0, -1.0\) must be in \[0, 7\) each"),
    ({"spices": (3.0,)}, r"spices=\(3.0,\) has the wrong type for cook: it should be longer"),
])
def test_what_is_not_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        check_options(cook, options, "cook", given=("pan",))


@pytest.mark.parametrize("hint, words", [
    (Annotated[int, Field(ge=1)], "at least 1"), (Annotated[int, Field(gt=1)], "larger than 1"),
    (Annotated[float, Field(le=0.5)], "at most 0.5"), (Annotated[float, Field(lt=0.5)], "less than 0.5"),
    (Annotated[float, Field(gt=0, le=1)], "in (0, 1]"),
    (Annotated[float | None, Field(ge=0, lt=1)], "in [0, 1), or None"),
    (Annotated[tuple[Spoons, ...], Field(min_length=1)], "one or more, in [0, 7) each"), (int | None, ""), (str, ""),
])
def test_a_range_is_told_in_words(hint, words):
    assert range_in_words(FieldInfo.from_annotation(hint)) == words


@pytest.mark.parametrize("hint, words", [
    (int, "int"), (float | None, "float or None"), (int | str, "int or str"), (dict[str, Any], "dict"),
    (tuple[Spoons, ...], "tuple"), (Literal["oil", "butter"], "'oil' or 'butter'"),
])
def test_a_type_is_told_in_words(hint, words):
    assert type_in_words(hint) == words


def test_a_class_is_checked_by_its_init():
    class Stove:
        def __init__(self, rings: int):
            pass

    check_options(Stove, {"rings": 4}, "stove")
    with pytest.raises(ValueError, match="rings='four'"):
        check_options(Stove, {"rings": "four"}, "stove")


def test_what_is_not_annotated_takes_any_value():
    def stir(pot, speed=1, *, spoon: str = "wood"):
        pass

    def season(pot, **herbs):
        pass

    check_options(stir, {"speed": "slow"}, "stir", given=("pot",))
    check_options(season, {"dill": 3, "mint": "some"}, "season", given=("pot",))
    for function, option in ((stir, "spoon"), (season, "pot")):
        with pytest.raises(ValueError, match=f"{option}=4"):
            check_options(function, {option: 4}, "cook", given=("pot",))


def test_nothing_close_gives_no_hint():
    assert did_you_mean("xyz", ["eggs", "heat"]) == ""


@pytest.mark.parametrize("image_size, sides", [(7, (7, 7)), ((5, 7), (5, 7)), ([5, 7], (5, 7))])
def test_one_side_is_a_square(image_size, sides):
    assert image_sides(image_size) == sides


@pytest.mark.parametrize("image_size", [0, -8, (5,), (5, 0), (5, 7, 3), (5, 7.0), (), 5.0, True, (True, 5),
                                        "57", None, float("nan")])
def test_an_impossible_size_is_named(image_size):
    with pytest.raises(ValueError, match="side=.*at least 1"):
        image_sides(image_size, "side")


def test_sides_are_pythons_own_whole_numbers():
    sides = image_sides((np.int64(5), 7))
    assert sides == (5, 7) and all(type(side) is int for side in sides)


@pytest.mark.parametrize("check, value, message", [
    (check_at_least, 0, "n=0 must be at least 1"), (check_at_least, 1.0, "n=1.0 must be a whole number, at least 1"),
    (check_at_least, True, "n=True"), (check_at_least, "1", "n='1'"), (check_at_least, None, "n=None"),
    (check_positive, 0, "n=0 must be a finite number larger than 0"), (check_positive, float("inf"), "n=inf"),
    (check_positive, float("nan"), "n=nan"), (check_positive, "1", "n='1'"), (check_positive, True, "n=True"),
    (check_rate, 1, r"n=1 is not a rate in \[0, 1\)"), (check_rate, -0.1, "n=-0.1"),
    (partial(check_between, 0, 1), 1.5, r"n=1.5 must be in \[0, 1\]"),
    (partial(check_between, 0, inf), -1, "n=-1 must be a finite number of at least 0"),
    (partial(check_between, 0, inf), inf, "n=inf"), (partial(check_between, 0, 1), "0", "n='0'"),
    (check_rate, float("nan"), "n=nan"), (check_rate, "0", "n='0'"), (check_rate, False, "n=False"),
])
def test_what_is_no_such_number_is_named(check, value, message):
    with pytest.raises(ValueError, match=message):
        check(*[1] * (check is check_at_least), m=0.5 if check is not check_at_least else 1, n=value)


@pytest.mark.parametrize("one", [2, 0.5, np.float32(0.5), np.int64(3), np.array(0.5), torch.tensor(0.5),
                                 torch.tensor(0.5, requires_grad=True)])
def test_a_number_may_be_numpys_or_torchs(one):
    check_positive(n=one)
    if one < 1:
        check_rate(n=one)


@pytest.mark.parametrize("size, ratio, scaled", [(5, 0.5, 2), (7, 0.5, 4), (3, 4, 12), (128, 4 + 32 / 128, 544),
                                                 (1, 0.6, 1)])
def test_scaled_sizes_are_rounded_a_half_to_the_even_number(size, ratio, scaled):
    assert scaled_size(size, "ratio", ratio) == scaled == int(np.round(size * ratio))


def test_nothing_may_not_be_left():
    with pytest.raises(ValueError, match="ratio=0.1 leaves nothing of 5: 0.5 is rounded to 0"):
        scaled_size(5, "ratio", 0.1)


def test_a_patch_divides_both_sides():
    assert patch_grid((8, 20), 4) == (2, 5)
    with pytest.raises(ValueError, match=r"patch_size=5 does not divide image_size=\(8, 20\)"):
        patch_grid((8, 20), 5)


def test_true_is_no_layer():
    with pytest.raises(ValueError, match=r"layers=\[True\]"):
        layer_indices("layers", [True], 3)
    assert layer_indices("layers", [np.int64(1)], 3) == {1}


@pytest.mark.parametrize("layers", [(0, 2), [2, 0], {0, 2}, iter([0, 2]), (i for i in (0, 2)), range(0, 3, 2),
                                    np.array([0, 2])])
def test_layers_come_in_any_container(layers):
    assert layer_indices("layers", layers, 3) == {0, 2}


@pytest.mark.parametrize("layers, depth, chosen", [("upper", 4, {2, 3}), ("upper", 5, {2, 3, 4}), ("upper", 1, {0}),
                                                   ("all", 3, {0, 1, 2}), ((), 3, set())])
def test_layers_may_be_named(layers, depth, chosen):
    assert layer_indices("layers", layers, depth) == chosen


@pytest.mark.parametrize("layers", ["upper half", "0", 1, None, 1.0, [3], [-1], np.array([0.0])])
def test_what_are_no_layers_is_named(layers):
    with pytest.raises(ValueError, match=r"layers=.* is neither 'upper', 'all' nor indices in \[0, 3\)"):
        layer_indices("layers", layers, 3)
