"""The quick form of AttGAN's generator computes what the plain one does."""

import numpy as np
import pytest
import torch

from models.attgan import Generator
from models.attgan_inference import Fast, fast


def net_of(seed=0, **options) -> Generator:
    """A generator whose norms have seen something, so that folding them has something to get wrong."""
    torch.manual_seed(seed)
    net = Generator(**{"n_attrs": 5, "enc_dim": 8, "dec_dim": 8, "enc_layers": 4, "dec_layers": 4, **options})
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3)
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("norm", ["batchnorm", "instancenorm", "none"])
@pytest.mark.parametrize("shortcuts", [0, 1, 3])
@pytest.mark.parametrize("injections", [0, 1, 3])
@pytest.mark.parametrize("size", [32, 64])
def test_it_is_the_plain_generator(size, injections, shortcuts, norm):
    net = net_of(shortcut_layers=shortcuts, inject_layers=injections, enc_norm=norm, dec_norm=norm)
    x, a = torch.randn(1, 3, size, size), torch.randn(6, 5)
    quick = Fast(net)
    assert (quick.decode(quick.encode(x), a) - net(x.expand(6, -1, -1, -1), a)).abs().max() < 2e-5


@pytest.mark.parametrize("refine", [0, 6])
def test_a_change_is_laid_over_the_picture(refine):
    net = net_of(head="change", refine=refine, difference=True)
    x, a = torch.rand(1, 3, 32, 32) * 2 - 1, torch.randn(6, 5)
    quick = Fast(net)
    made, mask = net.made(net.encode(x), a)
    assert made.shape == (6, 3, 32, 32) and mask.shape == (6, 1, 32, 32) and made.abs().max() <= 1
    assert torch.allclose((made - x).abs().amax(dim=1, keepdim=True).clamp_min(2 * mask), 2 * mask, atol=1e-6)
    assert (quick.decode(quick.encode(x), a) - made).abs().max() < 2e-5


def test_several_pictures_at_once():
    net = net_of(dec_layers=3)
    x, a = torch.randn(3, 3, 32, 48), torch.randn(3, 5)
    quick = Fast(net)
    with pytest.raises(RuntimeError):  # as many rows of attributes as pictures, or one picture
        quick.decode(quick.encode(x), torch.randn(2, 5))
    x = x[..., :32]
    assert (quick.decode(quick.encode(x), a) - net(x, a)).abs().max() < 2e-5


def test_the_published_weights(fixtures):
    import weights

    found = np.load(fixtures("attgan_64.npz"))
    net = weights.read(fixtures("attgan_64.pth"))
    quick = fast(net)
    made = quick.decode(quick.encode(torch.from_numpy(found["x"])), torch.from_numpy(found["att"]))
    assert np.abs(made.numpy() - found["img"]).max() < 1e-4
    assert fast(net) is quick


def test_nothing_of_it_stays_when_the_network_goes():
    import gc
    import weakref

    net = net_of()
    gone = weakref.ref(fast(net))
    del net
    gc.collect()
    assert gone() is None
