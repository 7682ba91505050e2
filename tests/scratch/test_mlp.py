import pytest
from torch.func import functional_call

from minivit.layers import Mlp, create_context
from minivit.scratch import mlp, mlp_backward

B, N, C, M = 2, 5, 7, 11


@pytest.fixture
def params(draw):
    return {"fc1.weight": draw(M, C), "fc1.bias": draw(M), "fc2.weight": draw(C, M), "fc2.bias": draw(C)}


@pytest.mark.parametrize("context", ["none", "cb", "cb_s"])
def test_mlp_is_the_layer(check_operation, draw, params, context):
    layer = Mlp(C, M, end=create_context(context, C)).double()
    params |= {"end.scale": draw(C)} if context == "cb_s" else {}
    check_operation(lambda x, params: mlp(x, params, context),
                    lambda d, x, params: mlp_backward(d, mlp(x, params, context)[1]),
                    lambda x, params: functional_call(layer, params, (x,)), draw(B, N, C), params)


def test_bad_arguments_are_named(draw, params):
    with pytest.raises(ValueError, match="context='cc' is not known.*it must be one of none, cb, cb_s"):
        mlp(draw(B, N, C), params, "cc")
    with pytest.raises(ValueError, match=r"lacks the keys end.scale"):
        mlp(draw(B, N, C), params, "cb_s")
    with pytest.raises(ValueError, match=r"params\['fc2.weight'\] has shape \(11, 7\); expected \(7, 11\)"):
        mlp(draw(B, N, C), params | {"fc2.weight": draw(M, C)})
    with pytest.raises(ValueError, match="lacks the keys fc1.bias"):
        mlp(draw(B, N, C), {k: v for k, v in params.items() if k != "fc1.bias"})
