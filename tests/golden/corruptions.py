# SPDX-License-Identifier: MIT
"""Writes corruptions.txt and corruptions.bin: what the Python references
(corruptions_reference.py) make of a small procedural picture.

A line of corruptions.txt is

    id params severity width height

its bytes follow those of the line before in corruptions.bin. In params, @ is
this directory. Also writes corruptions_ice/, small textures for frost.
"""
import io
import pathlib
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import corruptions_reference as ref  # noqa: E402

SEED, KEY = 2024, 77
# odd sizes; small ones where a profile only changes constants
SIZES = {"hendrycks": (37, 33), "imagecorruptions": (33, 35), "tinyimagenet": (25, 19),
         "cifar": (21, 22)}
# what the package does otherwise than the script
DIFFERENT = ("motion_blur", "zoom_blur", "snow", "frost", "fog", "elastic_transform",
             "pixelate", "glass_blur")


def picture(width, height):
    """As picture() of test_corruptions.c: waves with noise, flat patches."""
    out = np.zeros((height, width, 3), np.uint8)
    noise = ref.words(1, 2, np.arange(out.size)).reshape(out.shape) % np.uint64(32)
    for y in range(height):
        for x in range(width):
            patch = (x // 9 * 7 + y // 7 * 5) % 11
            for c in range(3):
                wave = abs((x * (5 + c) + y * 3) % 255 - 127)
                out[y, x, c] = {0: 255, 1: 0, 2: 37 * (c + 2)}.get(
                    patch, wave * 7 // 4 + int(noise[y, x, c]))
    return out


def textures(directory):
    directory.mkdir(exist_ok=True)
    files = []
    for i, (w, h, end) in enumerate([(160, 131, "png"), (150, 140, "jpg"),
                                     (24, 20, "png")]):
        x = picture(w, h)
        x = np.roll(x, 5 * i, (0, 1))[..., ::(-1) ** i]
        files.append(directory / f"ice{i}.{end}")
        Image.fromarray(x // 2 + 96).save(files[-1], quality=80)
    return files


def cases(profile):
    for name in ref.NAMES:
        if profile == "imagecorruptions" and name not in DIFFERENT:
            continue
        for severity in range(1, 6):
            if profile in ("hendrycks", "imagecorruptions") or severity % 2:
                yield name, severity


def saved(x):
    """As the files of ImageNet-C were."""
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=85, optimize=True)
    return np.asarray(Image.open(file))


def main():
    here = pathlib.Path(__file__).parent
    files = textures(here / "corruptions_ice")
    lines, data = [], b""
    for profile in ref.PROFILES:
        w, h = SIZES[profile]
        # the scripts cannot enlarge a texture, so give them large ones only
        ice = files if profile == "imagecorruptions" else files[:2]
        for name, severity in cases(profile):
            out = ref.reference(profile, name, picture(w, h), severity, SEED, KEY, ice)
            params = f"profile={profile}"
            if name == "frost":
                params += ",frost_images=" + ":".join(f"@/{f.name}" for f in ice)
            lines.append(f"{name} {params} {severity} {w} {h}\n")
            data += out.tobytes()
    w, h = SIZES["hendrycks"]
    for name in ("shot_noise", "pixelate"):  # exact before the file
        out = ref.reference("hendrycks", name, picture(w, h), 2, SEED, KEY, files)
        lines.append(f"{name} profile=hendrycks,jpeg85=1 2 {w} {h}\n")
        data += saved(out).tobytes()
    (here / "corruptions.txt").write_text("".join(lines))
    (here / "corruptions.bin").write_bytes(data)


if __name__ == "__main__":
    main()
