import pytest
import torch

from minivit.data import load
from minivit.training import Trainer

cuda = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
PARTS = [{"patch_dropout": (0.5, 0.0)}, {"augmentation": "trivialaugment", "ema_decay": None, "optimizer": "adamw"},
         {"diagonality": 0.5, "model_options": {"attention_layers": [0]}, "crop": "random_resized"}]


def create(config, device, **options):
    config = config.override(**options).override(model_options={"num_classes": 10})
    return Trainer(config, load("digits"), torch.device(device))


def train(trainer, epochs):
    for _ in range(epochs):
        trainer.train_epoch(lambda n: None)
        trainer.finish_epoch(lambda: None)


def copy(state):
    return torch.utils._pytree.tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, state)


def assert_same(state, other):
    names = ("step", "totals", "model", "average", "optimizer")
    torch.testing.assert_close(*({name: state[name] for name in names} for state in (state, other)), atol=0, rtol=0)


@pytest.mark.parametrize("device", ["cpu", cuda])
def test_a_rehearsal_leaves_everything_as_it_was(config, device):
    trainer = create(config, device)
    batch = trainer.images.images[:41], trainer.images.labels[:41]
    trainer.train_step(*batch)
    before = copy(trainer.state_dict())
    with trainer.take_step.rehearsal():
        for _ in range(2):
            trainer.take_step(*batch)
    assert_same(trainer.state_dict(), before)


@pytest.mark.parametrize("device", ["cpu", cuda])
def test_what_began_in_a_rehearsal_is_as_new_after_it(config, device):
    new, rehearsed = (create(config, device) for _ in range(2))
    batch = new.images.images[:41], new.images.labels[:41]
    with rehearsed.take_step.rehearsal():
        rehearsed.take_step(*batch)
    for trainer in (new, rehearsed):
        trainer.train_step(*batch)
    assert_same(new.state_dict(), rehearsed.state_dict())


@pytest.mark.parametrize("device", [cuda])
@pytest.mark.parametrize("options", PARTS, ids=str)
def test_a_recorded_run_is_bitwise_the_run(config, device, options):
    plain, recorded = (create(config, device, cuda_graph=graph, **options) for graph in (False, True))
    recorded.prepare()
    assert list(recorded.replays) == list(dict.fromkeys(recorded.config.patch_dropout))
    for trainer in (plain, recorded):
        train(trainer, 2)
    assert_same(plain.state_dict(), recorded.state_dict())


@pytest.mark.parametrize("device", [cuda])
def test_a_recorded_run_resumes_bitwise_from_the_middle_of_an_epoch(config, device):
    whole, stopped = (create(config, device, patch_dropout=(0.5, 0.0)) for _ in range(2))
    whole.prepare()
    train(whole, 2)

    class Stop(Exception):
        pass

    def stop(n):
        if stopped.step == 2:
            raise Stop

    stopped.prepare()
    with pytest.raises(Stop):
        stopped.train_epoch(stop)
    resumed = create(config, device, patch_dropout=(0.5, 0.0))
    resumed.load_state_dict(torch.utils._pytree.tree_map(
        lambda x: x.cpu() if isinstance(x, torch.Tensor) else x, stopped.state_dict()))
    resumed.prepare()
    train(resumed, 2)
    assert_same(whole.state_dict(), resumed.state_dict())
