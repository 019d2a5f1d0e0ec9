# SPDX-License-Identifier: MIT
"""Writes corruptions.txt and corruptions.bin: what the Python references make
of small procedural pictures, with mohs's own random draws handed to them.

Needs numpy, opencv-python, pillow. The formulas are those of the ImageNet-C
scripts, written anew. A line of corruptions.txt is

    id params severity width height worst mean

where worst and mean bound |plugin - reference| in steps of 1/255 over the
picture; its bytes follow those of the line before in corruptions.bin.
"""
import io
import pathlib

import cv2
import numpy as np
from PIL import Image

MASK64 = (1 << 64) - 1
SEED, KEY = 2024, 77
WIDTH, HEIGHT = 41, 35


# ---- mohs/rng.h ----

def philox(seed, key, index):
    """Blocks `index` (an array) of stream (seed, key): shape (n, 4)."""
    index = np.asarray(index, np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    c = [index & low, index >> half,
         np.full_like(index, key & 0xFFFFFFFF), np.full_like(index, key >> 32)]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & low,
             (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, -1)


def words(seed, key, index):
    index = np.asarray(index, np.uint64)
    blocks = philox(seed, key, index >> np.uint64(2))
    at = (index & np.uint64(3)).astype(np.int64)
    return np.take_along_axis(blocks, at[..., None], -1)[..., 0]


def uniform(seed, key, index):
    return ((words(seed, key, index) >> np.uint64(8)).astype(np.float64) + 0.5) / 2 ** 24


def normal(seed, key, shape):
    index = 2 * np.arange(int(np.prod(shape)), dtype=np.uint64)
    u, v = uniform(seed, key, index), uniform(seed, key, index + np.uint64(1))
    z = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v)
    return z.astype(np.float32).astype(np.float64).reshape(shape)


# ---- the picture: as picture() of test_corruptions.c ----

def picture(width, height):
    out = np.zeros((height, width, 3), np.uint8)
    noise = words(1, 2, np.arange(out.size)).reshape(out.shape) % np.uint64(32)
    for y in range(height):
        for x in range(width):
            patch = (x // 9 * 7 + y // 7 * 5) % 11
            for c in range(3):
                wave = abs((x * (5 + c) + y * 3) % 255 - 127)
                if patch == 0:
                    out[y, x, c] = 255
                elif patch == 1:
                    out[y, x, c] = 0
                elif patch == 2:
                    out[y, x, c] = 37 * (c + 2)
                else:
                    out[y, x, c] = wave * 7 // 4 + int(noise[y, x, c])
    return out


# ---- the formulas ----

def gaussian_noise(x, s):
    c = [.08, .12, .18, .26, .38][s - 1]
    return np.clip(x / 255 + c * normal(SEED, KEY, x.shape), 0, 1) * 255


def defocus_blur(x, s):
    radius, alias = [(3, .1), (4, .5), (6, .5), (8, .5), (10, .5)][s - 1]
    half, side = (8, 3) if radius <= 8 else (radius, 5)
    grid = np.arange(-half, half + 1)
    disk = (grid[None] ** 2 + grid[:, None] ** 2 <= radius ** 2).astype(np.float32)
    disk = cv2.GaussianBlur(disk / disk.sum(), (side, side), alias)
    out = [cv2.filter2D(x[..., c] / 255, -1, disk) for c in range(3)]
    return np.clip(np.stack(out, -1), 0, 1) * 255


def contrast(x, s):
    c = [.4, .3, .2, .1, .05][s - 1]
    mean = (x / 255).mean((0, 1), keepdims=True)
    return np.clip((x / 255 - mean) * c + mean, 0, 1) * 255


def jpeg_compression(x, s):
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=[25, 18, 15, 10, 7][s - 1])
    return np.asarray(Image.open(file))


# worst and mean difference: rounding in float where numpy cuts doubles
CASES = [
    (gaussian_noise, "-", 1, 0.002),
    (defocus_blur, "-", 1, 0.08),
    (contrast, "-", 1, 0.01),
    (jpeg_compression, "-", 0, 0),
]


def main():
    here = pathlib.Path(__file__).parent
    x = picture(WIDTH, HEIGHT)
    lines, data = [], b""
    for call, params, worst, mean in CASES:
        for severity in range(1, 6):
            out = np.uint8(call(x, severity))
            lines.append(f"{call.__name__} {params} {severity} {WIDTH} {HEIGHT} "
                         f"{worst} {mean}\n")
            data += out.tobytes()
    (here / "corruptions.txt").write_text("".join(lines))
    (here / "corruptions.bin").write_bytes(data)


if __name__ == "__main__":
    main()
