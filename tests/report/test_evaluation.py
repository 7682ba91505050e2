import pytest
import torch

from minivit.analysis import centre_occlusion, fgsm
from minivit.data import Dataset, Split
from minivit.models import create_model
from minivit.report.analyze import analyze
from minivit.report.conditions import create_conditions
from minivit.report.evaluation import evaluate_under
from minivit.training import evaluate
from minivit.training.evaluate import predict

K = 5


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = create_model("vit_nano_patch4_32", num_classes=K, image_size=8, dim=12, depth=2, num_heads=3).eval()
    torch.nn.init.normal_(model.head.weight)
    return model


@pytest.fixture
def dataset():
    images = torch.randint(256, (37, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    split = Split(images, torch.arange(37) % K)
    return Dataset("noise", split, split, tuple("abcde"), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))


def test_the_conditions_are_those_of_the_analysis(model, dataset):
    found = dict(evaluate_under(model, dataset, ["fgsm", "centre_occlusion", "gaussian_noise_5"], epsilon=3.0, seed=7,
                                batch_size=11))
    assert list(found) == ["clean", "fgsm", "centre_occlusion", "gaussian_noise_5"]
    assert len(list(evaluate_under(model, dataset, iter(["fgsm", "shot_noise"])))) == 3
    assert found["clean"] == pytest.approx(evaluate(model, dataset))
    scores = analyze(model, dataset, epsilon=3.0, seed=7, progress=False)["robustness"]
    for name, its in found.items():
        assert its["test_top1"] == pytest.approx(scores[name], abs=1e-4)
    assert found["fgsm"]["test_loss"] > found["clean"]["test_loss"]


def test_by_hand(model, dataset):
    pixels, labels = dataset.test.images.float(), dataset.test.labels
    spoilt = {"centre_occlusion": centre_occlusion(pixels),
              "fgsm": fgsm(lambda images: predict(model, images, dataset), pixels, labels, 2.0)}
    for name, its in dict(evaluate_under(model, dataset, list(spoilt), epsilon=2.0)).items():
        with torch.no_grad():
            logits = predict(model, spoilt.get(name, pixels), dataset)
        assert its["test_loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)


@pytest.mark.parametrize("conditions, options, message", [
    (["occlusion"], {}, "condition='occlusion' is not known.*centre_occlusion, fgsm"),
    (["fgsm"], {"epsilon": -1.0}, "epsilon=-1.0"), ([], {"epsilon": "large"}, "epsilon='large'"),
    ([], {"epsilon": 256.0}, "epsilon=256.0"), ([], {"epsilon": float("nan")}, "epsilon=nan"),
    ([], {"batch_size": 0}, "batch_size=0"), ([], {"seed": -1}, "seed=-1"), ([], {"seed": 2**63}, "seed=9223372036854"),
])
def test_bad_arguments_are_told_before_anything_is_measured(model, dataset, conditions, options, message):
    with pytest.raises(ValueError, match=message):
        next(evaluate_under(model, dataset, conditions, **options))


def test_fgsm_attacks_one_class(model, dataset):
    split = Split(dataset.test.images, torch.ones(37, K, dtype=torch.bool))
    several = Dataset("noise", split, split, dataset.classes, dataset.mean, dataset.std)
    assert dict(evaluate_under(model, several))["clean"] == pytest.approx(
        {"test_loss": 0, "test_top1": 100, "test_top5": 100}, abs=1e-5)
    with pytest.raises(ValueError, match="fgsm attacks the one class of an image"):
        dict(evaluate_under(model, several, ["fgsm"]))


def test_the_help_names_every_condition(model, capsys):
    from minivit.__main__ import main

    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    words = capsys.readouterr().out.replace(",", " ").split()
    assert {name for name in create_conditions(model, 0, 1.0, torch.device("cpu")) if name != "clean"} <= set(words)
