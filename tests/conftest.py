import pytest

from minivit.training import Config


@pytest.fixture
def config():
    """A run of two epochs of three steps (eight images are left out of each) that takes a fraction of a second."""
    return Config(dataset="digits", model="vit_nano_patch4_32", train_images=131, epochs=2, batch_size=41,
                  optimizer="muon", warmup_epochs=0.5, crop_padding=1,
                  augmentation="randaugment", erasing=0.25, repeats=2, mixup=0.2, cutmix=1.0, ema_decay=0.9,
                  model_options=dict(image_size=8, patch_size=4, in_channels=1, dim=12, depth=2, num_heads=3,
                                     context="cb_s", dropout=0.1, drop_path=0.1))
