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
from minivit.options import check_options, did_you_mean

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
    """Add a mixer of your own to the table: a decorator of its class.

    Raises
    ------
    ValueError
        If the name is taken by another class, or the class is no :class:`TokenMixer`, or one with a map but no
        :class:`MapMixer`. A class of the same name takes its place, as when a cell is run again.
    """
    def register(mixer: type[TokenMixer]) -> type[TokenMixer]:
        if not (inspect.isclass(mixer) and issubclass(mixer, TokenMixer)):
            raise ValueError(f"{mixer!r} must be a class derived from minivit.mixers.TokenMixer")
        if mixer.has_map and not issubclass(mixer, MapMixer):
            raise ValueError(f"{mixer!r} says has_map=True, so it must be derived from minivit.mixers.MapMixer")
        if name in MIXERS and MIXERS[name].__qualname__ != mixer.__qualname__:
            raise ValueError(f"name={name!r} is taken by {MIXERS[name].__qualname__}; choose another")
        MIXERS[name] = mixer
        return mixer

    return register


def mixer_class(name: str) -> type[TokenMixer]:
    """Return the mixer of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in MIXERS:
        raise ValueError(f"mixer={name!r} is no mixer{did_you_mean(name, MIXERS)}; known: {', '.join(sorted(MIXERS))}")
    return MIXERS[name]


def create_mixer(name: str, dim: int, num_heads: int, *, grid: Grid, prefix_tokens: int,
                 options: Mapping[str, Any] | None = None, **defaults: Any) -> TokenMixer:
    """Make a mixer by name.

    Parameters
    ----------
    name
        A key of ``MIXERS``.
    dim, num_heads, grid, prefix_tokens
        As :class:`TokenMixer` has them.
    options
        Keyword arguments of its own.
    **defaults
        Keyword arguments for the mixers that have them, such as ``dropout``; ``options`` go before.

    Raises
    ------
    ValueError
        If the name or an option is not known, or a value is not allowed.
    """
    mixer, options = mixer_class(name), dict(options or {})
    check_options(mixer, options, f"mixer={name!r}", given=("dim", "num_heads", "grid", "prefix_tokens"))
    takes = inspect.signature(mixer).parameters
    defaults = {key: value for key, value in defaults.items() if key in takes}
    return mixer(dim, num_heads, grid=grid, prefix_tokens=prefix_tokens, **defaults | options)
