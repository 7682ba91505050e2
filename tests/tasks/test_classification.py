import pytest
import torch
import torch.nn.functional as F

from minivit.tasks import find_task


@pytest.fixture
def logits():
    return torch.randn(31, 11, generator=torch.Generator().manual_seed(0))


def test_one_label_is_a_set_of_one(logits):
    task, labels = find_task("classification"), torch.arange(31) % 11
    sets = F.one_hot(labels, 11).bool()
    one, several = (task.summarize(task.measure(logits, targets, 11), 31) for targets in (labels, sets))
    assert one == pytest.approx(several, rel=1e-6) and one["test_top1"] < one["test_top5"]


def test_any_of_several_labels_is_right(logits):
    task, best = find_task("classification"), logits.argsort(1, descending=True)
    right = torch.zeros(31, 11, dtype=torch.bool)
    right.scatter_(1, best[:, [1, 9]], True)  # the second best and one of the worst
    right[:7].scatter_(1, best[:7, :1], True)
    loss, top1, top5 = task.measure(logits, right, 11)
    assert (top1, top5) == (7, 31)  # an image counts once, however many of its labels are found
    p = logits.softmax(1)
    torch.testing.assert_close(loss, -(p * right).sum(1).log().sum())


def test_a_nan_is_never_right(logits):
    task, labels = find_task("classification"), torch.arange(31) % 11
    _, top1, top5 = task.measure(logits, labels, 11)
    right = (logits.argmax(1) == labels).nonzero()[0, 0]
    spoilt = logits.clone()
    spoilt[right, labels[right]] = torch.nan  # which topk takes for the largest
    for targets in (labels, F.one_hot(labels, 11).bool()):
        loss, *hits = task.measure(spoilt, targets, 11)
        assert loss.isnan() and hits == [top1 - 1, top5 - 1]
