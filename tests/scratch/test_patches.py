import numpy as np
import pytest
import torch.nn.functional as F

from minivit.scratch import conv2d, conv2d_backward, patch_embed, patch_embed_backward, patchify, unpatchify

SIDE, PATCH, CHANNELS, DIM = 15, 5, 3, 7


def embed_in_torch(images, weight, bias):
    return F.conv2d(images, weight, bias, stride=PATCH).flatten(2).mT


def test_patch_embed_is_the_strided_convolution_of_torch(check_operation, draw):
    check_operation(patch_embed, lambda d, images, weight, bias: patch_embed_backward(d, images, weight),
                    embed_in_torch, draw(2, CHANNELS, SIDE, SIDE), draw(DIM, CHANNELS, PATCH, PATCH), draw(DIM))


def test_patches_of_a_wide_image_are_those_of_torch(check_operation, draw):
    check_operation(patch_embed, lambda d, images, weight, bias: patch_embed_backward(d, images, weight),
                    embed_in_torch, draw(2, CHANNELS, 10, 35), draw(DIM, CHANNELS, PATCH, PATCH), draw(DIM))
    images = draw(2, CHANNELS, 10, 40)  # 16 patches, and not 4 x 4
    np.testing.assert_array_equal(unpatchify(patchify(images, PATCH), CHANNELS, (2, 8)), images)


@pytest.mark.parametrize("kernel, stride", [(5, 5), (3, 2), (2, 3), (3, 1)])
def test_conv2d_is_that_of_torch(check_operation, draw, kernel, stride):
    check_operation(lambda *inputs: conv2d(*inputs, stride),
                    lambda d, images, weight, bias: conv2d_backward(d, images, weight, stride),
                    lambda *inputs: F.conv2d(*inputs, stride=stride),
                    draw(2, CHANNELS, 11, 13), draw(DIM, CHANNELS, kernel, kernel), draw(DIM))


def test_the_matrix_and_the_convolution_agree(draw):
    images, weight, bias = draw(2, CHANNELS, SIDE, SIDE), draw(DIM, CHANNELS, PATCH, PATCH), draw(DIM)
    by_convolution = conv2d(images, weight, bias, stride=PATCH)
    np.testing.assert_allclose(patch_embed(images, weight, bias),
                               by_convolution.reshape(2, DIM, -1).swapaxes(1, 2), rtol=1e-12)


def test_patches_are_in_reading_order_and_their_pixels_channel_by_channel(draw):
    image = draw(1, CHANNELS, SIDE, SIDE)
    patches = patchify(image, PATCH)
    assert patches.shape == (1, 9, CHANNELS * PATCH**2)
    second = image[0, :, 0:5, 5:10]  # first row of patches, second column
    np.testing.assert_array_equal(patches[0, 1], second.ravel())


def test_unpatchify_puts_every_pixel_back(draw):
    images = draw(2, CHANNELS, SIDE, SIDE)
    np.testing.assert_array_equal(unpatchify(patchify(images, PATCH), CHANNELS), images)


@pytest.mark.parametrize("call, message", [
    (lambda x: patchify(x(2, 3, 8, 8), 3), "patch_size=3 does not divide the side of images, 8"),
    (lambda x: patchify(x(2, 3, 8, 6), 4), "patch_size=4 does not divide the side of images, 6"),
    (lambda x: patchify(x(2, 3, 8, 6), 2.0), "patch_size=2.0 must be a whole number"),
    (lambda x: patchify(x(8, 8), 2), r"images has shape \(8, 8\); expected \(B, I, T, S\)"),
    (lambda x: unpatchify(x(2, 12, 12), 3, (2, 5)), r"patches has shape \(2, 12, 12\); expected .* N 2 \* 5"),
    (lambda x: unpatchify(x(2, 4, 12), 0), "channels=0"),
    (lambda x: unpatchify(x(2, 5, 12), 3), r"patches has shape \(2, 5, 12\)"),
    (lambda x: patch_embed(x(2, 3, 8, 8), x(5, 1, 2, 2)), r"images has shape \(2, 3, 8, 8\); expected \(B, 1, T, S\)"),
    (lambda x: patch_embed(x(2, 3, 8, 8), x(5, 3, 2, 4)), r"weight has shape \(5, 3, 2, 4\)"),
    (lambda x: conv2d(x(2, 3, 4, 4), x(5, 3, 6, 6)), "at least 6 pixels"),
    (lambda x: conv2d(x(2, 3, 4, 4), x(5, 3, 2, 2), stride=0), "stride=0"),
])
def test_bad_arguments_are_named(draw, call, message):
    with pytest.raises(ValueError, match=message):
        call(draw)
