import math

import numpy as np
import pytest
import torch

from usvi_bench.components.augment import (
    ERASED,
    LUMA,
    MEAN,
    STD,
    VIEWS,
    AugmentConfig,
    ViewRequest,
    _augment_together,
    augment,
    crop,
    erase,
    normalise,
    recolour,
)
from usvi_bench.components.augment_draws import UNCHANGED, AugmentParams, ViewDraw, boxes_of, draw_params, draw_tries
from usvi_bench.core.errors import UsageError

H, W = 12, 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample_params(
    batch: int, height: int, width: int, view: str, config: AugmentConfig, draws: torch.Generator
) -> AugmentParams:
    chances = {"pad": config.pad, "flip": config.flip, "erase": config.erase}
    return draw_params([ViewDraw(view, batch, draws)], height, width, **chances)


def photographs(batch: int, height: int = H, width: int = W) -> torch.Tensor:
    return torch.randint(0, 256, (batch, height, width, 3), generator=generator(9), dtype=torch.uint8)


def test_normalise_is_the_loop():
    images = photographs(2)
    found = normalise(images)
    for b, y, x, c in np.ndindex(2, H, W, 3):
        assert found[b, c, y, x].item() == pytest.approx((int(images[b, y, x, c]) / 255 - MEAN[c]) / STD[c], abs=1e-5)


def test_crop_is_the_loop():
    images, pad = photographs(40), 3
    params = sample_params(40, H, W, "plain", AugmentConfig(pad=pad), generator())
    found = crop(images, params.top, params.left, params.flip, pad).numpy()
    assert params.flip.any()
    assert not params.flip.all()
    for b, image in enumerate(images.numpy()):
        padded = np.zeros((H + 2 * pad, W + 2 * pad, 3), dtype=np.uint8)
        padded[pad:-pad, pad:-pad] = image
        cut = padded[params.top[b] : params.top[b] + H, params.left[b] : params.left[b] + W]
        assert np.array_equal(found[b], cut[:, ::-1] if params.flip[b] else cut)


def test_erase_is_the_loop():
    images = normalise(photographs(30))
    box = boxes_of(draw_tries(30, generator()), H, W)
    box[::3, 2] = 0
    found = erase(images, box)
    for b, (top, left, tall, wide) in enumerate(box.tolist()):
        expected = images[b].clone()
        for y, x, c in np.ndindex(tall, wide, 3):
            expected[c, top + y, left + x] = ERASED[c]
        assert torch.equal(found[b], expected)


def test_recolour_is_the_loop():
    images = normalise(photographs(10))
    channel = torch.arange(10) % 5
    found = recolour(images, channel)
    for b, choice in enumerate(channel.tolist()):
        if choice < 3:
            assert torch.equal(found[b], images[b, choice].expand(3, -1, -1))
        elif choice == 3:
            luma = sum(weight * images[b, c] for c, weight in enumerate(LUMA))
            assert torch.allclose(found[b], luma.expand(3, -1, -1), atol=1e-6)
        else:
            assert torch.equal(found[b], images[b])


def test_luma_value():
    """Planes 1, 2, 3 give 1.8149, as in the released channel step."""
    planes = torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
    assert recolour(planes, torch.tensor([3])).unique().item() == pytest.approx(1.8149)


@pytest.mark.parametrize("view", ["plain", "channel", "infrared"])
def test_augment_is_its_steps_in_order(view):
    images, config = photographs(16), AugmentConfig(pad=2)
    found = augment(images, view, config, generator(3))
    params = sample_params(16, H, W, view, config, generator(3))
    expected = erase(normalise(crop(images, params.top, params.left, params.flip, 2)), params.box)
    assert found.shape == (16, 3, H, W)
    assert found.dtype == torch.float32
    assert torch.equal(found, recolour(expected, params.channel))


def test_draws_have_the_published_distributions():
    config = AugmentConfig()
    params = sample_params(20_000, 288, 144, "infrared", config, generator())
    for offset in (params.top, params.left):
        assert torch.bincount(offset, minlength=21) / 20_000 == pytest.approx(np.full(21, 1 / 21), abs=0.006)
    assert params.flip.double().mean().item() == pytest.approx(0.5, abs=0.015)
    assert (params.box[:, 2] > 0).double().mean().item() == pytest.approx(0.5, abs=0.015)
    shares = torch.bincount(params.channel, minlength=5) / 20_000
    assert shares.tolist() == pytest.approx([0.25, 0.25, 0.25, 0.125, 0.125], abs=0.015)
    exchange = sample_params(20_000, 288, 144, "channel", config, generator()).channel
    assert (torch.bincount(exchange, minlength=5) / 20_000).tolist() == pytest.approx([1 / 3] * 3 + [0, 0], abs=0.015)
    assert (sample_params(100, 288, 144, "plain", config, generator()).channel == UNCHANGED).all()


def test_draws_are_independent_of_each_other():
    params = sample_params(20_000, 288, 144, "infrared", AugmentConfig(), generator())
    columns = [params.top, params.left, params.flip, params.box[:, 2] > 0, params.channel]
    correlation = torch.corrcoef(torch.stack([column.double() for column in columns]))
    assert (correlation - torch.eye(5)).abs().max() < 0.03


def released_box(random: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Draw a box by the released rule, one try after another."""
    for _ in range(100):
        area, aspect = random.uniform(0.02, 0.4) * height * width, random.uniform(0.3, 1 / 0.3)
        tall, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if wide < width and tall < height:
            return int(random.integers(0, height - tall + 1)), int(random.integers(0, width - wide + 1)), tall, wide
    return 0, 0, 0, 0


@pytest.mark.parametrize(("height", "width"), [(288, 144), (20, 40)])
def test_boxes_follow_the_released_rule(height, width):
    found = boxes_of(draw_tries(6000, generator()), height, width).numpy()
    random = np.random.default_rng(0)
    expected = np.array([released_box(random, height, width) for _ in range(6000)])
    assert (found[:, 2] < height).all()
    assert (found[:, 3] < width).all()
    assert (found[:, 0] + found[:, 2] <= height).all()
    assert (found[:, 1] + found[:, 3] <= width).all()
    for column in range(4):
        grid = np.arange(max(height, width))
        steps = [np.searchsorted(np.sort(boxes[:, column]), grid, side="right") / 6000 for boxes in (found, expected)]
        assert np.abs(steps[0] - steps[1]).max() < 0.035  # two-sample Kolmogorov-Smirnov, p about 0.001


def test_no_box_fits_a_single_row():
    """A box must be smaller than the image in both directions; after 100 misses nothing is erased."""
    assert (boxes_of(draw_tries(50, generator()), 1, 8)[:, 2:].prod(1) == 0).all()


def test_equal_generator_state_gives_equal_views_and_each_image_its_own():
    images = photographs(1).expand(64, H, W, 3)
    first, again, other = (augment(images, "infrared", AugmentConfig(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(torch.unique(first.flatten(1), dim=0)) > 40


def test_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    augment(photographs(4), "infrared", AugmentConfig(jitter=0.5), generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_everything_off_is_normalisation():
    images = photographs(8)
    assert torch.equal(augment(images, "plain", AugmentConfig(0, 0, 0), generator()), normalise(images))


def test_jitter_spares_the_plain_view():
    images = photographs(8)
    config, jittered = AugmentConfig(0, 0, 0), AugmentConfig(0, 0, 0, jitter=0.5)
    views = [[augment(images, view, c, generator()) for c in (config, jittered)] for view in ("plain", "channel")]
    assert torch.equal(*views[0])
    assert not torch.equal(*views[1])


def test_bad_requests_are_refused():
    with pytest.raises(UsageError, match="did you mean infrared"):
        augment(photographs(1), "infra", AugmentConfig(), generator())
    with pytest.raises(UsageError, match=r"augment\.flip=2"):
        AugmentConfig(flip=2)
    with pytest.raises(UsageError, match=r"augment\.pad=-1"):
        AugmentConfig(pad=-1)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_views_that_are_augmented_together_are_those_augmented_alone(strength: float):
    config = AugmentConfig(pad=2, jitter=strength)
    parts = {"channel": photographs(7), "plain": photographs(5), "infrared": photographs(9), "again": photographs(5)}
    views = {**dict(zip(VIEWS, VIEWS, strict=True)), "again": "plain"}
    alone = [augment(images, views[name], config, generator(seed)) for seed, (name, images) in enumerate(parts.items())]
    requests = [ViewRequest(images, views[name], generator(seed)) for seed, (name, images) in enumerate(parts.items())]
    for found, expected in zip(_augment_together(requests, config), alone, strict=True):
        assert torch.equal(found, expected)
