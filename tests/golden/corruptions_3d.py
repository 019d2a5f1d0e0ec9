# SPDX-License-Identifier: MIT
"""Writes corruptions_3d.txt and corruptions_3d.bin: what the formulas of the
3D common corruptions (Kar et al. 2022) make of a small picture and depth map.
Layout and picture as in corruptions.py; random numbers from mohs/rng.h.

Camera motion is the generator's renderer, positions on a grid of 1/128 pixel,
with mirrored borders where it has a network; flash is shaded from the depth map. Needs
numpy, scipy and pillow.
"""
import io
import pathlib
import sys

import numpy as np
import scipy.ndimage
import scipy.stats
from PIL import Image, ImageOps

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import corruptions_reference as ref  # noqa: E402
from corruptions import KEY, SEED, picture  # noqa: E402


def depth(width, height):
    """As depth_map() of test_corruptions_3d.c, in metres."""
    y, x = np.mgrid[:height, :width]
    mm = 2000 + 3000 * (height - y) // height
    mm = mm - 900 * ((x // 9 * 7 + y // 7 * 5) % 4 == 0) + 3 * (x % 5)
    return (mm.astype(np.float32) / np.float32(1000)).astype(np.float64)


def normalised(d, scale):
    if scale == "picture":
        return d / d.max()
    if scale == "metres":
        d = d * 512 / 8000
        d[d >= 1] = d[d < 1].max() if (d < 1).any() else 1
        return d
    m = (1 / d - 1 / d.max()) / (1 / d.min() - 1 / d.max()) * 65535
    return np.clip(1 / (m / 512 + 1e-6), 0, .5)


def cut(x):
    """To bytes; whole numbers that lost a little to rounding are kept."""
    return np.uint8(np.clip(x * 255 + 1 / 1024, 0, 255))


def fog_3d(x, d, s):
    t = np.exp(-[4, 8, 12, 16, 20][s - 1] * d)[..., None]
    return cut(t * x + x.mean() * (1 - t))


def gaussian(x, sigma):
    width = int(sigma * 3)
    width += width % 2 == 0
    if sigma < .1 or width == 1:
        return x
    n = np.arange(width) - width // 2
    w = np.exp(-n ** 2 / (2 * sigma ** 2))
    w /= w.sum()
    for axis in (0, 1):
        x = scipy.ndimage.correlate1d(x, w, axis, mode="nearest")
    return x


def focus(x, d, s, far):
    q = np.quantile(d, np.arange(9) / 8)
    q[0] -= 1e-4
    q[8] += 1e-4
    aperture = s + (.5 if far else 2)
    sigma = np.minimum(aperture * np.abs(q - q[7 if far else 0]) / q, max(d.shape))
    stack = np.stack([gaussian(x, v) for v in sigma])
    right = np.searchsorted(q, d)
    gap = q[right] - q[right - 1]
    weight = np.zeros((9,) + d.shape)
    rows, cols = np.indices(d.shape)
    weight[right - 1, rows, cols] = 1 - ((d - q[right - 1]) / gap) ** 2
    weight[right, rows, cols] = 1 - ((q[right] - d) / gap) ** 2
    weight /= weight.sum(0)
    return cut((weight[..., None] * stack).sum(0))


def flash(x, d, s, falloff):
    h, w = d.shape
    d = d / d.min()
    y, u = np.mgrid[:h, :w]
    f = max(w, h)
    p = np.stack([d * (u - (w - 1) / 2) / f, d * (y - (h - 1) / 2) / f, d], -1)
    pad = np.pad(p, ((1, 1), (1, 1), (0, 0)), "edge")
    n = np.cross(pad[1:-1, 2:] - pad[1:-1, :-2], pad[2:, 1:-1] - pad[:-2, 1:-1])
    facing = np.abs((n * p).sum(-1)) / np.linalg.norm(n, axis=-1) / np.linalg.norm(p, axis=-1)
    shade = facing / d ** falloff
    return cut(x * (1 + shade[..., None] / [2.4, 1.4, .9, .6, .4][s - 1]))


def sensor(x, rate, sigma):
    u = (ref.words(ref.fork(SEED, 0), KEY, np.arange(x.size)) + .5) / 2.0 ** 32
    count = scipy.stats.poisson.ppf(u.reshape(x.shape), x * rate)
    count = np.where(x > 0, count, 0)
    x = np.clip(count / rate, 0, 1)
    x = x + ref.normal(ref.fork(SEED, 1), KEY, x.shape) * sigma
    return np.uint8(np.clip(x, 0, 1) * 255)


NOISE = [.08, .12, .18, .26, .38]


def iso_noise(x, s):
    return sensor(x, 25, .7 * NOISE[s - 1])


def low_light(x, s):
    x = ((x - x.min()) / (x.max() - x.min())) ** 2 * [.6, .5, .4, .3, .2][s - 1]
    return sensor(x, 10 * 12, .1 * NOISE[2])


def color_quant(x, s):
    return np.asarray(ImageOps.posterize(Image.fromarray(x), 6 - s))


# ---- camera motion ----

def draw(index, low, n):
    return low + int(ref.below(SEED, KEY, np.array([index]), n)[0])


def render(points, colour, depth_of, w, h):
    """points: x, y, z in pixels of focal length and units of near depth."""
    f = max(w, h)
    good = points[2] > 1e-5
    points, colour, depth_of = points[:, good], colour[good], depth_of[good]
    px = points[0] * f / points[2] + (w - 1) / 2
    py = points[1] * f / points[2] + (h - 1) / 2
    # the grid of the plugin; free positions differ by 0.24 on average here
    px, py = np.floor(px * 128 + .5) / 128, np.floor(py * 128 + .5) / 128
    inverse = 1 / points[2]
    near = np.zeros((h, w))
    x, y = np.floor(px + .5).astype(int), np.floor(py + .5).astype(int)
    ok = (x >= 0) & (y >= 0) & (x < w) & (y < h)
    np.maximum.at(near, (y[ok], x[ok]), inverse[ok])
    face = near.copy()
    total, count = np.zeros((h, w)), np.zeros((h, w))
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        for j in range(h):
            for i in range(w):
                a, b = (i + dx, j + dy), (i - dx, j - dy)
                if min(a + b) < 0 or max(a[0], b[0]) >= w or max(a[1], b[1]) >= h:
                    continue
                one, two = near[a[1], a[0]], near[b[1], b[0]]
                if near[j, i] <= min(one, two) - 1 / 40:
                    total[j, i] += one + two
                    count[j, i] += 2
    face = np.where(count > 0, np.maximum(near, total / np.maximum(count, 1)), near)
    acc = np.zeros((h, w, 5))
    x, y = np.floor(px).astype(int), np.floor(py).astype(int)
    for ox, oy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (1 - np.abs(px - x - ox)) * (1 - np.abs(py - y - oy))
        cx, cy = x + ox, y + oy
        ok = (cx >= 0) & (cy >= 0) & (cx < w) & (cy < h) & (weight > 1 / 4096)
        ok[ok] = inverse[ok] >= face[cy[ok], cx[ok]] - 1 / 40
        value = np.concatenate([colour, depth_of[:, None], np.ones((len(px), 1))], 1)
        np.add.at(acc, (cy[ok], cx[ok]), (value * weight[:, None])[ok])
    seen = acc[..., 4] > 0
    return acc[..., :4] / np.maximum(acc[..., 4:], 1e-9), seen


RAYS = np.array([(-1, 1), (0, 1), (1, 1), (1, 0), (-1, 2), (1, 2), (2, 1), (2, -1),
                 (-2, 3), (-1, 3), (1, 3), (2, 3), (3, 2), (3, 1), (3, -1), (3, -2)], float)
RAYS /= np.linalg.norm(RAYS, axis=1, keepdims=True)


def fill(image, seen, original):
    h, w = seen.shape
    out = image[..., :3].copy()

    def hit(x, y, dx, dy):
        for k in range(1, max(max(w, h) // 8, 8) + 1):
            i, j = int(np.floor(x + k * dx + .5)), int(np.floor(y + k * dy + .5))
            if not (0 <= i < w and 0 <= j < h):
                return None
            if seen[j, i]:
                return i, j
        return None

    for y, x in zip(*np.nonzero(~seen)):
        best, single = None, None
        for dx, dy in RAYS:
            ends = [hit(x, y, -dx, -dy), hit(x, y, dx, dy)]
            for e in ends:
                if e:
                    length = np.hypot(e[0] - x, e[1] - y)
                    single = min(single or (1e9,), (length, e), key=lambda v: v[0])
            if all(ends):
                length = np.hypot(ends[0][0] - ends[1][0], ends[0][1] - ends[1][1])
                if best is None or length < best[0]:
                    (ax, ay), (bx, by) = ends
                    best = length, ends[int(image[ay, ax, 3] < image[by, bx, 3])]
        if best or single:
            i, j = (best or single)[1]
            out[y, x] = image[j, i, :3]
        else:
            out[y, x] = original[y, x]
    return out


def motion(x, d, s, along):
    h, w = d.shape
    f, px = max(w, h), max(w, h) / 512
    z = d / d.min()
    closest = z[h // 4:h - h // 4, w // 4:w - w // 4].min()
    if along:
        u, v = draw(0, -30, 60), draw(1, -30, 60)
        crop = .5 + .1 * ref.uniform(SEED, KEY, np.array([2]))[0]
        frames = [20, 25, 30, 35, 38][s - 1]
    else:
        u = draw(1, -75, 25) if draw(0, 0, 2) else draw(1, 50, 25)
        v, crop = draw(2, -75, 150), 1
        frames = [20, 30, 40, 50, 60][s - 1]
    pad = np.pad(1 / z, 1, "edge")
    edge = (4 * pad[1:-1, 1:-1] - pad[1:-1, 2:] - pad[1:-1, :-2] - pad[2:, 1:-1] -
            pad[:-2, 1:-1])
    valid = np.abs(edge) < .03
    # the picture and its mirror images all around
    my, mx = h - 1, w - 1
    j, i = np.mgrid[-my:h + my, -mx:w + mx]
    j, i = j.ravel(), i.ravel()
    sj = np.abs(j)
    sj = np.where(sj < h, sj, 2 * h - 2 - sj)
    si = np.abs(i)
    si = np.where(si < w, si, 2 * w - 2 - si)
    ok = valid[sj, si]
    i, j, si, sj = i[ok], j[ok], si[ok], sj[ok]
    zz = z[sj, si]
    points = np.stack([zz * (i - (w - 1) / 2) / f, zz * (j - (h - 1) / 2) / f, zz])
    colour = x[sj, si].astype(float)
    total = np.zeros(x.shape, np.int64)
    for t in np.linspace(0, 1, 60)[:frames]:
        at = 1 - t * (1 - crop)
        shift = np.array([-u * t * px * closest * at / f, -v * t * px * closest * at / f,
                          closest * (at - 1)])
        image, seen = render(points + shift[:, None], colour, zz, w, h)
        total += np.floor(fill(image, seen, x) + 1 / 1024).astype(int)
    return np.uint8(total // frames)


def restarted(x):
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=85, restart_marker_rows=1)
    return np.asarray(Image.open(file))


def main():
    here = pathlib.Path(__file__).parent
    lines, data = [], b""

    def put(name, params, s, out):
        nonlocal data
        lines.append(f"{name} {params} {s} {out.shape[1]} {out.shape[0]}\n")
        data += out.tobytes()

    w, h = 19, 17
    b, d = picture(w, h), depth(w, h)
    x = b / 255.
    for s in range(1, 6):
        put("fog_3d", "-", s, fog_3d(x, normalised(d, "midas"), s))
        put("near_focus", "-", s, focus(x, normalised(d, "picture"), s, False))
        put("far_focus", "-", s, focus(x, normalised(d, "picture"), s, True))
        put("flash", "-", s, flash(x, d, s, 1))
        put("low_light", "-", s, low_light(x, s))
        put("iso_noise", "-", s, iso_noise(x, s))
        put("color_quant", "-", s, color_quant(b, s))
    put("flash", "falloff=2", 3, flash(x, d, 3, 2))
    for scale in ("picture", "metres"):
        put("fog_3d", f"scale={scale}", 2, fog_3d(x, normalised(d, scale), 2))
    put("near_focus", "scale=metres", 4, focus(x, normalised(d, "metres"), 4, False))
    put("far_focus", "scale=midas", 1, focus(x, normalised(d, "midas"), 1, True))
    put("bit_error", "frames=0", 1, restarted(b))
    w, h = 41, 30
    b, d = picture(w, h), depth(w, h)
    for s in (1, 5):
        put("xy_motion_blur", "-", s, motion(b, d, s, False))
        put("z_motion_blur", "-", s, motion(b, d, s, True))
    (here / "corruptions_3d.txt").write_text("".join(lines))
    (here / "corruptions_3d.bin").write_bytes(data)


if __name__ == "__main__":
    main()
