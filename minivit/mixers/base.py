"""What a token mixer is: the part of a block in which tokens learn of each other.

Axes: B batch, N tokens (first ``prefix_tokens`` without a place, then the patches row by row), C channels, H heads.
"""

from collections.abc import Callable, Iterator
from math import prod

from torch import Tensor, nn

from minivit.mixers.scores import LazyMap, Scores, as_scores
from minivit.options import check_at_least, image_sides

Grid = tuple[int, int]


class TokenMixer(nn.Module):
    """A layer from tokens (B, N, C) to tokens (B, N, C), and what the rest of the package has to know of it.

    It is made from ``(dim, num_heads, *, grid, prefix_tokens, **options)``: channels and heads; rows and columns of
    patches; and how many tokens without a place, such as a class token, stand before them. In one layer these have to
    read all patches. ``forward`` takes the tokens. What follows are its statements, which a subclass changes where they
    are not so.

    Attributes
    ----------
    has_map
        Whether its output is values averaged by a map: see :class:`MapMixer`.
    map_loss
        What is to be small of its map beside the cross-entropy: a function of the map, (B, H, N, M), and the name of a
        form, that returns a number; None for nothing.
    takes_scores
        Whether it is to be handed the scores of the layer below.
    bound_to_grid
        Whether it needs all the patches, each in its place, so that none may be dropped.
    grid_weights
        Names of its parameters whose numbers belong to places, so that another grid needs others: see :meth:`fit`.
    """

    has_map = False
    map_loss: Callable[[Tensor, str], Tensor] | None = None
    takes_scores = False
    bound_to_grid = False
    grid_weights: tuple[str, ...] = ()

    def matrices(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that weight decay pulls on; those of two axes may be stepped by Muon.

        They are the weights of linear maps, if nothing else is said: what starts near zero, and not at the identity.
        """
        return (module.weight for module in self.modules() if isinstance(module, nn.Linear | nn.Conv2d))

    def fit(self, name: str, weight: Tensor, between: Callable[[int], Tensor]) -> Tensor:
        """Return one of the ``grid_weights`` of a mixer for another grid, fitted to this one's.

        Parameters
        ----------
        name
            Of the parameter, in this mixer.
        weight
            That of the other mixer.
        between
            Called with the number of tokens there, it returns R, (N, number there), which interpolates tokens.

        Raises
        ------
        ValueError
            If it cannot be done.
        """
        raise ValueError(f"{name} of {type(self).__name__} does not fit images of another size")


class MapMixer(TokenMixer):
    """A mixer whose output is values averaged by a map, (B, H, N, N), rows of sum 1. A subclass writes :meth:`mix`."""

    has_map = True

    def mix(self, x: Tensor, scores: Scores | None = None, *, with_map: bool = False) -> tuple[Tensor, LazyMap]:
        """Map tokens (B, N, C) to tokens (B, N, C), and return beside them what the map is made of.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        scores
            Of the layer below, where ``takes_scores`` says so.
        with_map
            Whether the map will be asked for: then scores are multiplied out first, so that it is done only once.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, scores: Tensor | LazyMap | None = None, *, return_attention: bool = False,
                return_scores: bool = False) -> Tensor | tuple[Tensor | LazyMap, ...]:
        """Mix the tokens.

        Parameters
        ----------
        x
            Tokens, (B, N, C).
        scores
            Of the layer below, (B, H, N, M), or what that layer returned: only for a mixer that takes scores.
        return_attention
            Whether to return the map too.
        return_scores
            Whether to return what the map is made of, for the layer above.

        Returns
        -------
        Tensor or (Tensor, Tensor) or (Tensor, LazyMap) or (Tensor, Tensor, LazyMap)
            Mixed tokens, (B, N, C). With ``return_attention`` also the map, (B, H, N, M): row i holds the weights, in
            [0, 1] and of sum 1, with which token i takes the values of all tokens. With ``return_scores`` also, as the
            last, an object whose ``map()`` is that map; where this is the softmax of scores, it is
            :class:`minivit.mixers.Factors` or :class:`minivit.mixers.Product`, whose ``product()`` are the scores.

        Raises
        ------
        ValueError
            If scores are given to a mixer that takes none, or do not fit it.
        """
        if scores is not None:
            if not self.takes_scores:
                raise ValueError(f"scores: this {type(self).__name__} takes none from the layer below")
            scores = as_scores(scores)
        out, lazy = self.mix(x, scores, with_map=return_attention)
        asked_for = ([lazy.map()] if return_attention else []) + ([lazy] if return_scores else [])
        return (out, *asked_for) if asked_for else out


def count_tokens(grid: Grid, prefix_tokens: int) -> int:
    """Return N, of a grid of patches behind tokens without a place.

    Raises
    ------
    ValueError
        If there is no such grid, or the number of the others is none.
    """
    check_at_least(0, prefix_tokens=prefix_tokens)
    return prefix_tokens + prod(image_sides(grid, "grid"))


def check_tokens(mixer: TokenMixer, x: Tensor) -> None:
    """Say that tokens (B, N, C) are not as many as the mixer's ``num_tokens``, if so."""
    if x.shape[1] != mixer.num_tokens:
        raise ValueError(f"x of {x.shape[1]} tokens does not fit {type(mixer).__name__} made for {mixer.num_tokens}")


def no_map(mixer: TokenMixer, return_attention: bool) -> None:
    """Say that a mixer has no map, if one was asked for."""
    if return_attention:
        raise ValueError(f"return_attention=True: {type(mixer).__name__} has no attention map")
