import logging
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from minivit.bench.memory import peak_bytes
from minivit.data import load
from minivit.training import Trainer

CPU = torch.device("cpu")
DEEP = {"batch_size": 40, "model_options": {"depth": 5, "num_classes": 10}}
KINDS = [{}, {"accumulate": 5}, {"patch_dropout": (0.25, 0.0)},
         {"diagonality": 0.5, "model_options": {"attention_layers": [0, 3]}},
         {"model": "lavit_nano", "model_options": {}, "precision": "bfloat16"}]


def create(config, **options):
    config = config.override(**DEEP).override(**options)
    if config.model == "lavit_nano":
        options = dict(image_size=8, patch_size=1, in_channels=1, num_classes=10, drop_path=0.3)
        config = type(config)(**vars(config) | {"model_options": options})
    return Trainer(config, load("digits"), CPU)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_run_is_the_same_to_the_last_bit(config, options):
    runs = [create(config, **options, recompute=recompute) for recompute in (False, True)]
    for trainer in runs:
        trainer.train_epoch(lambda n: None)
        trainer.finish_epoch(lambda: None)
    one, other = ({**trainer.model.state_dict(), "totals": trainer.history[0]["train_loss"]} for trainer in runs)
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_step_needs_less_memory(config):
    plain, again = (create(config, recompute=recompute) for recompute in (False, True))
    batch = plain.images.images[:40], plain.images.labels[:40]
    peaks = []
    for trainer in (plain, again):
        images, targets = trainer.take_step.augment(*batch)
        loss = partial(trainer.objective, images, targets)
        peaks.append(peak_bytes(lambda loss=loss: loss()[0].backward(), CPU))
    assert peaks[1] < peaks[0] / 2


@pytest.mark.parametrize("options", [{"recompute": True}, {"accumulate": 2}, {}], ids=str)
def test_what_isnt_recorded_is_told(config, options, caplog, monkeypatch):
    trainer = create(config, **options)
    monkeypatch.setattr(trainer, "device", SimpleNamespace(type="cuda"))
    assert trainer.records == (not options)
    if options:
        with caplog.at_level(logging.INFO):
            trainer.prepare()
        assert "steps aren't recorded: cuda_graph has no effect" in caplog.text and not trainer.replays
