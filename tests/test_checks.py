import io

import numpy as np
import pytest
import torch

from minivit.checks import check


@pytest.mark.parametrize("left, right", [
    (1.0, 1.0), ([1.0, 2.0], np.array([1.0, 2.0])), (np.full(3, 0.5), 0.5), (torch.ones(2, requires_grad=True), 1),
])
def test_equal_sides_are_said_to_be(left, right, capsys):
    check("they are one", left, right, atol=1e-6)
    assert capsys.readouterr().out == "✓ they are one (to 1e-06)\n"


@pytest.mark.parametrize("left, right", [(1.0, 1.1), ([1.0, float("nan")], 1.0), (np.ones(2), np.ones(3))])
def test_unequal_sides_fail_with_the_claim(left, right, capsys):
    with pytest.raises(AssertionError, match="they are one"):
        check("they are one", left, right)
    assert not capsys.readouterr().out


def test_no_tolerance_is_said_too(capsys):
    check("they are one", 1.0, 1.0, atol=0)
    assert capsys.readouterr().out == "✓ they are one (exactly)\n"


@pytest.mark.parametrize("encoding, line", [
    ("utf-8", "✓ ½ of λ (exactly)\n"), ("cp1252", "ok \\xbd of \\u03bb (exactly)\n"),
    ("ascii", "ok \\xbd of \\u03bb (exactly)\n"),
])
def test_a_console_of_few_characters_is_spoken_to_in_ascii(encoding, line, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", console)
    check("½ of λ", 1.0, 1.0, atol=0)
    console.flush()
    assert console.buffer.getvalue().decode(encoding) == line
