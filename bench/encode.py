# SPDX-License-Identifier: MIT
"""Image towers in PyTorch: encode.py NAME [batch [runs]] times one, random
weights; encode.py NAME --save DIR writes it for bench/encode. NAME is a model
of open_clip, or torchvision/NAME or timm/NAME."""
import pathlib
import statistics
import sys
import time

import torch


def make(name):
    torch.manual_seed(3)
    kind, _, rest = name.rpartition("/")
    if kind == "torchvision":
        import torchvision
        return getattr(torchvision.models, rest)().eval(), 224
    if kind == "timm":
        import timm
        return timm.create_model(rest).eval(), 224
    import open_clip
    size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
    return open_clip.create_model(name).visual.eval(), size


def save(name, where):
    import models_conv
    kind, _, rest = name.rpartition("/")
    where.mkdir(parents=True, exist_ok=True)
    make = {"torchvision": models_conv.torchvision_case,
            "timm": models_conv.timm_case, "": models_conv.open_clip_case}
    print(make[kind](where, rest or name).path)


def main(name, batch=1, runs=5):
    model, size = make(name)
    x = torch.randn(batch, 3, size, size)
    times, used = [], []
    with torch.inference_mode():
        for i in range(runs + 1):
            t0, c0 = time.time(), time.process_time()
            model(x)
            if i:
                times.append(time.time() - t0)
                used.append(time.process_time() - c0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads: forward "
          f"batch {batch}: {batch / statistics.median(times):7.2f} images/s, "
          f"{statistics.median(used) / batch:8.5f} cpu-s/image")


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "--save":
        save(sys.argv[1], pathlib.Path(sys.argv[3]))
    else:
        main(sys.argv[1], *map(int, sys.argv[2:]))
