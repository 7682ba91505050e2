import io

import numpy as np
import pytest
import torch

from minivit.checks import attempted, check, digest


@pytest.mark.parametrize("left, right", [
    (1.0, 1.0), ([1.0, 2.0], np.array([1.0, 2.0])), (np.full(3, 0.5), 0.5), (torch.ones(2, requires_grad=True), 1),
    (torch.ones(2, dtype=torch.bfloat16), 1), ([torch.tensor(1.0, requires_grad=True), torch.tensor(1.0)], 1),
])
def test_equal_sides_are_said_to_be(left, right, capsys):
    check("they are one", left, right, atol=1e-6)
    assert capsys.readouterr().out == "✓ they are one (to 1e-06)\n"


@pytest.mark.parametrize("left, right", [(1.0, 1.1), ([1.0, float("nan")], 1.0), (np.ones(2), np.ones(3)),
                                         ([], []), (torch.ones(0, 3), 1.0)])
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


@pytest.mark.parametrize("answers, named, said", [
    ([...], {}, "your answer is still `...`"), ([np.ones(2), None], {}, "answer 2 is None; .* `return`"),
    ([], {"rows": 3, "columns": ...}, "columns is still `...`"),
])
def test_what_is_still_to_do_is_said(answers, named, said):
    with pytest.raises(AssertionError, match=f"still to do: {said}"):
        attempted(*answers, **named)


def test_an_answer_is_an_attempt_whatever_it_is():
    attempted(0, "", [], np.zeros(3), False, gradient=torch.zeros(2))


def test_a_check_of_what_is_still_to_do_says_so():
    with pytest.raises(AssertionError, match="still to do"):
        check("they are one", ..., 1.0)


ALIKE = [
    (0.1, np.float32(0.1), torch.tensor(0.1), torch.tensor(0.1, dtype=torch.float64), 0.1 + 1e-9),
    (3, 3.0, np.int8(3), torch.tensor(3), np.array(3.0)),
    (0.0, -0.0, -1e-9, 0, False),
    ([1, 2.5], (1, 2.5), np.array([1, 2.5]), torch.tensor([1, 2.5], dtype=torch.bfloat16)),
    (np.eye(2), [[1, 0], [0, 1]], torch.eye(2, requires_grad=True)),
    ("Left", " left\n", np.str_("left")),
    ({1, 2}, frozenset([2, 1])),
    ((3, np.ones(2)), [3, [1.0, 1.0]]),
]


@pytest.mark.parametrize("values", ALIKE, ids=repr)
def test_equal_answers_have_one_digest_whatever_holds_them(values):
    digests = {digest(value) for value in values}
    assert len(digests) == 1 and len(digests.pop()) == 8


def test_different_answers_have_different_digests():
    values = [0.1, 0.100001, 3, -3, "3", [3], [[3]], [1, 2], [2, 1], np.ones(3), np.ones((3, 1)), {1, 2}, "left",
              float("nan"), float("inf"), 10, 100, 0, []]
    assert len({digest(value) for value in values}) == len(values)


def test_only_the_decimals_that_count_are_compared():
    assert digest(2 / 3, decimals=2) == digest(0.6711, decimals=2) == digest(0.67) != digest(2 / 3)
    assert digest(449.7, decimals=0) == digest(450)


def test_a_digest_is_the_same_on_every_machine():
    assert [digest(value) for value in (0.5, "left", [1, 2])] == ["d2cbad71", "6ca6aed4", "3a316d6d"]


@pytest.mark.parametrize("answer", [..., None, [1, ...], (None, 2)])
def test_what_is_still_to_do_has_no_digest(answer):
    with pytest.raises(AssertionError, match="still to do"):
        digest(answer)


@pytest.mark.parametrize("value, decimals, error, said", [
    (digest, 6, TypeError, "numbers or words, not of function"), ({"a": 1}, 6, TypeError, "not of dict"),
    (1.0, -1, ValueError, "decimals=-1"), (1.0, 1.5, ValueError, "decimals=1.5"),
])
def test_what_has_no_digest_is_told(value, decimals, error, said):
    with pytest.raises(error, match=said):
        digest(value, decimals)
