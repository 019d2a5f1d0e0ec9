# SPDX-License-Identifier: MIT
"""The Python references of the common corruptions, fed with mohs's draws.

Profile `imagecorruptions` is that package (1.1.2), patched where today's
libraries have moved on; the others are the formulas of the scripts that made
ImageNet-C, Tiny-ImageNet-C and CIFAR-C, written anew for pictures of any
size. Every random number comes from mohs/rng.h, so that pixels compare.

Needs numpy, scipy, scikit-image, opencv-python, pillow, imagecorruptions and,
for motion blur and snow, wand with ImageMagick 6 (MagickWand).
"""
import contextlib
import ctypes
import io
import sys
import types

import cv2
import numpy as np
import scipy.ndimage
import scipy.special
import skimage.color
import skimage.filters
import skimage.util
from PIL import Image

MASK64 = (1 << 64) - 1
NAMES = ("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur",
         "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast",
         "elastic_transform", "pixelate", "jpeg_compression", "speckle_noise",
         "gaussian_blur", "spatter", "saturate")
PROFILES = ("hendrycks", "imagecorruptions", "tinyimagenet", "cifar")


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


def below(seed, key, index, n):
    return (words(seed, key, index) * np.uint64(n) >> np.uint64(32)).astype(np.int64)


def fork(seed, what):
    z = (seed + 0x9E3779B97F4A7C15 * (what + 1)) & MASK64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK64
    return z ^ z >> 31


class Draws:
    """Stands in for numpy.random while one corruption runs on one picture."""

    def __init__(self, name, seed, key, shape, n_frost, side):
        self.name, self.seed, self.key = name, seed, key
        self.shape, self.n_frost = shape, n_frost
        self.calls, self.points, self.side = 0, None, side

    def normal(self, loc=0.0, scale=1.0, size=None):
        seed = fork(self.seed, 1) if self.name == "snow" else self.seed
        return loc + scale * normal(seed, self.key, size)

    def poisson(self, rate):
        out = np.zeros(rate.size, np.int64)
        u = words(self.seed, self.key, np.arange(rate.size)) / 2.0 ** 32
        for x in np.unique(rate):
            cdf = scipy.special.pdtr(np.arange(int(x + 12 * np.sqrt(x) + 30)), x)
            at = rate.ravel() == x
            out[at] = np.searchsorted(cdf, u[at], side="right")
        return out.reshape(rate.shape)

    def random(self, shape):  # flips, then salts
        self.calls += 1
        index = 2 * np.arange(int(np.prod(shape))) + self.calls - 1
        return uniform(self.seed, self.key, index).reshape(shape)

    def default_rng(self, seed=None):
        return self

    def uniform(self, low, high, size=None):
        self.calls += 1
        n = 1 if size is None else int(np.prod(size))
        seed, index = self.seed, np.arange(n)
        if self.name == "fog":
            index = self.cells()
        elif self.name == "elastic_transform" and n != 6:
            self.points = (self.points or 0) + 1
            seed = fork(seed, self.points)
        u = uniform(seed, self.key, index)
        return low + (high - low) * (u[0] if size is None else u.reshape(size))

    def cells(self):
        """Where in the map the diamond-square algorithm writes this time."""
        level, phase = divmod(self.calls - 1, 3)
        side, step = self.side, self.side >> level
        rows = np.arange(step // 2 if phase != 1 else 0, side, step)
        cols = np.arange(step // 2 if phase != 2 else 0, side, step)
        return (rows[:, None] * side + cols[None]).ravel()

    def randint(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        self.calls += 1
        if self.name == "frost":
            n = self.n_frost if self.calls == 1 else max(high - low, 1)
            return int(below(self.seed, self.key, [self.calls - 1], n)[0]) + low
        h, w = self.shape[:2]
        if self.points is None:  # glass blur: rows and columns descend
            ys, xs = np.arange(h - high, high, -1), np.arange(w - high, high, -1)
            cells = (ys[:, None] * w + xs[None]).ravel()
            turns = np.arange(4)[:, None] * h * w + cells[None]
            index = turns.ravel()[:, None] * 2 + np.arange(2)
            self.points = below(self.seed, self.key, index, 2 * high) - high
        return self.points[self.calls - 1]


@contextlib.contextmanager
def injected(draws):
    names = ("normal", "poisson", "uniform", "randint", "default_rng")
    real = {n: getattr(np.random, n) for n in names}
    for n in names:
        setattr(np.random, n, getattr(draws, n))
    try:
        yield
    finally:
        for n in names:
            setattr(np.random, n, real[n])


# ---- the package, on today's libraries ----

def gaussian(x, sigma, multichannel=False, **more):
    return skimage.filters.gaussian(x, sigma=sigma,
                                    channel_axis=-1 if multichannel else None, **more)


def load_package(frost_files):
    np.float_ = np.float64
    resources = types.ModuleType("pkg_resources")
    resources.resource_filename = lambda *_: ""
    sys.modules.setdefault("pkg_resources", resources)
    interpolation = types.ModuleType("scipy.ndimage.interpolation")
    interpolation.map_coordinates = scipy.ndimage.map_coordinates
    sys.modules["scipy.ndimage.interpolation"] = interpolation
    from imagecorruptions import corruptions
    corruptions.gaussian = gaussian
    numbers = {f"frost{i}": i - 1 for i in range(1, 7)}

    def file(_, path):
        i = numbers[path.split("/")[-1].split(".")[0]]
        return str(frost_files[i]) if i < len(frost_files) else ""
    corruptions.resource_filename = file
    return corruptions


# ---- the scripts' formulas: constants for 224, 64 and 32 pixels ----

SIGMA = {"gaussian_noise": ([.08, .12, .18, .26, .38], [.04, .08, .12, .15, .18],
                            [.04, .06, .08, .09, .10]),
         "speckle_noise": ([.15, .2, .35, .45, .6], [.15, .2, .25, .3, .35],
                           [.06, .1, .12, .16, .2])}
SHOT = ([60, 25, 12, 5, 3], [250, 100, 50, 30, 15], [500, 250, 100, 75, 50])
IMPULSE = ([.03, .06, .09, .17, .27], [.01, .02, .05, .08, .14], [.01, .02, .03, .05, .07])
BLUR = ([1, 2, 3, 4, 6], [.5, .75, 1, 1.25, 1.5], [.4, .6, .7, .8, 1])
DISK = ([(3, .1), (4, .5), (6, .5), (8, .5), (10, .5)],
        [(.5, .6), (1, .1), (1.5, .1), (2.5, .01), (3, .1)],
        [(.3, .4), (.4, .5), (.5, .6), (1, .2), (1.5, .1)])
GLASS = ([(.7, 1, 2), (.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
         [(.1, 1, 1), (.5, 1, 1), (.6, 1, 2), (.7, 2, 1), (.9, 2, 2)],
         [(.05, 1, 1), (.25, 1, 1), (.4, 1, 1), (.25, 1, 2), (.4, 1, 2)])
MOTION = ([(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
          [(10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)],
          [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)])
SMALL_ZOOM = [(1.06, .01), (1.11, .01), (1.16, .01), (1.21, .01), (1.26, .01)]
ZOOM = ([(1.11, .01), (1.16, .01), (1.21, .02), (1.26, .02), (1.31, .03)],
        SMALL_ZOOM, SMALL_ZOOM)
SNOW = ([(.1, .3, 3, .5, 10, 4, .8), (.2, .3, 2, .5, 12, 4, .7),
         (.55, .3, 4, .9, 12, 8, .7), (.55, .3, 4.5, .85, 12, 8, .65),
         (.55, .3, 2.5, .85, 12, 12, .55)],
        [(.1, .2, 1, .6, 8, 3, .8), (.1, .2, 1, .5, 10, 4, .8),
         (.15, .3, 1.75, .55, 10, 4, .7), (.25, .3, 2.25, .6, 12, 6, .65),
         (.3, .3, 1.25, .65, 14, 12, .6)],
        [(.1, .2, 1, .6, 8, 3, .95), (.1, .2, 1, .5, 10, 4, .9),
         (.15, .3, 1.75, .55, 10, 4, .9), (.25, .3, 2.25, .6, 12, 6, .85),
         (.3, .3, 1.25, .65, 14, 12, .8)])
FROST = ([(1, .4), (.8, .6), (.7, .7), (.65, .7), (.6, .75)],
         [(1, .3), (.9, .4), (.8, .45), (.75, .5), (.7, .55)],
         [(1, .2), (1, .3), (.9, .4), (.85, .4), (.75, .45)])
FOG = ([(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
       [(.4, 3), (.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)],
       [(.2, 3), (.5, 3), (.75, 2.5), (1, 2), (1.5, 1.75)])
BRIGHT = ([.1, .2, .3, .4, .5], [.1, .2, .3, .4, .5], [.05, .1, .15, .2, .3])
CONTRAST = ([.4, .3, .2, .1, .05], [.4, .3, .2, .1, .05], [.75, .5, .4, .3, .15])
SATURATE = ([(.3, 0), (.1, 0), (2, 0), (5, .1), (20, .2)],
            [(.3, 0), (.1, 0), (2, 0), (5, .1), (30, .2)],
            [(.3, 0), (.1, 0), (1.5, 0), (2, .1), (2.5, .2)])
SPATTER = ([(.65, .3, 4, .69, .6, 0), (.65, .3, 3, .68, .6, 0), (.65, .3, 2, .68, .5, 0),
            (.65, .3, 1, .65, 1.5, 1), (.67, .4, 1, .65, 1.5, 1)],
           [(.62, .1, .7, .7, .6, 0), (.65, .1, .8, .7, .6, 0), (.65, .3, 1, .69, .6, 0),
            (.65, .1, .7, .68, .6, 1), (.65, .1, .5, .67, .6, 1)],
           [(.62, .1, .7, .7, .5, 0), (.65, .1, .8, .7, .5, 0), (.65, .3, 1, .69, .5, 0),
            (.65, .1, .7, .69, .6, 1), (.65, .1, .5, .68, .6, 1)])
QUALITY = ([25, 18, 15, 10, 7], [65, 58, 50, 40, 25], [80, 65, 58, 50, 40])
PIXELATE = ([.6, .5, .4, .3, .25], [.9, .8, .7, .6, .5], [.95, .9, .85, .75, .65])
ELASTIC = ([(244 * a, 244 * b, 244 * c) for a, b, c in
            ((2, .7, .1), (2, .08, .2), (.05, .01, .02), (.07, .01, .02), (.12, .01, .02))],
           [(64 * a, 64 * b, 64 * c) for a, b, c in
            ((0, 0, .08), (.05, .3, .06), (.1, .08, .06), (.1, .03, .03),
             (.16, .03, .02))],
           [(32 * a, 32 * b, 32 * c) for a, b, c in
            ((0, 0, .08), (.05, .2, .07), (.08, .06, .06), (.1, .04, .05),
             (.1, .03, .03))])


class Scripts:
    """make: 0 ImageNet-C, 1 Tiny-ImageNet-C, 2 CIFAR-C."""

    def __init__(self, make, frost_files):
        self.make, self.frost_files = make, frost_files

    def gaussian_noise(self, x, s):
        return self.unit(x / 255 + np.random.normal(
            size=x.shape, scale=SIGMA["gaussian_noise"][self.make][s]))

    def speckle_noise(self, x, s):
        c = SIGMA["speckle_noise"][self.make][s]
        x = x / 255
        return self.unit(x + x * np.random.normal(size=x.shape, scale=c))

    def shot_noise(self, x, s):
        c = SHOT[self.make][s]
        return self.unit(np.random.poisson(x / 255 * c) / c)

    def impulse_noise(self, x, s):
        return self.unit(skimage.util.random_noise(x / 255, mode="s&p",
                                                   amount=IMPULSE[self.make][s]))

    def gaussian_blur(self, x, s):
        return self.unit(gaussian(x / 255, BLUR[self.make][s], True))

    def defocus_blur(self, x, s):
        radius, alias = DISK[self.make][s]
        half, side = (8, 3) if radius <= 8 else (radius, 5)
        grid = np.arange(-half, half + 1)
        disk = (grid[None] ** 2 + grid[:, None] ** 2 <= radius ** 2).astype(np.float32)
        disk /= np.sum(disk)
        disk = cv2.GaussianBlur(disk, (side, side), alias)
        out = [cv2.filter2D(x[..., c] / 255, -1, disk) for c in range(3)]
        return self.unit(np.stack(out, -1))

    def glass_blur(self, x, s):
        sigma, delta, turns = GLASS[self.make][s]
        x = np.uint8(gaussian(x / 255, sigma, True) * 255)
        height, width = x.shape[:2]
        for _ in range(turns):
            for h in range(height - delta, delta, -1):
                for w in range(width - delta, delta, -1):
                    dx, dy = np.random.randint(-delta, delta, size=(2,))
                    # views on both sides: this copies the neighbour, no more
                    x[h, w], x[h + dy, w + dx] = x[h + dy, w + dx], x[h, w]
        return self.unit(gaussian(x / 255, sigma, True))

    @staticmethod
    def magick_motion(image, radius, sigma, angle):
        from wand.api import library
        from wand.image import Image as Wand
        library.MagickMotionBlurImage.argtypes = (
            ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_double)
        file = io.BytesIO()
        image.save(file, format="PNG")
        with Wand(blob=file.getvalue()) as wand:
            library.MagickMotionBlurImage(wand.wand, radius, sigma, angle)
            return cv2.imdecode(np.frombuffer(wand.make_blob(), np.uint8),
                                cv2.IMREAD_UNCHANGED)

    def motion_blur(self, x, s):
        radius, sigma = MOTION[self.make][s]
        out = self.magick_motion(Image.fromarray(x), radius, sigma,
                                 np.random.uniform(-45, 45))
        return out[..., ::-1] if out.ndim == 3 else np.stack([out] * 3, -1)

    @staticmethod
    def clipped_zoom(x, zoom):
        """Both ways alike for squares, as the scripts have it."""
        h, w = x.shape[:2]
        ch, cw = int(np.ceil(h / zoom)), int(np.ceil(w / zoom))
        top, left = (h - ch) // 2, (w - cw) // 2
        x = scipy.ndimage.zoom(x[top:top + ch, left:left + cw], (zoom, zoom, 1), order=1)
        top, left = (x.shape[0] - h) // 2, (x.shape[1] - w) // 2
        return x[top:top + h, left:left + w]

    def zoom_blur(self, x, s):
        stop, step = ZOOM[self.make][s]
        x = (x / 255).astype(np.float32)
        out, zooms = np.zeros_like(x), np.arange(1, stop, step)
        for z in zooms:
            out += self.clipped_zoom(x, z)
        return self.unit((x + out) / (len(zooms) + 1))

    def snow(self, x, s):
        c = SNOW[self.make][s]
        x = np.array(x, np.float32) / 255
        layer = np.random.normal(size=x.shape[:2], loc=c[0], scale=c[1])
        layer = self.clipped_zoom(layer[..., None], c[2])
        layer[layer < c[3]] = 0
        layer = Image.fromarray((np.clip(layer[..., 0], 0, 1) * 255).astype(np.uint8))
        layer = self.magick_motion(layer, c[4], c[5], np.random.uniform(-135, -45))
        layer = (layer / 255)[..., None]
        grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
        x = c[6] * x + (1 - c[6]) * np.maximum(x, grey * 1.5 + 0.5)
        return self.unit(x + layer + np.rot90(layer, k=2))

    def frost(self, x, s):
        a, b = FROST[self.make][s]
        ice = cv2.imread(str(self.frost_files[np.random.randint(5)]))
        if self.make:
            f = (.3, .2)[self.make - 1]
            ice = cv2.resize(ice, (0, 0), fx=f, fy=f)
        h, w = x.shape[:2]
        top = np.random.randint(0, ice.shape[0] - h)
        left = np.random.randint(0, ice.shape[1] - w)
        ice = ice[top:top + h, left:left + w, ::-1]
        return np.clip(a * x + b * ice, 0, 255)

    def fog(self, x, s):
        c, decay = FOG[self.make][s]
        side = map_side(self.make, x.shape)
        x = x / 255
        top = x.max()
        x = x + c * plasma(side, decay)[:x.shape[0], :x.shape[1], None]
        return self.unit(x * top / (top + c))

    def brightness(self, x, s):
        x = skimage.color.rgb2hsv(x / 255)
        x[..., 2] = np.clip(x[..., 2] + BRIGHT[self.make][s], 0, 1)
        return self.unit(skimage.color.hsv2rgb(x))

    def saturate(self, x, s):
        a, b = SATURATE[self.make][s]
        x = skimage.color.rgb2hsv(x / 255)
        x[..., 1] = np.clip(x[..., 1] * a + b, 0, 1)
        return self.unit(skimage.color.hsv2rgb(x))

    def contrast(self, x, s):
        x = x / 255
        mean = np.mean(x, axis=(0, 1), keepdims=True)
        return self.unit((x - mean) * CONTRAST[self.make][s] + mean)

    def spatter(self, x, s):
        loc, scale, sigma, threshold, weight, mud = SPATTER[self.make][s]
        x = np.array(x, np.float32) / 255
        layer = gaussian(np.random.normal(size=x.shape[:2], loc=loc, scale=scale), sigma)
        layer[layer < threshold] = 0
        if mud:
            m = gaussian((layer > threshold).astype(np.float32), weight)
            m[m < 0.8] = 0
            m = m[..., None]
            return self.unit(x * (1 - m) + m * np.array([63, 42, 20]) / 255)
        layer = (layer * 255).astype(np.uint8)
        dist = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
        dist = np.minimum(dist, 20)
        dist = cv2.equalizeHist(cv2.blur(dist, (3, 3)).astype(np.uint8))
        dist = cv2.filter2D(dist, cv2.CV_8U,
                            np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
        m = layer * cv2.blur(dist, (3, 3)).astype(np.float32)
        m = m / m.max() * weight
        return self.unit(x + m[..., None] * np.array([175, 238, 238]) / 255)

    def jpeg_compression(self, x, s):
        file = io.BytesIO()
        Image.fromarray(x).save(file, "JPEG", quality=QUALITY[self.make][s])
        return np.asarray(Image.open(file))

    def pixelate(self, x, s):
        h, w = x.shape[:2]
        c = PIXELATE[self.make][s]
        small = Image.fromarray(x).resize((int(w * c), int(h * c)), Image.BOX)
        return np.asarray(small.resize((w, h), Image.BOX))

    def elastic_transform(self, x, s):
        amount, sigma, jitter = ELASTIC[self.make][s]
        x = np.array(x, np.float32) / 255
        shape = x.shape[:2]
        centre, side = np.float32(shape) // 2, min(shape) // 3
        here = np.float32([centre + side, [centre[0] + side, centre[1] - side],
                           centre - side])
        there = here + np.random.uniform(-jitter, jitter, size=here.shape).astype(
            np.float32)
        x = cv2.warpAffine(x, cv2.getAffineTransform(here, there), shape[::-1],
                           borderMode=cv2.BORDER_REFLECT_101)
        dx, dy = ((gaussian(np.random.uniform(-1, 1, size=shape), sigma, mode="reflect",
                            truncate=3) * amount).astype(np.float32) for _ in range(2))
        rows, cols = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
        out = [scipy.ndimage.map_coordinates(x[..., c], (rows + dy, cols + dx), order=1,
                                             mode="reflect") for c in range(3)]
        return self.unit(np.stack(out, -1))

    @staticmethod
    def unit(x):
        return np.clip(x, 0, 1) * 255


def map_side(make, shape):
    """Of the fog: at least the script's, a power of two; make 3: the package."""
    return max((256, 64, 32, 4)[make], 1 << (int(max(shape)) - 1).bit_length())


def plasma(side, decay):
    """Diamond-square on a torus; the draws of a level come in the order
    squares, upright diamonds, the others."""
    m, step, wibble = np.zeros((side, side)), side, 100.0

    def filled(total):
        return total / 4 + wibble * np.random.uniform(-wibble, wibble, total.shape)
    while step >= 2:
        half = step // 2
        corner = m[::step, ::step]
        total = corner + np.roll(corner, -1, 0)
        m[half::step, half::step] = filled(total + np.roll(total, -1, 1))
        middle, corner = m[half::step, half::step], m[::step, ::step]
        m[::step, half::step] = filled(middle + np.roll(middle, 1, 0) + corner +
                                       np.roll(corner, -1, 1))
        m[half::step, ::step] = filled(middle + np.roll(middle, 1, 1) + corner +
                                       np.roll(corner, -1, 0))
        step, wibble = half, wibble / decay
    m -= m.min()
    return m / m.max()


def reference(profile, name, x, severity, seed, key, frost_files):
    """What the reference of `profile` makes of the uint8 picture x."""
    make = {"hendrycks": 0, "tinyimagenet": 1, "cifar": 2, "imagecorruptions": 3}[profile]
    n_frost = 5 if len(frost_files) == 6 else len(frost_files)
    draws = Draws(name, seed, key, x.shape, n_frost, map_side(make, x.shape))
    with injected(draws):
        if profile == "imagecorruptions":
            call = getattr(load_package(frost_files), name)
            out = call(Image.fromarray(x), severity)
        else:
            out = getattr(Scripts(make, frost_files), name)(x.copy(), severity - 1)
    return np.uint8(np.asarray(out))
