# SPDX-License-Identifier: MIT
"""Corruptions against their Python references: pixels, statistics and time.

    python bench/corruptions.py pixels BUILD      ten photos of odd sizes, every
                                                  severity, with mohs's draws
    python bench/corruptions.py statistics BUILD  with NumPy's own draws
    python bench/corruptions.py time BUILD        224 x 224, ms a picture

pixels takes PROFILE,... NAME,... and kernel or reference behind BUILD, a build
directory where `make bench/corruptions` was run. Needs the
packages of tests/golden/corruptions_reference.py; for time also
albumentations, kornia and torchvision, where they are installed.
"""
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/golden"))
import corruptions_reference as ref  # noqa: E402

warnings.simplefilter("ignore")
SIZES = [(321, 243), (224, 224), (199, 301), (255, 129), (173, 340), (401, 77),
         (64, 64), (231, 232), (97, 253), (300, 200)]


class Mohs:
    def __init__(self, build):
        self.p = subprocess.Popen([f"{build}/bench/corruptions"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)

    def __call__(self, name, params, severity, x, seed=1, key=5, how="kernel", repeat=1):
        x = np.ascontiguousarray(x if x.ndim == 4 else x[None])
        n, h, w, _ = x.shape
        self.p.stdin.write(f"{name} {params} {severity} {w} {h} {n} {seed} {key} {how} "
                           f"{repeat}\n".encode() + x.tobytes())
        self.p.stdin.flush()
        word, _, rest = self.p.stdout.readline().decode().strip().partition(" ")
        if word != "ok":
            raise RuntimeError(f"{name}: {rest}")
        out = np.frombuffer(self.p.stdout.read(x.size), np.uint8).reshape(x.shape)
        self.seconds = float(rest)
        return out if n > 1 else out[0]


def photos():
    import skimage.data
    from PIL import Image
    names = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field",
             "immunohistochemistry", "camera", "moon", "brick")
    out = []
    for name, size in zip(names, SIZES):
        x = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        w, h = size
        scale = max(w / x.width, h / x.height)
        x = x.resize((max(w, round(x.width * scale)), max(h, round(x.height * scale))))
        out.append(np.asarray(x.crop((0, 0, w, h))))
    return out


def frost_files():
    import importlib.util
    spec = importlib.util.find_spec("imagecorruptions")
    where = pathlib.Path(spec.submodule_search_locations[0]) / "frost"
    return sorted(where.glob("frost*"))


def pixels(mohs, profiles=ref.PROFILES, names=ref.NAMES, how="kernel"):
    files = frost_files()
    given = ":".join(map(str, files))
    print(f"{'profile':17}{'corruption':19}" +
          "".join(f"    mean{s}  worst{s}" for s in range(1, 6)))
    for profile in profiles:
        for name in names:
            cells = []
            for severity in range(1, 6):
                mean, worst = [], 0
                for i, x in enumerate(photos()):
                    if profile in ("tinyimagenet", "cifar"):
                        x = x[:61, :63]
                    if name == "frost" and profile == "cifar":
                        x = x[:50, :62]
                    params = f"profile={profile}"
                    if name == "frost":
                        params += f",frost_images={given}"
                    want = ref.reference(profile, name, x, severity, 9, i, files)
                    got = mohs(name, params, severity, x, 9, i, how)
                    d = np.abs(want.astype(int) - got)
                    mean.append(d.mean())
                    worst = max(worst, d.max())
                cells.append(f"{max(mean):9.4f}{worst:8d}")
            print(f"{profile:17}{name:19}" + "".join(cells), flush=True)


# ---- statistics, with NumPy's own draws ----

STOCHASTIC = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise",
              "glass_blur", "motion_blur", "snow", "frost", "fog", "spatter",
              "elastic_transform")


def features(out, x):
    """Of pictures out made from x: mean, deviation, byte histogram in 16 parts,
    power of the difference in 6 rings of frequency (log), each a row a picture."""
    out = out.astype(np.float64)
    d = (out - x).mean(-1)
    power = np.abs(np.fft.fft2(d)) ** 2 / d[0].size
    fy, fx = np.meshgrid(*(np.fft.fftfreq(n) for n in d.shape[1:]), indexing="ij")
    ring = np.minimum((np.hypot(fy, fx) * 12).astype(int), 5)
    rings = [np.log(power[:, ring == k].mean(1) + 1e-3) for k in range(6)]
    bins = [((out >= 16 * k) & (out < 16 * k + 16)).mean((1, 2, 3)) for k in range(16)]
    return np.stack([out.mean((1, 2, 3)), out.std((1, 2, 3))] + bins + rings, -1)


def distance(a, b):
    """The largest difference of means in standard errors."""
    error = np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))
    return np.max(np.abs(a.mean(0) - b.mean(0)) / np.maximum(error, 1e-9 + 1e-6))


def statistics(mohs, profiles=("imagecorruptions",), names=STOCHASTIC, n=40):
    """Below about 4.5 (24 numbers) they are alike; the next severity is not."""
    from PIL import Image
    files, profile = frost_files(), profiles[0]
    package = ref.load_package(files)
    x = photos()[6]
    print(f"{'corruption':19}" + "".join(f"    same{s}  other{s}" for s in range(1, 6)))
    for name in names:
        params = f"profile={profile}"
        if name == "frost":
            params += ",frost_images=" + ":".join(map(str, files))
        ours, theirs = [], []
        for severity in range(1, 6):
            mine = mohs(name, params, severity, np.stack([x] * n), 100 + severity)
            np.random.seed(severity)
            other = [np.uint8(getattr(package, name)(Image.fromarray(x), severity))
                     for _ in range(n)]
            ours.append(features(mine, x))
            theirs.append(features(np.stack(other), x))
        cells = [f"{distance(ours[s], theirs[s]):9.1f}"
                 f"{distance(ours[s], theirs[s + 1 if s < 4 else 3]):8.1f}"
                 for s in range(5)]
        print(f"{name:19}" + "".join(cells), flush=True)


# ---- time ----

def rivals(name, severity):
    """What else does it here at like strength: (library, function of uint8)."""
    s = severity - 1
    out = []
    try:
        import albumentations as A
        zoom, step = ref.ZOOM[0][s]
        sigma, delta, turns = ref.GLASS[0][s]
        radius, alias = ref.DISK[0][s]
        noise = ref.SIGMA.get(name, ([0] * 5,))[0][s]
        blur = ref.BLUR[0][s]
        a, b = ref.SATURATE[0][s]
        make = {
            "gaussian_noise": lambda: A.GaussNoise(std_range=(noise, noise), p=1),
            "shot_noise": lambda: A.ShotNoise(scale_range=(1 / ref.SHOT[0][s],) * 2, p=1),
            "impulse_noise": lambda: A.SaltAndPepper(amount=(ref.IMPULSE[0][s],) * 2, p=1),
            "speckle_noise": lambda: A.MultiplicativeNoise((1 - noise, 1 + noise),
                                                           elementwise=True,
                                                           per_channel=True, p=1),
            "gaussian_blur": lambda: A.GaussianBlur(blur_limit=0,
                                                    sigma_limit=(blur, blur), p=1),
            "defocus_blur": lambda: A.Defocus((radius, radius), (alias, alias), p=1),
            "glass_blur": lambda: A.GlassBlur(sigma, delta, turns, mode="fast", p=1),
            "motion_blur": lambda: A.MotionBlur((2 * ref.MOTION[0][s][0] + 1,) * 2, p=1),
            "zoom_blur": lambda: A.ZoomBlur((zoom, zoom), (step, step), p=1),
            "snow": lambda: A.RandomSnow(p=1),
            "fog": lambda: A.RandomFog(p=1),
            "brightness": lambda: A.ColorJitter((1 + ref.BRIGHT[0][s],) * 2, (1, 1), (1, 1),
                                                (0, 0), p=1),
            "saturate": lambda: A.ColorJitter((1, 1), (1, 1), (a, a), (0, 0), p=1),
            "contrast": lambda: A.ColorJitter((1, 1), (ref.CONTRAST[0][s],) * 2, (1, 1),
                                              (0, 0), p=1),
            "spatter": lambda: A.Spatter(mode="mud" if severity > 3 else "rain", p=1),
            "elastic_transform": lambda: A.ElasticTransform(30, 2.24, p=1),
            "pixelate": lambda: A.Downscale((ref.PIXELATE[0][s],) * 2, p=1),
            "jpeg_compression": lambda: A.ImageCompression(
                quality_range=(ref.QUALITY[0][s],) * 2, p=1),
        }
        if name in make:
            t = make[name]()
            out.append(("albumentations", lambda x: t(image=x)["image"]))
    except ImportError:
        pass
    try:
        import torch
        import torchvision.transforms.v2 as V
        blur = float(ref.BLUR[0][s])
        make = {
            "gaussian_noise": lambda: V.GaussianNoise(sigma=ref.SIGMA[name][0][s]),
            "gaussian_blur": lambda: V.GaussianBlur(2 * int(4 * blur + 0.5) + 1, blur),
            "elastic_transform": lambda: V.ElasticTransform(30.0, 2.24),
            "jpeg_compression": lambda: V.JPEG(ref.QUALITY[0][s]),
            "contrast": lambda: V.ColorJitter(contrast=(ref.CONTRAST[0][s],) * 2),
            "brightness": lambda: V.ColorJitter(brightness=(1 + ref.BRIGHT[0][s],) * 2),
            "saturate": lambda: V.ColorJitter(saturation=(ref.SATURATE[0][s][0],) * 2),
        }
        if name in make:
            v = make[name]()
            real = name == "gaussian_noise"
            out.append(("torchvision", lambda x: v(
                torch.from_numpy(x).permute(2, 0, 1).float() / 255 if real
                else torch.from_numpy(x).permute(2, 0, 1))))
        import kornia.augmentation as K
        make = {
            "gaussian_blur": lambda: K.RandomGaussianBlur(
                (2 * int(4 * blur + 0.5) + 1,) * 2, (blur, blur), p=1),
            "motion_blur": lambda: K.RandomMotionBlur(2 * ref.MOTION[0][s][0] + 1, 45., 1.,
                                                      p=1),
            "gaussian_noise": lambda: K.RandomGaussianNoise(std=ref.SIGMA[name][0][s], p=1),
            "elastic_transform": lambda: K.RandomElasticTransform(p=1),
            "contrast": lambda: K.RandomContrast((ref.CONTRAST[0][s],) * 2, p=1),
            "brightness": lambda: K.RandomBrightness((1 + ref.BRIGHT[0][s],) * 2, p=1),
            "saturate": lambda: K.RandomSaturation((ref.SATURATE[0][s][0],) * 2, p=1),
        }
        if name in make:
            k = make[name]()
            out.append(("kornia", lambda x: k(
                torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255)))
    except ImportError:
        pass
    return out


def best_ms(call, x, budget=0.25):
    call(x)
    best, spent = 1e9, 0
    while spent < budget or best == 1e9:
        t = time.perf_counter()
        call(x)
        t = time.perf_counter() - t
        best, spent = min(best, t), spent + t
    return 1000 * best


def speed(mohs):
    """Shortest of several calls, in turns; mohs with batches of 16 and of 1."""
    import skimage.data
    from PIL import Image
    x = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((224, 224)))
    x16, files = np.stack([x] * 16), frost_files()
    package = ref.load_package(files)
    image, total = Image.fromarray(x), [0, 0]
    print("| corruption | mohs ms | one by one | imagecorruptions ms | ratio | "
          "fastest other | its ms | ratio |\n|---|---|---|---|---|---|---|---|")
    for name in ref.NAMES:
        ours, alone, theirs, other = 0, 0, 0, {}
        for severity in range(1, 6):
            mohs(name, "-", severity, x16, repeat=3)
            call = getattr(package, name)
            theirs += best_ms(lambda _: np.uint8(call(image, severity)), x)
            for library, f in rivals(name, severity):
                other[library] = other.get(library, 0) + best_ms(f, x, 0.1)
            mohs(name, "-", severity, x16, repeat=5)
            ours += 1000 * mohs.seconds / 16
            mohs(name, "-", severity, x, repeat=9)
            alone += 1000 * mohs.seconds
        total = [total[0] + ours, total[1] + theirs]
        best = min(other, key=other.get) if other else "-"
        last = f"{other[best] / 5:.3f} | {other[best] / ours:.1f}" if other else "- | -"
        print(f"| {name} | {ours / 5:.3f} | {alone / 5:.3f} | {theirs / 5:.2f} | "
              f"{theirs / ours:.0f} | {best} | {last} |", flush=True)
    print(f"| sum of 19 x 5 | {total[0]:.0f} | | {total[1]:.0f} | "
          f"{total[1] / total[0]:.0f} | | | |")


def main():
    what, build = sys.argv[1:3]
    mohs = Mohs(build)
    given = [a.split(",") for a in sys.argv[3:5]] + sys.argv[5:6]
    more = dict(zip(("profiles", "names", "how"), given))
    {"pixels": pixels, "statistics": statistics, "time": speed}[what](mohs, **more)


if __name__ == "__main__":
    main()
