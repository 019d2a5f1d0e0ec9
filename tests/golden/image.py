# SPDX-License-Identifier: MIT
"""Makes tests/golden/images/* and tests/golden/image.h with Pillow: small
encoded pictures, the SHA-256 of their convert("RGB") pixels, of resized
formula pictures and of encoded JPEGs. Run in the root of the tree:
    python tests/golden/image.py
Needs Pillow >= 13 (its resize order) and NumPy."""
import hashlib
import io
import os
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps

OUT = "tests/golden/images"
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
         (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def formula(w, h, c=3):
    """The test program has the same formula."""
    y, x, k = np.mgrid[0:h, 0:w, 0:c].astype(np.int64)
    v = x * (k + 2) + y * (5 - k) + ((x // 8) ^ (y // 4)) * 24 + x * y // 16
    return (v & 255).astype(np.uint8)


def png(w, h, depth, kind, rows, chunks=(), adam7=False):
    def chunk(t, d):
        return (struct.pack(">I", len(d)) + t + d +
                struct.pack(">I", zlib.crc32(t + d)))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0,
                                       int(adam7))) +
            b"".join(chunk(t, d) for t, d in chunks) +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def pack(a, depth):
    """Samples (h, w, c) as PNG rows with filter 0."""
    out = b""
    for row in a:
        v = row.reshape(-1)
        if depth == 16:
            b = v.astype(">u2").tobytes()
        elif depth == 8:
            b = v.astype(np.uint8).tobytes()
        else:
            bits = ((v[:, None] >> np.arange(depth - 1, -1, -1)) & 1)
            b = np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()
        out += b"\0" + b
    return out


def interlaced(a, depth):
    return b"".join(pack(a[y::dy, x::dx], depth)
                    for x, y, dx, dy in ADAM7 if a[y::dy, x::dx].size)


def save(im, **k):
    b = io.BytesIO()
    im.save(b, **k)
    return b.getvalue()


def files():
    rgb = Image.fromarray(formula(37, 29))
    grey = rgb.convert("L")
    rgba = Image.fromarray(formula(23, 31, 4), "RGBA")
    f = {}
    for sub, name in ((0, "444"), (1, "422"), (2, "420")):
        f[f"rgb_{name}.jpg"] = save(rgb, format="JPEG", quality=60 + sub,
                                    subsampling=sub)
    f["progressive.jpg"] = save(rgb, format="JPEG", quality=50,
                                progressive=True)
    f["restarts.jpg"] = save(rgb, format="JPEG", quality=70,
                             restart_marker_blocks=2)
    f["grey.jpg"] = save(grey, format="JPEG", quality=80)
    cmyk = save(rgb.convert("CMYK"), format="JPEG", quality=80, subsampling=0)
    f["cmyk.jpg"] = cmyk
    at = cmyk.index(b"Adobe") - 4
    f["cmyk_plain.jpg"] = cmyk[:at] + cmyk[at + 16:]
    f["ycck.jpg"] = cmyk[:at + 15] + b"\2" + cmyk[at + 16:]
    for name, im in (("rgb", rgb), ("grey", grey), ("rgba", rgba),
                     ("bits", grey.convert("1")), ("la", rgba.convert("LA")),
                     ("p8", rgb.quantize(200)), ("p4", rgb.quantize(9)),
                     ("p2", rgb.quantize(4)), ("p1", rgb.quantize(2))):
        f[name + ".png"] = save(im, format="PNG")
    f["p_trns.png"] = save(rgb.quantize(9), format="PNG", transparency=3)
    f["rgb_trns.png"] = save(rgb, format="PNG", transparency=(1, 2, 3))
    wide = np.arange(9 * 7 * 4).reshape(7, 9, 4) * 263 % 65536
    f["grey16.png"] = png(9, 7, 16, 0, pack(wide[:, :, :1] % 700, 16))
    f["la16.png"] = png(9, 7, 16, 4, pack(wide[:, :, :2], 16))
    f["rgb16.png"] = png(9, 7, 16, 2, pack(wide[:, :, :3], 16))
    f["rgba16.png"] = png(9, 7, 16, 6, pack(wide, 16))
    low = formula(13, 11, 1)
    for d in (1, 2, 4):
        f[f"grey{d}_trns.png"] = png(13, 11, d, 0, pack(low >> (8 - d), d),
                                     [(b"tRNS", b"\0\1")])
    f["p_short.png"] = png(13, 11, 8, 3, pack(low % 5, 8),
                           [(b"PLTE", bytes(range(10, 19)))])
    f["adam7_rgb.png"] = png(19, 13, 8, 2, interlaced(formula(19, 13), 8),
                             adam7=True)
    f["adam7_grey1.png"] = png(13, 11, 1, 0, interlaced(low >> 7, 1),
                               adam7=True)
    f["adam7_grey16.png"] = png(9, 7, 16, 0,
                                interlaced(wide[:, :, :1] % 300, 16),
                                adam7=True)
    f["lossy.webp"] = save(rgb, format="WEBP", quality=60)
    f["lossless.webp"] = save(rgb, format="WEBP", lossless=True)
    f["alpha.webp"] = save(rgba, format="WEBP", quality=70)
    f["alpha_exact.webp"] = save(rgba, format="WEBP", lossless=True,
                                 exact=True)
    f["animated.webp"] = save(rgba, format="WEBP", save_all=True, quality=50,
                              append_images=[rgba.transpose(0)])
    exif = Image.Exif()
    for o in range(1, 9):
        exif[0x112] = o
        small = Image.fromarray(formula(11, 7))
        f[f"exif{o}.jpg"] = save(small, format="JPEG", quality=90, exif=exif)
    exif[0x112] = 6
    f["exif6.png"] = save(small, format="PNG", exif=exif)
    f["exif6.webp"] = save(small, format="WEBP", lossless=True, exif=exif)
    return f


def sha(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()


def main():
    os.makedirs(OUT, exist_ok=True)
    decode, turn, resize, encode = [], [], [], []
    for name, data in sorted(files().items()):
        with open(f"{OUT}/{name}", "wb") as g:
            g.write(data)
        im = Image.open(io.BytesIO(data))
        a = np.asarray(im.convert("RGB"))
        decode.append(f'    {{ "{name}", {a.shape[1]}, {a.shape[0]},\n'
                      f'      "{sha(a)}" }},')
        if name.startswith("exif"):
            a = np.asarray(ImageOps.exif_transpose(im).convert("RGB"))
            turn.append(f'    {{ "{name}", {a.shape[1]}, {a.shape[0]},\n'
                        f'      "{sha(a)}" }},')
    filters = (Image.NEAREST, Image.BOX, Image.BILINEAR, Image.BICUBIC,
               Image.LANCZOS, Image.HAMMING)
    sizes = ((64, 48, 32, 24), (64, 48, 31, 47), (50, 37, 224, 166),
             (37, 50, 1, 1), (1, 1, 9, 5), (7, 1, 3, 4), (33, 90, 33, 13),
             (90, 33, 13, 33), (40, 130, 20, 60), (301, 17, 29, 90),
             (23, 140, 100, 9), (48, 48, 48, 48))
    for k, f in enumerate(filters):
        for w, h, to_w, to_h in sizes:
            a = Image.fromarray(formula(w, h)).resize((to_w, to_h), f)
            resize.append(f'    {{ {k}, {w}, {h}, {to_w}, {to_h},\n'
                          f'      "{sha(np.asarray(a))}" }},')
    for q in (1, 10, 25, 50, 75, 90, 100):
        for w, h in ((37, 29), (16, 16), (1, 1)):
            b = save(Image.fromarray(formula(w, h)), format="JPEG", quality=q)
            encode.append(f'    {{ {q}, {w}, {h},\n'
                          f'      "{hashlib.sha256(b).hexdigest()}" }},')
    head = ("/* SPDX-License-Identifier: MIT */\n"
            f"/* Made by tests/golden/image.py with Pillow {PIL.__version__};"
            " do not edit. */\n")
    parts = (("struct golden_file golden_decode", decode),
             ("struct golden_file golden_upright", turn),
             ("struct golden_resize golden_resize", resize),
             ("struct golden_jpeg golden_jpeg", encode))
    with open("tests/golden/image.h", "w") as g:
        g.write(head)
        for decl, lines in parts:
            g.write(f"\nstatic const {decl}[] = {{\n" + "\n".join(lines) +
                    "\n};\n")


main()
