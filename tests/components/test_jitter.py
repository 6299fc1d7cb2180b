import colorsys
import itertools

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from usvi_bench.components.jitter import (
    _EIGHT_BIT,
    _OPERATIONS,
    _everywhere,
    _where_due,
    apply_jitter,
    draw_jitter,
    jitter,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive(image: np.ndarray, amounts: list[float], order: list[int]) -> np.ndarray:
    """Jitter one image, one operation after another, with hue from the standard library."""
    pixels = image.astype(np.float64) / 255
    for operation in order:
        amount = amounts[operation]
        grey = pixels @ np.array([0.2989, 0.587, 0.114])
        if operation == 0:
            pixels = pixels * (1 + amount)
        elif operation == 1:
            pixels = (1 + amount) * pixels - amount * grey.mean()
        elif operation == 2:
            pixels = (1 + amount) * pixels - amount * grey[..., None]
        else:
            for y, x in np.ndindex(pixels.shape[:2]):
                hue, saturation, value = colorsys.rgb_to_hsv(*pixels[y, x])
                pixels[y, x] = colorsys.hsv_to_rgb((hue + amount) % 1, saturation, value)
        pixels = pixels.clip(0, 1)
    return pixels * 255


def test_jitter_is_the_loop_in_every_order():
    orders = torch.tensor(list(itertools.permutations(range(4))))
    images = torch.randint(0, 256, (24, 5, 4, 3), generator=generator(), dtype=torch.uint8)
    images[:, 0, 0] = 77  # a grey pixel has no hue
    amounts = torch.rand(24, 4, generator=generator()) - 0.5
    found = apply_jitter(images, amounts, orders).numpy()
    for image, amount, order, result in zip(images.numpy(), amounts.tolist(), orders.tolist(), found, strict=True):
        assert np.abs(result - naive(image, amount, order)).max() < 0.51


def test_no_strength_changes_nothing():
    images = torch.randint(0, 256, (6, 5, 4, 3), generator=generator(), dtype=torch.uint8)
    assert torch.equal(jitter(images, 0.0, draw_jitter(6, generator())), images)


def test_orders_and_brightness_are_drawn_per_image():
    images = torch.full((4000, 1, 1, 3), 100, dtype=torch.uint8)  # a grey pixel shows nothing but its brightness
    values = jitter(images, 0.5, draw_jitter(4000, generator())).float().mean((1, 2, 3)) / 100
    assert values.min().item() == pytest.approx(0.5, abs=0.02)
    assert values.max().item() == pytest.approx(1.5, abs=0.02)
    assert values.mean().item() == pytest.approx(1, abs=0.02)
    assert values.std().item() == pytest.approx(1 / 12**0.5, abs=0.01)


def test_work_for_all_images_gives_what_work_for_those_due_gives():
    images = torch.rand(12, 5, 4, 3, generator=generator())
    amounts = torch.rand(12, 4, generator=generator()) - 0.5
    due = torch.arange(12) % 4
    for pixels, operations in ((images, _OPERATIONS), ((images * 255).floor(), _EIGHT_BIT)):
        every = _everywhere(pixels, amounts, due, operations)
        assert torch.equal(every, _where_due(pixels.clone(), amounts, due, operations))


def by_pillow(image: np.ndarray, amounts: list[float], order: list[int]) -> np.ndarray:
    """Jitter one image with Pillow alone, which rounds to 8 bits after every operation."""
    picture = Image.fromarray(image)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for operation in order:
        if operation < 3:
            picture = enhancers[operation](picture).enhance(1 + amounts[operation])
            continue
        parts = np.array(picture.convert("HSV"))
        parts[..., 0] = (parts[..., 0].astype(int) + int(amounts[3] * 255)) % 256
        picture = Image.merge("HSV", [Image.fromarray(part) for part in np.moveaxis(parts, 2, 0)]).convert("RGB")
    return np.array(picture)


@pytest.mark.parametrize("operation", range(4))
def test_each_operation_in_8_bits_is_that_of_pillow(operation):
    images = torch.randint(0, 256, (20, 30, 20, 3), generator=generator(operation), dtype=torch.uint8)
    images[:, 0] = images[:, 0, :, :1]  # grey
    images[:, 1, :2], images[:, 1, 2:4] = 0, 255
    amounts = torch.zeros(20, 4)
    amounts[:, operation] = torch.rand(20, generator=generator()) - 0.5
    found = apply_jitter(images, amounts, torch.full((20, 1), operation), eight_bit=True)
    expected = [by_pillow(i, a, [operation]) for i, a in zip(images.numpy(), amounts.tolist(), strict=True)]
    assert np.array_equal(found.numpy(), expected)


def test_jitter_in_8_bits_is_that_of_pillow_in_every_order_and_differs_from_one_rounding():
    orders = torch.tensor(list(itertools.permutations(range(4))))
    images = torch.randint(0, 256, (24, 12, 10, 3), generator=generator(), dtype=torch.uint8)
    amounts = torch.rand(24, 4, generator=generator()) - 0.5
    found = apply_jitter(images, amounts, orders, eight_bit=True).numpy()
    cases = zip(images.numpy(), amounts.tolist(), orders.tolist(), strict=True)
    expected = np.array([by_pillow(*case) for case in cases]).astype(int)
    assert np.array_equal(found, expected)
    once = apply_jitter(images, amounts, orders).numpy().astype(int)
    assert 0.5 < np.abs(once - expected).mean() < 4
