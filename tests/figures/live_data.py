"""What the live figures are tested with: the values that a chapter would give them, small and fixed."""

import numpy as np
import torch

from minivit.data import load
from minivit.data.augment import normalize
from minivit.data.cifar100 import MEAN, STD
from minivit.figures import attention_explorer, live_figure, pack_picture
from minivit.models import create_model

RNG = np.random.default_rng(0)
SCORES, MANY_SCORES, VALUES = np.array([2.0, 1.0, 0.5, 0.0, -0.5, -1.0]), RNG.normal(size=65), RNG.normal(size=(65, 16))
PICTURE = load("shapes", train_images=1, test_images=2).test.images[1].numpy()
SPEEDS = {"ViT-Ti": 28000.0, "ViT-S": 7800.0, "ViT-B": 2050.0}
PLAN = dict(per_core=640.0, images=1_281_167, test_images=50_000, batch_size=1024, epochs=300, gpus=8, cores=12,
            price=2.5, watts=1000.0)
LINKS = {"inside": (3.4e-6, 370e9), "fast": (14e-6, 47e9), "slow": (50e-6, 1.1e9)}
SIGNS = RNG.integers(-1, 2, size=PICTURE.shape)
SLOPES = np.array([2, 0.3, 0.01])[:, None] * np.arange(25)  # of residuals: decades over the layers, for three strengths
DATA = {
    "softmax": {},
    "temperature": {"scores": SCORES},
    "entropy": {"scores": MANY_SCORES},
    "averaging": {"picture": pack_picture(PICTURE), "side": 32, "patch": 4},
    "break_even": {},
    "planner": {"models": SPEEDS} | PLAN,
    "ring": {},
    "computing": {"speed": 1460.0, "gradient": 346e6, "links": LINKS, "buckets": 14},
    "patches": {"picture": pack_picture(PICTURE), "side": 32},
    "head_size": {"products": RNG.normal(size=(16, 128)), "sizes": [1, 8, 128], "raw": [2.4, 1.5, 0.6],
                  "scaled": [2.4, 2.4, 2.4]},
    "power": {"effect": 0.7, "sd": 0.7},
    "similarity": {"scores": RNG.normal(size=(2, 24, 24))},
    "between": {"side": 7, "shift": 2},
    "share": {"side": 7, "bonus": 3.0},
    "descent": {"scores": RNG.normal(size=(16, 16)) + 2 * np.eye(16)},
    "attack": {"picture": pack_picture(PICTURE), "side": 32, "signs": pack_picture(SIGNS + 1),
               "epsilons": [0, 0.25, 1, 4, 16], "kept": {"plain": [100, 97, 70, 10, 0], "CB": [100, 98, 80, 20, 0]}},
    "skip": {"strengths": [0, 0.5, 1], "floor": 1e-15,
             "residuals": {name: 10.0 ** -np.minimum(15, np.stack([1.1 * slopes, slopes, 0.9 * slopes], axis=1))
                           for name, slopes in (("plain", SLOPES), ("CB", 1.3 * SLOPES))},
             "distances": RNG.random((3, 17, 17)) * np.array([1e-15, 1e-7, 1])[:, None, None] * (1 - np.eye(17))},
    "roofline": {"peak": 5e10, "bandwidth": 1e10, "cache_bandwidth": 3e10, "tokens": 65,
                 "points": {batch: {"product": [9 + batch / 20, 4e10], "softmax": [0.6, 1e9], "AdamW": [0.43, 4e9]}
                            for batch in (1, 8, 64)}},
    "rounding": {"digits": [0, 2, 7], "exact": VALUES[0], "marked": 7, "right": [30.0, 81.5, 90.0],
                 "rounded": [VALUES[0] + error * VALUES[1] for error in (0.5, 0.1, 0.003)]},
    "fitted": {"sizes": [1, 2, 4], "wanted": np.eye(7),
               "found": [share * np.eye(7) + (1 - share) / 7 for share in (0, 0.5, 0.9)]},
    "online": {"scores": MANY_SCORES, "values": VALUES, "block": 8},
}


def trained_maps():
    """Return the attention of both pretrained models on the picture, for each layer (H, N, N)."""
    images = normalize(torch.from_numpy(PICTURE)[None], MEAN, STD)
    maps = {}
    for name, context in (("plain", "none"), ("CB", "cb")):
        model = create_model("vit_nano_patch4_32", context=context, num_classes=100, pretrained=True).eval()
        with torch.no_grad():
            maps[name] = [layer[0] for layer in model(images, return_attention=True)[1]]
    return maps


def make(name):
    return attention_explorer(PICTURE, trained_maps()) if name == "attention" else live_figure(name, **DATA[name])
