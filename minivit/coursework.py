"""Numbers of a student's own, so that an assignment's answers can't be copied unread."""

import hashlib
import os
from typing import NamedTuple

import numpy as np

GRADED = "MINIVIT_STUDENT"  # the environment variable that says, at grading, whose submission this is
PLACEHOLDER = "your id"  # what an assignment's first cell says before a student writes an id there


def own_numbers(student: str, assignment: str) -> np.random.Generator:
    """Return a generator that is the same whenever this student opens this assignment, and another for anybody else.

    Parameters
    ----------
    student
        The id by which the course knows the student; capitals and spaces around it don't matter. At grading it's
        that of the submission, whatever stands here.
    assignment
        The assignment's name, so that each has numbers of its own.

    Raises
    ------
    ValueError
        If there is no id yet.

    Examples
    --------
    >>> own_numbers("Ada ", "density").integers(100) == own_numbers("ada", "density").integers(100)
    np.True_
    """
    student = os.environ.get(GRADED, student)
    name = student.strip().casefold() if isinstance(student, str) else ""
    if name in ("", PLACEHOLDER):
        raise ValueError(f"student={student!r} is no id yet: give STUDENT, in the first cell of code, the id that your "
                         "course knows you by, and run the cells from there")
    return np.random.default_rng(list(hashlib.sha256(f"{assignment}/{name}".encode()).digest()))


class Study(NamedTuple):
    """A simulated study: some variants of a model beside the plain one, in several measures; see :func:`own_study`.

    Attributes
    ----------
    runs
        What each run ended with: by measure, by variant (``plain`` among them), by seed. Some runs are missing.
    effects
        The truth, by variant and measure: the mean by which the variant differs from the plain model.
    """

    runs: dict[str, dict[str, dict[int, float]]]
    effects: dict[tuple[str, str], float]

    @property
    def family(self) -> dict[tuple[str, str], np.ndarray]:
        """Differences of the pairs, variant minus plain, by variant and measure; in the order of the seeds."""
        return {(variant, measure): np.array([found[seed] - runs["plain"][seed] for seed in sorted(found)
                                              if seed in runs["plain"]])
                for measure, runs in self.runs.items() for variant, found in runs.items() if variant != "plain"}


VARIANTS = ("amber", "birch", "cedar")  # names that tell nothing: the study is blind
SEEDS = 8  # runs that each variant began; up to two of a variant's don't end
MEANS = {"top-1": 52.0, "density": 0.83}  # of the plain model; top-1 is in per cent
SCATTER = {"top-1": 0.6, "density": 0.012}  # of one run, around its model's mean and its seed's


def own_study(rng: np.random.Generator) -> Study:
    r"""Simulate a study of three variants in two measures, of which half the students' hold an effect, and half don't.

    .. math:: y_{vi} = m_v + g_i + e_{vi}

    is what variant v reaches with seed i, as in the book's chapter *Does it help?*: g is what the seed gives to all
    variants, e is independent noise. If there is an effect, one variant has it, in one measure.

    A study is drawn anew until one interval at least excludes 0 and isn't a claim by Holm's correction, since that is
    what students should learn to read. So false alarms are more frequent in such studies than in others, and a class
    that pools its p-values won't find them uniform.

    Parameters
    ----------
    rng
        The student's generator, from :func:`own_numbers`.

    Returns
    -------
    Study
    """
    from minivit.analysis import compare_pairs  # loads PyTorch, which most of this module does without

    has_effect = rng.random() < 0.5
    while True:
        effects = {(variant, measure): 0.0 for measure in SCATTER for variant in VARIANTS}
        if has_effect:
            variant, measure = rng.choice(VARIANTS), rng.choice(list(SCATTER))
            effects[str(variant), str(measure)] = float(rng.choice([-1, 1]) * rng.uniform(2.5, 4) * SCATTER[measure])
        kept = {"plain": range(SEEDS)}
        for variant in VARIANTS:
            # In the order in which the runs ended, which is not that of their seeds.
            kept[variant] = rng.permutation(SEEDS)[rng.integers(0, 3):].tolist()
        runs = {}
        for measure, scatter in SCATTER.items():
            of_seed, digits = scatter * rng.normal(size=SEEDS), 2 if scatter > 0.1 else 4
            runs[measure] = {}
            for variant, ended in kept.items():
                mean = MEANS[measure] + effects.get((variant, measure), 0.0)
                results = mean + of_seed + scatter * rng.normal(size=SEEDS)
                runs[measure][variant] = {i: round(float(results[i]), digits) for i in ended}
        study = Study(runs, effects)
        if any(one.p < 0.05 and not one.claimed for one in compare_pairs(study.family).values()):
            return study
