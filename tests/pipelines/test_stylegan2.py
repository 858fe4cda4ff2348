import numpy as np
import pytest
import torch
from PIL import Image

from models.stylegan2 import Generator
from pipelines import stylegan2
from weights.errors import UserError


def pixels(images):
    return np.stack([np.asarray(im) for im in images]).astype(int)


# -- seeds and layers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("1-4, 42", [1, 2, 3, 4, 42]),
        ("7", [7]),
        (" 3 5;9 ", [3, 5, 9]),
        ("4-2", [4, 3, 2]),
        ("1 – 3", [1, 2, 3]),
        (12, [12]),
        (12.0, [12]),
        ([1, 2.0], [1, 2]),
        ("1, 1", [1, 1]),
        ("4294967295", [4294967295]),
    ],
)
def test_seeds_as_people_write_them(text, seeds):
    assert stylegan2.parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "  ,", "abc", "1-", "-3", "1.5", "1-10000", "0-99999999999", "4294967296", None, [], ["x"], [1.5], [-1], True]
    + ["9" * 5000, float("nan"), [float("inf")], list(range(65)), {"a": 1}],
)
def test_nonsense_for_seeds_is_one_sentence(text):
    with pytest.raises(UserError) as e:
        stylegan2.parse_seeds(text)
    assert str(e.value).endswith(".") and "\n" not in str(e.value)


@pytest.mark.parametrize("seed", ["99999999999999", "0-99999999999", "4294967296", "9" * 40, [2**32], -1, [1e300]])
def test_a_number_that_is_too_large_for_a_seed_is_told_the_range(seed):
    with pytest.raises(UserError, match="from 0 to 4,294,967,295"):
        stylegan2.parse_seeds(seed)


def test_leading_zeros_are_no_large_numbers():
    assert stylegan2.parse_seeds("0000000000007") == [7]


def test_layer_groups_cover_every_row_once(net):
    groups = stylegan2.layer_groups(net)
    assert [r for g in groups.values() for r in g] == list(range(net.num_ws))
    assert groups["coarse"] == range(0, 3)  # conv1 of 4 px, two convolutions of 8 px
    assert groups["middle"] == range(3, 7)
    assert groups["fine"] == range(7, 10)  # two convolutions of 64 px and the last toRGB


def test_small_networks_have_no_fine_rows(conditional):
    groups = stylegan2.layer_groups(conditional)
    assert len(groups["fine"]) == 0 and groups["middle"].stop == conditional.num_ws
    with pytest.raises(UserError):
        stylegan2.parse_layers(conditional, "fine")


def test_layers_by_name_number_and_list(net):
    assert stylegan2.parse_layers(net, "coarse+fine") == [0, 1, 2, 7, 8, 9]
    assert stylegan2.parse_layers(net, "3-5, 0") == [0, 3, 4, 5]
    assert stylegan2.parse_layers(net, [2, 1]) == [2, 1]
    assert stylegan2.parse_layers(net, "ALL") == list(range(net.num_ws))
    for bad in ("10", "coars", "", [10], [], "1-99999"):
        with pytest.raises(UserError):
            stylegan2.parse_layers(net, bad)


# -- sample and truncation ---------------------------------------------------------------------------------------


def test_a_seed_is_the_z_of_the_official_programs(net):
    z = torch.from_numpy(np.random.RandomState(7).randn(1, net.z_dim)).float()
    x = net(z, truncation_psi=0.7, noise_mode="const")
    expected = (x[0].permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255).byte().numpy()
    assert (np.asarray(stylegan2.sample(net, [7])[0]) == expected).all()


@pytest.mark.parametrize("mode", ["const", "random", "none"])
def test_a_picture_does_not_depend_on_its_company(net, mode):
    # Batched and single convolutions round differently, so one level of 255 is allowed.
    together = pixels(stylegan2.sample(net, [1, 2, 3], noise_mode=mode))
    again = pixels(stylegan2.sample(net, [1, 2, 3], noise_mode=mode))
    assert (together == again).all()
    alone = pixels(stylegan2.sample(net, [1], noise_mode=mode))
    assert abs(together[0] - alone[0]).max() <= 1


def test_noise_modes_and_noise_seeds_differ(net):
    const, none = (pixels(stylegan2.sample(net, [1], noise_mode=m)) for m in ("const", "none"))
    a, b = (pixels(stylegan2.sample(net, [1], noise_mode="random", noise_seed=s)) for s in (0, 1))
    assert (const != none).any() and (a != b).any() and (a != const).any()


def test_psi_zero_is_the_average_and_one_is_w(net):
    pictures = pixels(stylegan2.sample(net, [1, 2], truncation_psi=0))
    assert (pictures[0] == pictures[1]).all()
    w = net.mapping(torch.from_numpy(np.random.RandomState(1).randn(1, net.z_dim)).float())
    assert torch.allclose(stylegan2.latent(net, 1, truncation_psi=1), w, atol=1e-6)


def test_cutoff_and_levels_act_on_their_rows_only(net):
    free, cut = stylegan2._w(net, [1], 1.0), stylegan2._w(net, [1], 0.0, truncation_cutoff=4)
    assert torch.equal(cut[:, 4:], free[:, 4:])
    assert torch.allclose(cut[:, :4], net.mapping.w_avg.expand(1, 4, -1))
    levels = stylegan2._w(net, [1], 1.0, psi_levels={"middle": 0.0, "fine": None})
    assert torch.allclose(levels[:, 3:7], net.mapping.w_avg.expand(1, 4, -1))
    assert torch.allclose(levels[:, [0, 1, 2, 7, 8, 9]], free[:, [0, 1, 2, 7, 8, 9]], atol=1e-6)


def test_truncation_strip_agrees_with_samples(net):
    strip = stylegan2.truncation(net, 3, psis=(-1, 0, 0.7))
    assert len(strip) == 3
    assert abs(pixels(strip[2:]) - pixels(stylegan2.sample(net, [3], 0.7))).max() <= 1


def test_classes(conditional):
    a, b = (pixels(stylegan2.sample(conditional, [1], class_index=i)) for i in (0, 2))
    assert (a != b).any()
    assert (pixels(stylegan2.sample(conditional, [1])) == a).all()
    for bad in (3, -1, "x", 0.5):
        with pytest.raises(UserError):
            stylegan2.sample(conditional, [1], class_index=bad)


@pytest.mark.parametrize(
    "arguments",
    [
        {"truncation_psi": 1e9},
        {"truncation_psi": float("nan")},
        {"truncation_psi": "much"},
        {"truncation_cutoff": -1},
        {"truncation_cutoff": 99},
        {"noise_mode": "loud"},
        {"noise_mode": None},
        {"noise_mode": "random", "noise_seed": -1},
        {"psi_levels": {"coarse": 1e9}},
        {"psi_levels": {"roof": 1}},
        {"seeds": range(10_000)},
    ],
)
def test_absurd_arguments_are_one_sentence(net, arguments):
    with pytest.raises(UserError) as e:
        stylegan2.sample(net, **{"seeds": [1], **arguments})
    assert str(e.value).endswith(".") and "\n" not in str(e.value)


# -- mixing ------------------------------------------------------------------------------------------------------


def test_mixing_takes_the_layers_from_the_column(net):
    grid = stylegan2.mix(net, [1, 2], [3, 4, 5], layers="middle")
    assert [len(r) for r in grid] == [3, 3]
    w = stylegan2._w(net, [2, 5], 0.7)
    ws = w[:1].clone()
    ws[:, 3:7] = w[1:, 3:7]
    assert abs(pixels([grid[1][2]]) - pixels(stylegan2._render(net, ws, "const"))).max() <= 1


def test_mixing_all_layers_is_the_column_and_the_diagonal_is_itself(net):
    grid = stylegan2.mix(net, [1, 2], [3, 4], layers="all")
    assert abs(pixels([grid[0][1]]) - pixels(stylegan2.sample(net, [4]))).max() <= 1
    same = stylegan2.mix(net, [1, 2], [1, 2], layers="coarse")
    assert abs(pixels([same[1][1]]) - pixels(stylegan2.sample(net, [2]))).max() <= 1


def test_grids_are_bounded(net):
    with pytest.raises(UserError):
        stylegan2.mix(net, "1-12", "1-12")
    with pytest.raises(UserError):
        stylegan2.mix(net, "1-13", "1")


# -- interpolation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["z", "w"])
def test_open_walks_start_and_end_at_their_seeds(net, space):
    frames = list(stylegan2.interpolate(net, [1, 2, 3], frames=9, space=space, loop=False))
    assert len(frames) == 9
    keys = pixels(stylegan2.sample(net, [1, 2, 3]))
    for place, key in zip((0, 4, 8), keys, strict=True):
        assert abs(pixels([frames[place]])[0] - key).max() <= 1


@pytest.mark.parametrize("space", ["z", "w"])
def test_loops_come_back_without_showing_the_first_twice(net, space):
    frames = pixels(stylegan2.interpolate(net, [1, 2], frames=8, space=space, loop=True))
    keys = pixels(stylegan2.sample(net, [1, 2]))
    assert abs(frames[0] - keys[0]).max() <= 1 and abs(frames[4] - keys[1]).max() <= 1
    steps = [abs(a - b).mean() for a, b in zip(frames, np.roll(frames, -1, axis=0), strict=True)]
    assert min(steps) > 0  # the seam is a step like the others


def test_slerp_keeps_to_the_circle():
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    half = stylegan2._slerp(a, b, torch.tensor([[0.5]]))
    assert torch.allclose(half, torch.tensor([[3.0, 3.0]]) / 2**0.5, atol=1e-6)
    assert torch.isfinite(stylegan2._slerp(a, a, torch.tensor([[0.3]]))).all()
    assert torch.isfinite(stylegan2._slerp(a, -a, torch.tensor([[0.3]]))).all()


def test_smooth_easing_rests_at_the_seeds(net):
    def steps(easing):
        f = pixels(stylegan2.interpolate(net, [1, 2], frames=21, loop=False, easing=easing))
        return [abs(a - b).mean() for a, b in zip(f, f[1:], strict=False)]

    smooth, linear = steps("smooth"), steps("linear")
    assert smooth[0] < linear[0] / 2 and smooth[10] > linear[10]


def test_frames_come_one_by_one(net):
    assert isinstance(next(stylegan2.interpolate(net, [1, 2], frames=600)), Image.Image)


@pytest.mark.parametrize(
    "arguments",
    [
        {"frames": 0},
        {"frames": 1_000_000},
        {"frames": 2.5},
        {"seeds": [1]},
        {"seeds": "1-9"},
        {"space": "q"},
        {"easing": "bouncy"},
        {"truncation_psi": 1e9},
        {"noise_mode": "x"},
    ],
)
def test_absurd_walks_fail_before_the_first_frame(net, arguments):
    with pytest.raises(UserError):
        stylegan2.interpolate(net, **{"seeds": [1, 2], **arguments})


# -- noise -------------------------------------------------------------------------------------------------------


def test_noise_variation_measures_what_noise_changes(net):
    v = stylegan2.noise(net, 1, count=4)
    levels = pixels(v.images).astype(np.float32)
    deviation = levels.std(axis=0, ddof=1).mean(axis=2)
    assert len(v.images) == 4
    assert v.mean_deviation == pytest.approx(deviation.mean(), rel=1e-5)
    assert v.max_deviation == pytest.approx(deviation.max(), rel=1e-5)
    # The brightest place of the map is where the deviation is largest.
    heat = np.asarray(v.deviation.resize((64, 64), Image.Resampling.NEAREST)).sum(axis=2)
    assert heat.flat[deviation.argmax()] == heat.max()


def test_a_network_without_noise_does_not_vary():
    torch.manual_seed(0)
    still = Generator(
        z_dim=8, w_dim=8, img_resolution=8, mapping_layers=1, channel_base=64, channel_max=8, use_noise=False
    )
    assert stylegan2.noise(still.eval().requires_grad_(False), 1, count=3).max_deviation == 0


# -- directions --------------------------------------------------------------------------------------------------


def test_directions_are_orthonormal_and_ordered(net):
    d = stylegan2.directions(net, "all", 8)
    assert torch.allclose(d.vectors @ d.vectors.t(), torch.eye(8), atol=1e-5)
    assert list(d.strengths) == sorted(d.strengths, reverse=True) and d.names[0] == "1"


def test_the_first_direction_moves_the_styles_most(net):
    first = stylegan2.directions(net, "coarse", 1).vectors[0]
    affines = [net.synthesis.b4.conv1, net.synthesis.b8.conv0, net.synthesis.b8.conv1]
    a = torch.cat([m.affine.weight / m.affine.weight.norm(dim=1, keepdim=True) for m in affines])
    v = torch.randn(200, net.w_dim, generator=torch.Generator().manual_seed(0))
    v = v / v.norm(dim=1, keepdim=True)
    assert (a @ first).norm() >= (a @ v.t()).norm(dim=0).max()


def test_moving_changes_the_chosen_layers_only(net):
    offset = stylegan2._offset(net, {"1": 2.0, "3": -1.0}, "middle")
    assert (offset[:, 3:7] != 0).any() and (offset[:, [0, 1, 2, 7, 8, 9]] == 0).all()
    still = pixels([stylegan2.move(net, 1, {"1": 0})])
    assert abs(still - pixels(stylegan2.sample(net, [1]))).max() <= 1
    strip = stylegan2.move_strip(net, 1, "2", amounts=(-3, 0, 3))
    assert abs(pixels([strip[1]]) - still).max() <= 1
    assert abs(pixels([strip[2]]) - pixels([stylegan2.move(net, 1, {"2": 3})])).max() <= 1


@pytest.mark.parametrize(
    "amounts", [{"900": 1}, {"1": 1e6}, {"Smile": 1}, "1", {"1": "x"}, {str(i): 1 for i in range(99)}]
)
def test_absurd_directions(net, amounts):
    with pytest.raises(UserError):
        stylegan2.move(net, 1, amounts)


# -- the flower experiment ---------------------------------------------------------------------------------------


def test_parameters_of_the_flower_experiment():
    before = stylegan2.parameter_count(128, 8, 512, 512, 16384)
    after = stylegan2.parameter_count(128, 4, 256, 256, 16384)
    assert round(before["total"] / 1e6, 1) == 24.5 and round(after["total"] / 1e6, 1) == 20.9
    small = Generator(z_dim=16, w_dim=24, img_resolution=16, mapping_layers=3, channel_base=128, channel_max=16)
    assert stylegan2.parameter_count(16, 3, 16, 24, 128, 16)["total"] == sum(p.numel() for p in small.parameters())
    for bad in ({"resolution": 100}, {"mapping_layers": 0}, {"z_dim": 1e9}, {"channel_base": "x"}):
        with pytest.raises(UserError):
            stylegan2.parameter_count(**bad)
