import io

import numpy as np
import pytest
import torch

from minivit.scratch import check_gradients, linear, linear_backward, numerical_gradient


@pytest.fixture
def inputs(draw):
    return {"x": draw(2, 5), "weight": draw(7, 5), "bias": draw(7)}


def backward(d_out, x, weight, bias):
    return linear_backward(d_out, x, weight)


def test_numerical_gradient_of_a_cube(draw):
    x = draw(2, 3)
    kept = x.copy()
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, atol=1e-8)
    np.testing.assert_array_equal(x, kept)


def test_numerical_gradient_is_as_exact_in_float32_and_moves_nothing_of_its_callers():
    x = np.array([1000.0, -3.0], dtype=np.float32)
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**2).sum(), x), 2 * x, rtol=1e-6)

    def broken(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        numerical_gradient(broken, x := np.ones(3))
    np.testing.assert_array_equal(x, np.ones(3))


def test_right_gradients_get_a_line_each(inputs, capsys):
    check_gradients(linear, backward, **inputs)
    assert capsys.readouterr().out.splitlines() == [
        "✓ d_x (2, 5): 10 of 10 entries agree (to 1e-06)",
        "✓ d_weight (7, 5): 35 of 35 entries agree (to 1e-06)",
        "✓ d_bias (7,): 7 of 7 entries agree (to 1e-06)",
    ]


def test_one_wrong_entry_is_found_with_both_values(inputs, capsys):
    def wrong(d_out, x, weight, bias):
        d_x, d_weight, d_bias = backward(d_out, x, weight, bias)
        d_weight[3, 1] += 0.5
        return d_x, d_weight, d_bias

    with pytest.raises(AssertionError) as error:
        check_gradients(linear, wrong, **inputs)
    report = str(error.value)
    assert "✓ d_x" in report and "✓ d_bias" in report
    assert "✗ d_weight (7, 5): 1 of 35 entries differ" in report and "most at [3, 1]: backward" in report
    values = [float(text.split()[-1]) for text in report.split("most at")[1].splitlines()[0].split(",")[-2:]]
    assert values[0] - values[1] == pytest.approx(0.5, abs=1e-6)
    assert capsys.readouterr().out == ""


def test_large_arrays_are_sampled(capsys):
    check_gradients(np.sin, lambda d_out, x: d_out * np.cos(x), x=np.ones((30, 40)), entries=50)
    assert "50 of 1200 entries" in capsys.readouterr().out


def test_dictionaries_are_checked_key_by_key(draw):
    params = {"a": draw(2, 3), "b": draw(3)}

    def forward(params):
        return params["a"] * params["b"], "saved"

    def right(d_out, params):
        return {"a": d_out * params["b"], "b": (d_out * params["a"]).sum(0)}

    check_gradients(forward, right, params=params)
    with pytest.raises(AssertionError, match=r"✗ d_params\['b'\]: backward returned nothing; expected .* shape \(3,\)"):
        check_gradients(forward, lambda d_out, params: {"a": d_out * params["b"]}, params=params)


@pytest.mark.parametrize("backward, message", [
    (lambda d_out, x: None, "nothing"),
    (lambda d_out, x: d_out[:1], r"returned shape \(1, 3\); expected an array of shape \(2, 3\)"),
    (lambda d_out, x: np.full((2, 3), np.nan), "✗ d_x"),
    (lambda d_out, x: (d_out, d_out), "2 gradients; expected a gradient for each of x"),
])
def test_what_is_no_gradient_is_told(backward, message):
    with pytest.raises(AssertionError, match=message):
        check_gradients(np.sin, backward, x=np.ones((2, 3)))


def overwrite(*arrays):
    arrays[0][...] *= 2
    return arrays[0]


@pytest.mark.parametrize("forward, backward, message", [
    (overwrite, lambda d_out, x: 2 * d_out, "forward changed x, which it was given"),
    (lambda x: 2 * x, overwrite, "backward changed d_out, which it was given"),
    (lambda x: 2 * x, lambda d_out, x: 2 * d_out + 0 * overwrite(x), "backward changed x, which it was given"),
])
def test_writing_into_what_was_given_is_told(forward, backward, message):
    with pytest.raises(AssertionError, match=message):
        check_gradients(forward, backward, x=np.ones((2, 3)))


def test_inputs_are_left_alone(inputs):
    kept = {name: value.copy() for name, value in inputs.items()}
    check_gradients(linear, backward, **inputs)
    assert all((inputs[name] == kept[name]).all() for name in inputs)


def test_a_function_of_a_number_to_a_number():
    check_gradients(lambda x: x**2, lambda d_out, x: 2 * d_out * x, x=3.0)


@pytest.mark.parametrize("options", [{"entries": 0}, {"entries": 2.0}, {"step": 0}, {"step": float("nan")},
                                     {"tolerance": -1}])
def test_impossible_options_are_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        check_gradients(np.sin, lambda d_out, x: d_out * np.cos(x), x=np.ones(3), **options)
    with pytest.raises(ValueError, match="step=0"):
        numerical_gradient(np.sum, np.ones(3), step=0)


def test_an_array_without_entries_has_no_wrong_one(capsys):
    check_gradients(np.sin, lambda d_out, x: d_out * np.cos(x), x=np.ones((0, 3)))
    assert "no entries" in capsys.readouterr().out


def test_a_console_of_few_characters_gets_the_report_too(monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), "cp1252", newline="\n")
    monkeypatch.setattr("sys.stdout", console)
    check_gradients(np.sin, lambda d_out, x: d_out * np.cos(x), x=np.ones((2, 3)))
    console.flush()
    assert console.buffer.getvalue() == b"ok d_x (2, 3): 6 of 6 entries agree (to 1e-06)\n"


def test_a_forward_function_that_is_still_to_do_is_told():
    with pytest.raises(AssertionError, match="forward returned nothing"):
        check_gradients(lambda x: None, lambda d_out, x: d_out, x=np.ones(3))


def test_functions_and_inputs_of_torch(capsys):
    def forward(x):
        return torch.sin(torch.tensor(x, requires_grad=True))

    def backward(d_out, x):
        return torch.tensor(d_out) * torch.cos(torch.tensor(x))
    check_gradients(forward, backward, x=torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True))
    assert "6 of 6 entries agree" in capsys.readouterr().out
    found = numerical_gradient(lambda x: torch.tensor(x, requires_grad=True).square().sum(), torch.ones(2))
    np.testing.assert_allclose(found, 2, rtol=1e-9)


def test_a_function_that_returns_an_array_is_told():
    with pytest.raises(ValueError, match=r"array of shape \(3,\); it must return a number"):
        numerical_gradient(lambda x: x**2, np.ones(3))
