"""From gradients to steps: SGD with momentum, and AdamW. Both update the parameters in place, as PyTorch's do."""

import math

import numpy as np

from minivit.options import check_positive
from minivit.scratch.params import Params, check_params


class SGD:
    r"""Roll downhill, with momentum (Polyak, 1964).

    With the gradient g, the weight decay w, the momentum μ and the learning rate η,

    .. math:: v \leftarrow \mu v + (g + w\,\theta), \qquad \theta \leftarrow \theta - \eta v

    Parameters
    ----------
    params
        Arrays by name, float32 or float64; :meth:`step` changes them in place.
    lr
        η, at least 0.
    momentum
        μ in [0, 1); 0 is plain gradient descent.
    weight_decay
        w, at least 0, for all parameters.

    Raises
    ------
    ValueError
        Naming the argument that is out of range, or the parameter that can't be changed in place.
    """

    def __init__(self, params: Params, lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
        _check_range("lr", lr, 0, math.inf)
        _check_range("momentum", momentum, 0, 1)
        _check_range("weight_decay", weight_decay, 0, math.inf)
        _check_writable(params)
        self.params, self.lr, self.momentum, self.weight_decay = params, lr, momentum, weight_decay
        self.velocity = {name: np.zeros_like(value) for name, value in params.items()}

    def step(self, d_params: Params) -> None:
        """Take one step, given gradients with the names and shapes of the parameters."""
        for name, gradient in _check_gradients(d_params, self.params).items():
            theta, velocity = self.params[name], self.velocity[name]
            velocity *= self.momentum
            velocity += gradient + self.weight_decay * theta
            theta -= self.lr * velocity


class AdamW:
    r"""Give every parameter its own step length, and decay the weights separately (Loshchilov and Hutter, 2019).

    At step t, with the gradient g, the decay rates β₁ and β₂, the learning rate η and the weight decay w,

    .. math::
       m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
       \hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad
       \theta \leftarrow (1 - \eta w)\,\theta - \eta\,\frac{\hat m}{\sqrt{\hat v} + \varepsilon}

    Parameters
    ----------
    params
        Arrays by name, float32 or float64; :meth:`step` changes them in place.
    lr
        η, at least 0. It may be changed before any step.
    betas
        β₁ and β₂ in [0, 1).
    eps
        ε, larger than 0.
    weight_decay
        w, at least 0, for all parameters.

    Raises
    ------
    ValueError
        Naming the argument that is out of range, or the parameter that can't be changed in place.
    """

    def __init__(self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0.01):
        _check_range("lr", lr, 0, math.inf)
        if len(betas) != 2:
            raise ValueError(f"betas={betas} must be two numbers")
        for beta in betas:
            _check_range("betas", beta, 0, 1)
        _check_range("weight_decay", weight_decay, 0, math.inf)
        check_positive(eps=eps)
        _check_writable(params)
        self.params, self.lr, self.betas, self.eps, self.weight_decay = params, lr, betas, eps, weight_decay
        self.mean = {name: np.zeros_like(value) for name, value in params.items()}
        self.square = {name: np.zeros_like(value) for name, value in params.items()}
        self.steps = 0

    def step(self, d_params: Params) -> None:
        """Take one step, given gradients with the names and shapes of the parameters."""
        gradients = _check_gradients(d_params, self.params)
        self.steps += 1
        beta1, beta2 = self.betas
        # m and v start at 0; these factors correct the bias.
        start1, start2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for name, gradient in gradients.items():
            theta, mean, square = self.params[name], self.mean[name], self.square[name]
            mean *= beta1
            mean += (1 - beta1) * gradient
            square *= beta2
            square += (1 - beta2) * gradient**2
            theta *= 1 - self.lr * self.weight_decay
            theta -= self.lr / start1 * mean / (np.sqrt(square / start2) + self.eps)


def _check_gradients(d_params: Params, params: Params) -> Params:
    return check_params(d_params, {name: value.shape for name, value in params.items()}, what="d_params")


def _check_writable(params: Params) -> None:
    """Raise an error unless steps can change all parameters in place; in float16, AdamW's epsilon would be 0."""
    for name, value in params.items():
        is_array = isinstance(value, np.ndarray)
        if not is_array or value.dtype not in (np.float32, np.float64) or not value.flags.writeable:
            kind = f"an array of {value.dtype}" if is_array else f"a {type(value).__name__}"
            raise ValueError(f"params[{name!r}] is {kind}; steps change parameters in place, so each must be an array "
                             "of float32 or float64, and not read-only, as np.array makes it")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value < high:
        raise ValueError(f"{name}={value} is not in [{low}, {high})")
