"""Draw scenes of a few shapes on a textured ground with NumPy, many at a time.

Axes: n scenes, M shapes in a scene, T candidates, S height and width of an image. Lengths are in image widths; x points
right and y down. All randomness is passed in as uniform numbers in [0, 1), so a drawing is a function of its numbers.
"""

from dataclasses import dataclass

import numpy as np

KINDS = ("disc", "square", "triangle", "cross", "ring")
MAX_SHAPES = 3
# Distance from the centre of each kind of shape to its farthest point, for area 1.
REACH = np.array([0.565, 0.708, 0.878, 0.708, 0.676])
CANDIDATES = 12
NOISE_CELLS = 6


@dataclass(frozen=True, eq=False)
class Drawing:
    """Images and what they show; the first shape of a scene is its largest."""

    images: np.ndarray    # uint8 (n, 3, S, S)
    visible: np.ndarray   # bool (n, M, S, S), the pixels of each shape that no other shape covers
    kinds: np.ndarray     # int (n, M), index into KINDS, or -1 where there is no shape or none of it is visible


def numbers_needed(size: int) -> int:
    """Return how many uniform numbers it takes to draw a scene of ``size`` x ``size`` pixels."""
    return sum(int(np.prod(shape)) for shape in _parts(size).values())


def draw(numbers: np.ndarray, size: int) -> Drawing:
    """Draw one scene from each row of uniform numbers, (n, ``numbers_needed(size)``)."""
    uniform = _take_apart(numbers, size)
    kinds = (uniform["kind"] * len(KINDS)).astype(int)
    area = _areas(uniform["area"])
    reach = REACH[kinds] * np.sqrt(area)
    # Shapes lie completely inside the image and may overlap a little.
    margin = reach[:, :, None, None]
    centre = _choose_apart(margin + (1 - 2 * margin) * uniform["centre"],
                           apart=0.7 * (reach[:, :, None] + reach[:, None]))
    # Any kind may have any colour, as long as it differs clearly from the ground and the other shapes.
    ground = _ground_colours(uniform["ground"])
    colour = _choose_apart(uniform["colour"], apart=np.full((len(numbers), MAX_SHAPES, MAX_SHAPES), 0.4),
                           avoid=ground, apart_from_avoided=0.55)

    covers = _silhouettes(kinds, centre, np.sqrt(area), np.deg2rad(50) * (uniform["angle"] - 0.5), size)
    count = 1 + (uniform["count"] * MAX_SHAPES).astype(int)
    covers &= (np.arange(MAX_SHAPES) < count)[:, :, None, None]
    visible = _overlap(covers, uniform["order"][:, 0] < 0.5)

    texture = _texture(uniform["noise"], uniform["grating"], size)[:, None]
    canvas = ground[:, 0, :, None, None] * (1 - texture) + ground[:, 1, :, None, None] * texture
    for shape in range(MAX_SHAPES):
        canvas = np.where(visible[:, shape, None], colour[:, shape, :, None, None], canvas)
    canvas += 0.12 * (uniform["grain"][:, None] - 0.5)
    images = np.rint(255 * canvas.clip(0, 1)).astype(np.uint8)
    return Drawing(images, visible, np.where(visible.any((2, 3)), kinds, -1))


def _parts(size: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the numbers of a scene, by use; the grain comes last, so that a scene is the same at any size."""
    return {"count": (1,), "order": (1,), "kind": (MAX_SHAPES,), "area": (MAX_SHAPES,), "angle": (MAX_SHAPES,),
            "centre": (MAX_SHAPES, CANDIDATES, 2), "colour": (MAX_SHAPES, CANDIDATES, 3), "ground": (2, 3),
            "grating": (4,), "noise": (NOISE_CELLS, NOISE_CELLS), "grain": (size, size)}


def _take_apart(numbers: np.ndarray, size: int) -> dict[str, np.ndarray]:
    parts = _parts(size)
    ends = np.cumsum([int(np.prod(shape)) for shape in parts.values()])
    return {name: flat.reshape(-1, *shape)
            for (name, shape), flat in zip(parts.items(), np.split(numbers, ends[:-1], axis=1), strict=True)}


def _areas(uniform: np.ndarray) -> np.ndarray:
    """Return areas (n, M). The first shape, the scene's class, has about twice the area of the next, of any kind."""
    area = 0.11 + 0.07 * uniform
    area[:, 1:] = area[:, :1] * (0.3 + 0.25 * uniform[:, 1:])
    return area


def _ground_colours(uniform: np.ndarray) -> np.ndarray:
    """Return two similar colours per scene, (n, 2, 3), for the texture to vary between."""
    first = 0.1 + 0.8 * uniform[:, 0]
    return np.stack([first, (first + 0.4 * (uniform[:, 1] - 0.5)).clip(0, 1)], axis=1)


def _choose_apart(candidates: np.ndarray, apart: np.ndarray, avoid: np.ndarray | None = None,
                  apart_from_avoided: float = 0.0) -> np.ndarray:
    """Choose for each shape the first candidate that is far enough from all earlier points, or else the farthest.

    Parameters
    ----------
    candidates
        Points, (n, M, T, d).
    apart
        Minimum distance between the shapes of a scene, (n, M, M).
    avoid, apart_from_avoided
        Other points, (n, m, d), and the minimum distance from these.

    Returns
    -------
    The chosen points, (n, M, d).
    """
    n, num_shapes, _, dim = candidates.shape
    chosen = np.empty((n, 0, dim)) if avoid is None else avoid
    num_avoided = chosen.shape[1]
    for shape in range(num_shapes):
        distance = np.linalg.norm(candidates[:, shape, :, None] - chosen[:, None], axis=-1)   # (n, T, m)
        needed = np.concatenate([np.full((n, num_avoided), apart_from_avoided), apart[:, shape, :shape]], axis=1)
        spare = (distance - needed[:, None]).min(axis=2, initial=np.inf)                      # (n, T)
        pick = np.where((spare >= 0).any(1), (spare >= 0).argmax(1), spare.argmax(1))
        chosen = np.concatenate([chosen, candidates[np.arange(n), shape, pick][:, None]], axis=1)
    return chosen[:, num_avoided:]


def _silhouettes(kinds: np.ndarray, centre: np.ndarray, scale: np.ndarray, angle: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels that each shape covers, bool (n, M, S, S)."""
    covers = np.empty((*kinds.shape, size, size), dtype=bool)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    for kind, inside in enumerate((_disc, _square, _triangle, _cross, _ring)):
        chosen = kinds == kind
        x, y = centre[chosen].astype(np.float32).T[:, :, None, None]
        length, turn = scale[chosen, None, None].astype(np.float32), angle[chosen, None, None].astype(np.float32)
        x, y = (pixel - x) / length, (pixel[:, None] - y) / length
        covers[chosen] = inside(np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x)
    return covers


# Each kind has area 1 and its centre at the origin.

def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x**2 + y**2 <= 1 / np.pi


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) <= 0.5


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equilateral triangle on its base: three half-planes at the radius of the inscribed circle."""
    inradius = 3**-0.75
    slope = np.sqrt(0.75) * np.abs(x) - 0.5 * y
    return np.maximum(y, slope) <= inradius


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cross made of five squares."""
    half_arm = 0.5 / np.sqrt(5)
    wide, narrow = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return (wide <= 3 * half_arm) & (narrow <= half_arm)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Disc with a hole of 0.55 times its radius."""
    squared, hole = x**2 + y**2, 0.55**2
    outer = 1 / (np.pi * (1 - hole))
    return (squared <= outer) & (squared >= hole * outer)


def _overlap(covers: np.ndarray, largest_on_top: np.ndarray) -> np.ndarray:
    """Return the visible pixels of each shape, bool (n, M, S, S), such that the first stays clearly the largest."""
    visible = covers.copy()
    for shape in range(1, MAX_SHAPES - 1):
        visible[:, shape] &= ~covers[:, shape + 1:].any(1)
    first, others = covers[:, 0], covers[:, 1:]
    beneath = first & ~others.any(1)
    too_small = beneath.sum((1, 2)) < 1.5 * others.sum((2, 3)).max(1)
    on_top = (largest_on_top | too_small)[:, None, None]
    visible[:, 0] = np.where(on_top, first, beneath)
    visible[:, 1:] &= ~(on_top & first)[:, None]
    return visible


def _texture(noise: np.ndarray, grating: np.ndarray, size: int) -> np.ndarray:
    """Mix smooth noise and a grating in any proportion: (n, S, S) in [0, 1]."""
    # Cosine weights interpolate smoothly between the cells of the noise, with just one matrix product per axis.
    position = (np.arange(size) + 0.5) / size * (NOISE_CELLS - 1)
    distance = np.abs(position[:, None] - np.arange(NOISE_CELLS)).clip(0, 1)
    weight = 0.5 + 0.5 * np.cos(np.pi * distance)
    smooth = weight @ noise @ weight.T

    turn, cycles, phase, share = grating[:, :, None, None].transpose(1, 0, 2, 3)
    pixel = (np.arange(size) + 0.5) / size
    along = np.cos(np.pi * turn) * pixel + np.sin(np.pi * turn) * pixel[:, None]
    waves = 0.5 + 0.5 * np.sin(2 * np.pi * ((2 + 5 * cycles) * along + phase))
    return share * waves + (1 - share) * smooth
