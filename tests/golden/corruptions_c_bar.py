# SPDX-License-Identifier: MIT
"""Writes corruptions_c_bar.txt and corruptions_c_bar.bin: what the formulas
of ImageNet-C-bar (Mintun, Kirillov and Xie 2021) make of a small picture, with
NumPy and SciPy. Layout and picture as in corruptions.py; random numbers from
mohs/rng.h, each the draw that the plugin takes.
"""
import pathlib
import sys

import numpy as np
import scipy.ndimage

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import corruptions_reference as ref  # noqa: E402
from corruptions import KEY, SEED, picture  # noqa: E402

SEVERITY = {
    "caustic_refraction": (2.35, 3.2, 4.9, 6.6, 9.15),
    "inverse_sparkles": (1.0, 2.0, 4.0, 9.0, 10.0),
    "sparkles": (1.0, 2.0, 3.0, 5.0, 6.0),
    "perlin_noise": (4.6, 5.2, 5.8, 7.6, 8.8),
    "blue_noise_sample": (0.8, 1.6, 2.4, 4.0, 5.6),
    "plasma_noise": (4.75, 7.0, 8.5, 9.25, 10.0),
    "checkerboard_cutout": (2.0, 3.0, 4.0, 5.0, 6.0),
    "cocentric_sine_waves": (3.0, 5.0, 8.0, 9.0, 10.0),
    "single_frequency_greyscale": (1.0, 1.5, 2.0, 4.5, 5.0),
    "brownish_noise": (1.0, 2.0, 3.0, 4.0, 5.0),
}
CIFAR = {
    "blue_noise_sample": (0.7, 1.4, 2.1, 3.5, 4.2),
    "checkerboard_cutout": (1.0, 2.0, 3.0, 4.0, 5.0),
    "inverse_sparkles": (1.0, 1.5, 2.5, 4.5, 5.0),
    "brownish_noise": (2.5, 4.0, 5.5, 6.5, 7.0),
    "sparkles": (0.7, 3.5, 5.6, 6.3, 7.0),
}
HERE = pathlib.Path(__file__).parent


def u(index, low=0.0, high=1.0):
    return low + (high - low) * ref.uniform(SEED, KEY, np.asarray(index))


def one(index, low=0.0, high=1.0):
    return float(u([index], low, high)[0])


def below(index, n):
    return int(ref.below(SEED, KEY, np.array([index]), n)[0])


def z(first, n):
    k = 2 * np.arange(first, first + n, dtype=np.uint64)
    a, b = ref.uniform(SEED, KEY, k), ref.uniform(SEED, KEY, k + np.uint64(1))
    return np.sqrt(-2 * np.log(a)) * np.cos(2 * np.pi * b)


def cut(v):
    return np.clip(v, 0, 255).astype(np.uint8)


def single_frequency_greyscale(x, s, px, py, side):
    a = one(0, -np.pi, np.pi)
    b = one(1, -abs(a), abs(a))
    fx, fy = (b, a) if one(2) < .5 else (a, b)
    wave = np.sin(px * fx + py * fy + one(3, 0, 2 * np.pi))
    return cut(x + s * 19.6 * wave[..., None])


def cocentric_sine_waves(x, s, px, py, side):
    dx, dy = px - one(0, 0, x.shape[1]), py - one(1, 0, x.shape[0])
    freq, amplitude, width = one(2, 0, 10), one(3, 0, side / 10), one(4, 0, side / 10)
    r = np.hypot(dx, dy) + np.sin(np.arctan2(dx, dy) * freq) * amplitude
    return cut(x + s * 12.8 * (r % width / width - .5)[..., None])


def plasma_noise(x, s, px, py, side):
    t, n = one(0, 0, 6 * np.pi), 4 + below(1, 3)
    sharp, scale = one(2, .5, 1), one(3, .075, .2) * side
    px, py = px / scale, py / scale
    a = b = c = 1.0
    for _ in range(n):
        p, q = np.cos(py * a + t / b) / c, np.sin(px * a + t / b) / c
        p, q = p - .3 * q, q + .3 * p
        px, py = px + p, py + q
        a, b, c = a * 1.93, b * 1.15, c * (2.25 - sharp)
    noise = np.stack([np.sin(px - t), np.sin((px + py + np.sin(t)) / 2), np.sin(py + t)], -1)
    return cut((1 - s * 6.4 / 255) * x + s * 6.4 * noise)


def perlin_noise(x, s, px, py, side):
    w = ref.words(SEED, KEY, 16 + np.arange(768)).astype(np.int64)
    g = (w[:512].reshape(256, 2) % 512 - 256) / 256
    g /= np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1 / 256)
    p = np.arange(256)
    for i in range(255, -1, -1):
        j = w[512 + i] % 256
        p[i], p[j] = p[j], p[i]

    def noise(y, x):
        by, bx = y.astype(int) % 256, x.astype(int) % 256
        y, x = y % 1, x % 1

        def at(dy, dx):
            v = g[p[(p[(by + dy) % 256] + (bx + dx) % 256) % 256]]
            return v[..., 0] * (y - dy) + v[..., 1] * (x - dx)

        sy, sx = y * y * (3 - 2 * y), x * x * (3 - 2 * x)
        a = at(0, 0) + sy * (at(1, 0) - at(0, 0))
        b = at(0, 1) + sy * (at(1, 1) - at(0, 1))
        return 1.5 * (a + sx * (b - a))

    step = 7 / side
    f = sum(np.abs(noise(k * py * step, k * px * step)) / k for k in (1, 2, 4, 8, 16))
    f = np.clip(.5 * f + .5, 0, 1)[..., None]
    return cut((1 - s * .05) * x + 255 * s * .05 * f)


def checkerboard_cutout(x, s, px, py, side):
    t, scale = one(0, 0, 2 * np.pi), max(one(1, .1, .25) * side, 1)
    n = int(4 * side // scale)
    grid = u(16 + np.arange(n * n)).reshape(n, n) < s / 10
    a = (np.cos(t) * py + np.sin(t) * px) / scale
    b = (-np.sin(t) * py + np.cos(t) * px) / scale
    keep = (a % 2).astype(int) != (b % 2).astype(int)
    # beyond the grid a picture that is no square begins anew
    keep |= ~grid[np.trunc(a).astype(int) % n, np.trunc(b).astype(int) % n]
    return np.where(keep[..., None], x, 128).astype(np.uint8)


def star(px, py, cx, cy, length, fall):
    n = len(length)
    d = (np.arctan2(px - cx, py - cy) + np.pi) / (2 * np.pi) * n
    i = d.astype(int)
    f = d - i
    r = length[i % n] + f * (length[(i + 1) % n] - length[i % n])
    g = (r ** 2 / ((px - cx) ** 2 + (py - cy) ** 2 + 1e-4)) ** fall
    return np.clip((1 - (f - .5) ** 2) * g, 0, 1)[..., None]


def sparkles(x, s, px, py, side):
    v = x.astype(float)
    for k in range(5):
        first = 512 * k
        cy, cx = one(first, 0, x.shape[0]), one(first + 1, 0, x.shape[1])
        rays, radius = 50 + below(first + 2, 150), .01 * s * side
        length = np.maximum(radius + .25 * radius * z((first + 4) // 2, rays), 1)
        v = v + star(px, py, cx, cy, length, 1) * (255 - v)
    return cut(v)


def inverse_sparkles(x, s, px, py, side):
    cy = one(0, .25, .75) * x.shape[0]
    cx = one(1, .25, .75) * x.shape[1]
    radius = .25 * side
    length = radius + .25 * radius * z(2, 50 + below(2, 150))
    return cut(255 + star(px, py, cx, cy, length, 6.5 * s / 50) * (x - 255.0))


def spectral(h, w, side, plane, blue):
    """The real inverse transform of a power and random phases."""
    n = h * (w // 2) + (h // 2 if w % 2 else 0)
    t = u(plane * n + np.arange(n), 0, 2 * np.pi)
    left = t[:h * (w // 2)].reshape(h, w // 2)
    parts = [left, left[::-1, ::-1]]
    if w % 2:
        half = t[h * (w // 2):]
        middle = [0.0] if h % 2 else []
        parts.insert(1, np.concatenate([half, middle, half[::-1]])[:, None])
    t = np.concatenate(parts, 1)
    y, x = np.mgrid[:h, :w]
    r = np.hypot((y - h / 2) * side / h, (x - w / 2) * side / w)
    power = r if blue else 1 / (r ** 2 + 1)
    f = np.roll(power * np.exp(1j * t), (h // 2, w // 2), (0, 1))
    noise = np.fft.ifft2(f).real
    return noise / noise.std()


def blue_noise_sample(x, s, px, py, side):
    mask = spectral(*x.shape[:2], side, 0, True) > .3 * s - 2.5
    return x * mask[..., None].astype(np.uint8)


def brownish_noise(x, s, px, py, side):
    noise = np.stack([spectral(*x.shape[:2], side, c, False) for c in range(3)], -1)
    return cut(x + 6.4 * s * noise)


def refracted(normal):
    """A ray (0, 0, 1) through a surface, by rotations in its plane; eta 4."""
    if normal[2] >= 1 - 1e-3:
        return np.zeros(2)
    angle = np.arccos(normal[2])
    out = np.arcsin(np.sin(angle) / 4)
    axis = np.cross([0, 0, 1], normal)
    axis /= np.linalg.norm(axis)
    turned = np.cross(normal, axis)
    return (np.cos(out) * normal + np.sin(out) * turned)[:2]


def caustic_refraction(x, s, px, py, side):
    time, size = one(0, .5, 2), one(1, .75, 1.25) * side
    p = [v / size % 1 * 6.28318530718 - 250 for v in (py, px)]
    i, c = list(p), 1.0
    for n in range(5):
        t = time * (1 - 3.5 / (n + 1))
        i = [p[0] + np.cos(t - i[0]) + np.sin(t + i[1]),
             p[1] + np.sin(t - i[1]) + np.cos(t + i[0])]
        c = c + 1 / np.hypot(p[0] * .005 / np.sin(i[0] + t), p[1] * .005 / np.cos(i[1] + t))
    field = np.clip(np.abs(1.17 - (c / 5) ** 1.4) ** 8, 0, 1)
    field = np.pad(scipy.ndimage.gaussian_filter(field, 1), 1)
    across = field[1:-1, 2:] - field[1:-1, :-2]
    down = field[2:, 1:-1] - field[:-2, 1:-1]
    slope = np.stack([down, across, np.ones_like(down)], -1)
    slope /= np.linalg.norm(slope, axis=-1, keepdims=True)
    bend = np.round(np.apply_along_axis(refracted, -1, slope) * s * .05 * side, 3)
    at = [py + bend[..., 0], px + bend[..., 1]]
    v = np.pad(x.astype(np.float32) / 255, ((1, 1), (1, 1), (0, 0)))
    v = np.stack([scipy.ndimage.map_coordinates(v[..., k], [at[0] + 1, at[1] + 1], np.float64,
                                                order=1, mode="grid-constant")
                  for k in range(3)], -1)
    v += ((down - across) * .2 * s)[..., None]
    return (np.clip(v, 0, 1) * 255).astype(np.uint8)


def main():
    lines, data = [], b""
    for name in SEVERITY:
        for profile, table in (("-", SEVERITY), ("profile=cifar", CIFAR)):
            for s, value in enumerate(table.get(name, ())):
                w, h = (48, 48) if s % 2 else (37, 29) if s else (30, 41)
                x = picture(w, h)
                py, px = np.mgrid[:h, :w].astype(float)
                out = globals()[name](x, value, px, py, float(min(w, h)))
                lines.append(f"{name} {profile} {s + 1} {w} {h}\n")
                data += out.tobytes()
    (HERE / "corruptions_c_bar.txt").write_text("".join(lines))
    (HERE / "corruptions_c_bar.bin").write_bytes(data)


if __name__ == "__main__":
    main()
