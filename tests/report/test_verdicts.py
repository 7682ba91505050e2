import json

import numpy as np
import pytest

from minivit.analysis import Comparison
from minivit.report.verdicts import (
    ALIKE,
    HOLDS,
    HOLDS_HERE,
    NOT_HERE,
    UNDECIDED,
    WRONG,
    Claim,
    Measured,
    compare,
    judge,
    of_pairs,
    show_verdicts,
    tally,
    word_for,
    written,
)

SURE, OPPOSITE, UNSURE = [0.5, 0.51, 0.52], [-0.5, -0.51, -0.52], [1.0, -0.9, 0.1]


def claim(*measured, **options):
    return Claim("the paper", "derived", measured, "more pairs", **options)


def measured(differences, **options):
    return Measured("CB", np.array(differences), **options)


def verdict(one):
    return word_for(one, compare([one])[0])


@pytest.mark.parametrize("one, word", [
    (claim(proven=True), HOLDS),
    (claim(measured(SURE), proven=False), WRONG),
    (claim(), UNDECIDED),
    (claim(measured(SURE)), HOLDS_HERE),
    (claim(measured(SURE, sign=-1)), NOT_HERE),
    (claim(measured(UNSURE)), UNDECIDED),
    (claim(measured(SURE), measured(UNSURE)), UNDECIDED),
    (claim(measured(SURE), measured(OPPOSITE)), NOT_HERE),
    (claim(measured(UNSURE), measured(OPPOSITE, sign=None)), UNDECIDED),
    (claim(measured(SURE, sign=ALIKE, margin=1.0)), HOLDS_HERE),
    (claim(measured(SURE, sign=ALIKE, margin=0.1)), NOT_HERE),
    (claim(measured(UNSURE, sign=ALIKE, margin=0.1)), UNDECIDED),
    (claim(measured(SURE, unlike=1)), UNDECIDED),
    (claim(measured([0.7])), UNDECIDED),
    (claim(measured([])), UNDECIDED)])
def test_the_word_follows_from_the_rule(one, word):
    assert verdict(one) == word


def test_all_that_a_page_shows_is_one_family():
    borderline = claim(measured([1.0, 1.2, 1.6]))  # an interval that excludes 0, and p = 0.019
    assert verdict(borderline) == HOLDS_HERE
    page = [borderline, *(claim(measured(UNSURE)) for _ in range(5))]
    assert word_for(borderline, compare(page)[0]) == UNDECIDED


def test_a_claim_that_two_are_alike_is_corrected_too():
    """Its p is that of the nearer end of the margin: what has to be shown is that the mean lies inside."""
    alike = claim(measured([0.1, 0.3, -0.1], sign=ALIKE, margin=0.7))  # an interval inside the margin, and p = 0.036
    assert verdict(alike) == HOLDS_HERE
    page = [alike, *(claim(measured(UNSURE)) for _ in range(5))]
    assert word_for(alike, compare(page)[0]) == UNDECIDED
    assert "+0.10 [-0.40, +0.60]" in written(alike.measured[0], compare([alike])[0][0])


def write_run(folder, variant, seed, top1, threads=1, entropy=None):
    run = folder / variant / f"seed{seed}"
    run.mkdir(parents=True)
    config = {"model": "vit_nano_patch4_32", "precision": "float32"}
    (run / "run.json").write_text(json.dumps({"config": config, "device": f"cpu, 2 cores, {threads} threads",
                                              "precision": "float32"}), encoding="utf-8")
    (run / "metrics.jsonl").write_text(json.dumps({"test_top1": top1}) + "\n", encoding="utf-8")
    if entropy is not None:
        (run / "analysis.json").write_text(json.dumps({"entropy": entropy}), encoding="utf-8")


def test_pairs_share_a_seed_and_are_counted_if_they_ran_unlike(tmp_path):
    for seed, top1 in enumerate((30.0, 31.0, 33.0)):
        write_run(tmp_path, "plain", seed, top1, entropy=3.0)
    for seed, top1, threads in ((0, 32.0, 1), (2, 38.0, 2)):
        write_run(tmp_path, "cb", seed, top1, threads, entropy=2.5 if seed else None)
    found = of_pairs(tmp_path, "CB", "cb", "plain")
    assert found.differences.tolist() == [2.0, 5.0] and found.unlike == 1
    entropies = of_pairs(tmp_path, "CB", "cb", "plain", lambda analysis: analysis["entropy"], unit="nats", sign=-1)
    assert entropies.differences.tolist() == [-0.5] and entropies.sign == -1
    assert of_pairs(tmp_path, "CB_S", "cb_s", "plain").differences.size == 0
    assert of_pairs(tmp_path, "gap", ("cb", "plain"), ("plain", "plain")).differences.tolist() == [2.0, 5.0]


def test_pairs_may_lie_in_two_sweeps_whose_variants_differ(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write_run(one, "plain", 0, 30.0, entropy=3.0)
    write_run(other, "cb", 0, 32.0, entropy=2.5)
    assert of_pairs((one, other), "CB", "cb", "plain").differences.tolist() == [2.0]
    assert of_pairs((one, other), "CB", "cb", "plain", lambda found: found["entropy"]).differences.tolist() == [-0.5]
    with pytest.raises(ValueError, match="plain is in .*one and in .*one"):
        of_pairs((one, one), "CB", "cb", "plain")


def test_a_line_says_n_and_marks_what_counts():
    found = Comparison(4, -0.3, -0.35, -0.25, 0.0002, True)
    assert written(measured([], unit="nats"), found) == "CB: -0.300 [-0.350, -0.250] nats, n = 4 ★"
    assert written(measured([], unlike=2), found) == "CB: -0.30 [-0.35, -0.25] points, n = 4 ★ ‡"
    assert written(measured([]), None) == "CB: no pairs on record"
    assert written(measured([1.0]), None) == "CB: 1 pair on record"


def test_the_claims_come_back_by_verdict():
    claims = [claim(measured(SURE)), claim(proven=True), claim(measured(SURE, sign=-1)), claim(proven=True)]
    found = judge(claims)
    assert found == {HOLDS: [claims[1], claims[3]], HOLDS_HERE: [claims[0]], NOT_HERE: [claims[2]]}
    assert list(found) == [HOLDS, HOLDS_HERE, NOT_HERE]
    assert tally(claims) == "2 hold, 1 holds here and 1 doesn't hold here"
    assert tally(claims[1:2]) == "1 holds"


def test_each_verdict_has_a_table(capsys):
    show_verdicts([claim(measured(UNSURE)), claim(proven=True), claim(measured([]))])
    assert capsys.readouterr().out.count("Markdown object") == 4  # a title and a table for each of two words
