"""Token mixers by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minivit.mixers.attention import Attention
from minivit.mixers.base import Grid, MapMixer, TokenMixer
from minivit.mixers.less_attention import LessAttention
from minivit.mixers.linear import LinearAttention
from minivit.mixers.neighbourhood import NeighbourhoodAttention
from minivit.mixers.spectral import SpectralMixer
from minivit.mixers.token_mlp import TokenMlp
from minivit.mixers.uniform_head import UniformHeadAttention
from minivit.options import check_choice, check_options

MIXERS: dict[str, type[TokenMixer]] = {
    "attention": Attention,
    "less_attention": LessAttention,
    "linear": LinearAttention,
    "neighbourhood": NeighbourhoodAttention,
    "spectral": SpectralMixer,
    "token_mlp": TokenMlp,
    "uniform_head": UniformHeadAttention,
}


def register_mixer(name: str) -> Callable[[type[TokenMixer]], type[TokenMixer]]:
    """Class decorator that adds your own mixer to the table.

    A class may replace an earlier one with the same name, as happens when a notebook cell is run again.

    Raises
    ------
    ValueError
        If the name is taken by another class, if the class is not a :class:`TokenMixer`, or if it has a map but is not
        a :class:`MapMixer`.
    """
    def register(mixer: type[TokenMixer]) -> type[TokenMixer]:
        if not (inspect.isclass(mixer) and issubclass(mixer, TokenMixer)):
            raise ValueError(f"{mixer!r} must be a class derived from minivit.mixers.TokenMixer")
        if mixer.has_map and not issubclass(mixer, MapMixer):
            raise ValueError(f"{mixer!r} says has_map=True, so it must be derived from minivit.mixers.MapMixer")
        if name in MIXERS and full_name(MIXERS[name]) != full_name(mixer):
            raise ValueError(f"name={name!r} is taken by {full_name(MIXERS[name])}; choose another")
        MIXERS[name] = mixer
        return mixer

    return register


def full_name(mixer: type[TokenMixer]) -> str:
    return f"{mixer.__module__}.{mixer.__qualname__}"


def mixer_class(name: str) -> type[TokenMixer]:
    """Return the mixer class registered under a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    check_choice(MIXERS, mixer=name)
    return MIXERS[name]


def create_mixer(name: str, dim: int, num_heads: int, *, grid: Grid, prefix_tokens: int,
                 options: Mapping[str, Any] | None = None, **defaults: Any) -> TokenMixer:
    """Make a mixer by name.

    Parameters
    ----------
    name
        A key of ``MIXERS``.
    dim, num_heads, grid, prefix_tokens
        See :class:`TokenMixer`.
    options
        Keyword arguments of this mixer.
    **defaults
        Keyword arguments, such as ``dropout``, for mixers that accept them; ``options`` take precedence.

    Raises
    ------
    ValueError
        If the name or an option is unknown, or a value is not allowed.
    """
    mixer, options = mixer_class(name), dict(options or {})
    check_options(mixer, options, f"mixer={name!r}", given=("dim", "num_heads", "grid", "prefix_tokens"))
    takes = inspect.signature(mixer).parameters
    defaults = {key: value for key, value in defaults.items() if key in takes}
    return mixer(dim, num_heads, grid=grid, prefix_tokens=prefix_tokens, **defaults | options)
