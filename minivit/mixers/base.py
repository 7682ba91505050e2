"""What a token mixer is: the part of a block in which tokens learn of each other.

Axes: B batch, N tokens (first ``prefix_tokens`` without a place, then the patches row by row), C channels, H heads.
"""

from collections.abc import Callable, Iterator
from math import prod

from torch import Tensor, nn

from minivit.options import check_at_least, image_sides

Grid = tuple[int, int]


class TokenMixer(nn.Module):
    """A layer from tokens (B, N, C) to tokens (B, N, C), and what the rest of the package has to know of it.

    It is made from ``(dim, num_heads, *, grid, prefix_tokens, **options)``: channels and heads; rows and columns of
    patches; and how many tokens without a place, such as a class token, stand before them. In one layer these have to
    read all patches. What follows are its statements, which a subclass changes where they are not so.

    Attributes
    ----------
    has_map
        Whether its output is values averaged by a map, (B, H, N, N), rows of sum 1. Then ``forward`` takes
        ``return_attention`` and ``keep``, as :class:`minivit.mixers.Attention` does, for what softmax makes it of.
    gives_scores, takes_scores
        Whether a less-attention layer above may transform what it is made of; whether it does so itself.
    bound_to_grid
        Whether it needs all the patches, each in its place, so that none may be dropped.
    grid_weights
        Names of its parameters whose numbers belong to places, so that another grid needs others: see :meth:`fit`.
    """

    has_map = False
    gives_scores = False
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
