import pytest
import torch
from torch import nn

from minivit.data import load
from minivit.training import Trainer
from tests.host_free import HostError, host_free

CPU = torch.device("cpu")
EVERYTHING = {"augmentation": "trivialaugment", "patch_dropout": (0.5,)}
PARTS = [{}, EVERYTHING, {"mixup": 0.0}, {"cutmix": 0.0}, {"clip_norm": None, "ema_decay": None, "optimizer": "adamw"},
         {"diagonality": 0.5, "model_options": {"attention_layers": [0], "less_attention_form": "factors"}},
         {"precision": "bfloat16"}]


def create(config, **options):
    config = config.override(**options).override(model_options={"num_classes": 10})
    trainer = Trainer(config, load("digits"), CPU)
    trainer.model.train()
    batch = trainer.images.images[:41], trainer.images.labels[:41]
    return trainer, batch


@pytest.mark.parametrize("options", PARTS, ids=str)
def test_a_step_asks_nothing_of_the_host(config, options):
    trainer, batch = create(config, **options)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.prepare_step()
    with host_free():
        trainer.take_step(*batch)
    assert all(not torch.equal(p, q) for p, q in zip(trainer.model.parameters(), before, strict=True)
               if p.grad is not None and p.grad.any())
    assert trainer.progress.read()[0] > 0


def averaged(model):
    torch.optim.swa_utils.AveragedModel(model).update_parameters(model)


VIOLATIONS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x[0]),
    "bool of a value": lambda x: 1 if x[0] > 0 else 0,
    "index by a value": lambda x: [5, 7][x.argmax() // 100],
    "equal": lambda x: torch.equal(x, x),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.detach().numpy(),
    "to the host": lambda x: x.cpu(),
    "to a named device": lambda x: x.to("cpu"),
    "to another device": lambda x: x.to(torch.device("meta")),
    "copy from another device": lambda x: x.copy_(torch.empty(x.shape, device="meta")),
    "made on no device": lambda x: x + torch.zeros(len(x)),
    "host list": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "host number": lambda x: x.new_tensor(1.0),
    "index by a host list": lambda x: x[[1, 0]],
    "nonzero": lambda x: x.nonzero(),
    "where without values": lambda x: torch.where(x > 0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "index by a mask": lambda x: x[x > 0],
    "assignment by a mask": lambda x: x.clone().index_put_((x > 0,), x[0]),
    "unique": lambda x: x.unique(),
    "repeat_interleave": lambda x: x.repeat_interleave(x.long().abs()),
    "one_hot": lambda x: nn.functional.one_hot(x.long().abs(), 100),
    "beta that validates": lambda x: torch.distributions.Beta(x.abs() + 1, x.abs() + 1, validate_args=True),
    "average of torch's, which counts": lambda x: averaged(nn.Linear(2, 2, device=x.device)),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_step_that_asks_is_refused(config, name):
    trainer, batch = create(config)

    class Asks(nn.Module):
        def forward(self, x):
            VIOLATIONS[name](x.detach().clone().flatten()[:7])
            return x

    trainer.model.norm = nn.Sequential(Asks(), trainer.model.norm)
    with pytest.raises((HostError, RuntimeError)) as caught, host_free():
        trainer.take_step(*batch)
    assert isinstance(caught.value, HostError) or "meta" in str(caught.value)
    with host_free():  # and the mode itself forbids nothing else
        trainer.model.norm = trainer.model.norm[1]
        trainer.take_step(*batch)


def test_the_violations_are_seen_in_the_backward_pass_too(config):
    trainer, batch = create(config)
    trainer.model.norm.weight.register_hook(lambda grad: grad * grad.sum().item())
    with pytest.raises(HostError, match="_local_scalar_dense"), host_free():
        trainer.take_step(*batch)
