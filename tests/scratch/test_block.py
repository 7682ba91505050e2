import pytest
from torch.func import functional_call

from minivit.layers import Attention, Block
from minivit.scratch import block, block_backward

B, N, C, H = 2, 7, 6, 3


@pytest.mark.parametrize("context", ["none", "cb", "cb_s"])
def test_block_is_the_layer(check_operation, draw, context):
    layer = Block(C, Attention(C, H), mlp_ratio=11 / 6, context=context).double()
    params = {name: draw(*value.shape) for name, value in layer.state_dict().items()}
    check_operation(lambda x, params: block(x, params, H, context),
                    lambda d, x, params: block_backward(d, block(x, params, H, context)[1]),
                    lambda x, params: functional_call(layer, params, (x,)), draw(B, N, C), params)


def test_a_block_that_adds_nothing_is_the_identity_both_ways(draw):
    params = {name: 0 * draw(*value.shape) for name, value in Block(C, Attention(C, H)).state_dict().items()}
    x, d_out = draw(B, N, C), draw(B, N, C)
    out, saved = block(x, params, H)
    assert (out == x).all() and (block_backward(d_out, saved)[0] == d_out).all()


def test_a_missing_parameter_is_named(draw):
    layer = Block(C, Attention(C, H))
    params = {name: draw(*value.shape) for name, value in layer.state_dict().items() if name != "norm2.bias"}
    with pytest.raises(ValueError, match="norm2 lacks the keys bias"):
        block(draw(B, N, C), params, H)
