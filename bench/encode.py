# SPDX-License-Identifier: MIT
"""Image towers in PyTorch: encode.py NAME [batch [runs [MODEL]]] times one and
says how much memory the process took at most; encode.py NAME --save DIR writes
a MODEL for bench/encode. Without MODEL the weights are random. NAME is a model
of open_clip, or torchvision/NAME or timm/NAME, or transformers/ViT-B-32 and the
like.
In ONNX Runtime: encode.py NAME --onnx FILE exports one, encode.py --ort FILE
[batch [runs]] times it. Threads: as OMP_NUM_THREADS says."""
import os
import pathlib
import resource
import statistics
import sys
import time

import torch


TRANSFORMERS = {
    "ViT-B-32": {},
    "ViT-B-16": {"vision_config": {"patch_size": 16}},
    "ViT-L-14": {
        "vision_config": dict(hidden_size=1024, intermediate_size=4096,
                              num_hidden_layers=24, num_attention_heads=16,
                              patch_size=14, projection_dim=768),
        "text_config": dict(hidden_size=768, intermediate_size=3072,
                            num_attention_heads=12, projection_dim=768),
        "projection_dim": 768},
}


def load(model, path):
    """Weights of `path`, as people load them: the model first, then they."""
    if path:
        from safetensors.torch import load_file
        model.load_state_dict(load_file(path))
    return model.eval()


def make(name, path):
    """What encodes pictures, and their size."""
    torch.manual_seed(3)
    kind, _, rest = name.rpartition("/")
    if path and path.is_dir() and kind != "transformers":
        path, = path.glob("*.safetensors")
    if kind == "torchvision":
        import torchvision
        return load(getattr(torchvision.models, rest)(), path), 224
    if kind == "timm":
        import timm
        return load(timm.create_model(rest), path), 224
    if kind == "transformers":
        from transformers import CLIPConfig, CLIPModel
        model = (CLIPModel.from_pretrained(path) if path else
                 CLIPModel(CLIPConfig(**TRANSFORMERS[rest]))).eval()
        return model.get_image_features, model.config.vision_config.image_size
    import open_clip
    size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
    model = open_clip.create_model(name, pretrained=path and str(path)).eval()
    return model.encode_image, size


def save(name, where):
    import models_clip
    import models_conv
    kind, _, rest = name.rpartition("/")
    where.mkdir(parents=True, exist_ok=True)
    make = {"torchvision": models_conv.torchvision_case,
            "timm": models_conv.timm_case, "": models_conv.open_clip_case,
            "transformers": lambda d, n: models_clip.hf(d, TRANSFORMERS[n])}
    print(make[kind](where, rest or name).path)


class Tower(torch.nn.Module):
    def __init__(self, encode):
        super().__init__()
        self.encode = encode
        self.owner = encode if isinstance(encode, torch.nn.Module) else encode.__self__

    def forward(self, x):
        return self.encode(x)


def export(name, file):
    encode, size = make(name, None)
    torch.onnx.export(Tower(encode), (torch.randn(2, 3, size, size),), file,
                      dynamo=True, external_data=True,
                      dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def measure(what, run, batch, runs):
    times, used = [], []
    for i in range(runs + 1):
        t0, c0 = time.time(), time.process_time()
        run()
        if i:
            times.append(time.time() - t0)
            used.append(time.process_time() - c0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6
    print(f"{what}: forward batch {batch}: {batch / statistics.median(times):7.2f} "
          f"images/s, {statistics.median(used) / batch:8.5f} cpu-s/image, "
          f"{peak:.1f} MB peak")


def main(name, batch=1, runs=5, path=None):
    model, size = make(name, path)
    x = torch.randn(batch, 3, size, size)
    with torch.inference_mode():
        measure(f"torch {torch.__version__}, {torch.get_num_threads()} threads",
                lambda: model(x), batch, runs)


def ort(file, batch=1, runs=5):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 0))
    session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    wanted = session.get_inputs()[0]
    x = torch.randn(batch, *wanted.shape[1:]).numpy()
    measure(f"onnxruntime {onnxruntime.__version__}",
            lambda: session.run(None, {wanted.name: x}), batch, runs)


if __name__ == "__main__":
    if sys.argv[1] == "--ort":
        ort(sys.argv[2], *map(int, sys.argv[3:]))
    elif len(sys.argv) == 4 and sys.argv[2] == "--save":
        save(sys.argv[1], pathlib.Path(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[2] == "--onnx":
        export(sys.argv[1], sys.argv[3])
    else:
        main(sys.argv[1], *map(int, sys.argv[2:4]), *map(pathlib.Path, sys.argv[4:]))
