# SPDX-License-Identifier: MIT
"""CLIP with ResNets and ConvNeXts, and their classifiers, in the files of
open_clip, OpenAI, torchvision, timm and transformers."""
import copy
import json

import torch

from models import Reference, case
from models_clip import fill, jitter, pixels_of, write_tokenizer
from models_vit import timm_pixels, torchvision_pixels


def statistics(model, seed):
    """Running statistics as of a trained network, not 0 and 1: means and
    variances that the layer's inputs really have, each a little off."""
    g = torch.Generator().manual_seed(seed)
    norms = [m for m in model.modules()
             if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]

    def measure(m, args):
        x = args[0].transpose(0, 1).flatten(1)
        shape = m.running_mean.shape
        m.running_mean.copy_(x.mean(1) + 0.2 * x.std(1) *
                             torch.randn(shape, generator=g))
        m.running_var.copy_(x.var(1) * (0.7 + 0.6 * torch.rand(shape, generator=g))
                            + 1e-3)
    hooks = [m.register_forward_pre_hook(measure) for m in norms]
    # gains that start at 0 would hide a branch
    with torch.no_grad():
        for m in norms:
            m.weight.copy_(0.8 + 0.4 * torch.rand(m.weight.shape, generator=g))
    return hooks


def settle(model, run, seed=6):
    hooks = statistics(model, seed)
    with torch.no_grad():
        run()
    for h in hooks:
        h.remove()
    return model


def in_double(model):
    """The reference must be in double: where an input of a ReLU is near 0,
    the gradient of a deep network changes by per cents with the last bit of
    a float, PyTorch's own in float included."""
    exact = copy.deepcopy(model).double()
    return dict(image=lambda x: logits(exact(x.double())).float(),
                image_float=lambda x: logits(model(x)))


def logits(y):
    return y if isinstance(y, torch.Tensor) else y.logits


def open_clip_case(where, name, n=2, grad=True):
    """Without gradients the reference is in float: memory."""
    import open_clip
    from safetensors.torch import save_file
    torch.manual_seed(3)
    model = jitter(open_clip.create_model(name), 4)
    config = open_clip.get_model_config(name)
    size = config["vision_cfg"]["image_size"]
    pictures = torch.randn(2, 3, size, size)
    settle(model.visual, lambda: model.encode_image(pictures))
    with torch.no_grad():  # layer scale starts at 1e-6
        for k, p in model.named_parameters():
            if k.endswith("gamma"):
                p.uniform_(0.1, 0.5)
    (where / "model").mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()},
              where / "model/open_clip_model.safetensors")
    (where / "model/open_clip_config.json").write_text(json.dumps(dict(
        model_cfg=config, preprocess_cfg=model.visual.preprocess_cfg)))
    tok = write_tokenizer(where / "model")
    preprocess = open_clip.image_transform(
        size, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN,
        std=open_clip.OPENAI_DATASET_STD)

    def text(tokens, hook):
        h = model.transformer.register_forward_pre_hook(
            lambda _m, a: (hook(a[0]),) + a[1:])
        try:
            return model.encode_text(tokens)
        finally:
            h.remove()

    towers = in_double(model.visual) if grad else dict(image=model.encode_image)
    return Reference(
        what=f"open_clip {open_clip.__version__}", path=where / "model",
        size=(size, size), mean=open_clip.OPENAI_DATASET_MEAN,
        std=open_clip.OPENAI_DATASET_STD, text=text, n=n, grad=grad,
        context=77, vocab=49408, fill=fill(77, 49408, 49407),
        ends=lambda t: t.argmax(1), scale=model.logit_scale.exp().item(),
        preprocess=preprocess, tokenize=lambda s: tok(s, 77), **towers)


@case("CLIP RN50, open_clip", "clip_resnet")
def rn50(where):
    return open_clip_case(where, "RN50-quickgelu")


@case("CLIP RN50x4, open_clip", "clip_resnet")
def rn50x4(where):
    return open_clip_case(where, "RN50x4")


@case("CLIP RN101, open_clip", "clip_resnet")
def rn101(where):
    return open_clip_case(where, "RN101-quickgelu")


@case("CLIP RN50x16, open_clip", "clip_resnet")
def rn50x16(where):
    return open_clip_case(where, "RN50x16", n=1)


@case("CLIP RN50x64, open_clip", "clip_resnet")
def rn50x64(where):
    return open_clip_case(where, "RN50x64", n=1, grad=False)


@case("CLIP ConvNeXt-XXL, open_clip", "clip_convnext")
def convnext_xxlarge(where):
    return open_clip_case(where, "convnext_xxlarge", n=1, grad=False)


@case("CLIP ConvNeXt-B-W, open_clip", "clip_convnext")
def convnext_base_w(where):
    return open_clip_case(where, "convnext_base_w")


def classifier_case(model, what, save, preprocess):
    jitter(model, 4)
    size = 224
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    settle(model, lambda: model(torch.randn(2, 3, size, size)))
    with torch.no_grad():
        for k, p in model.named_parameters():
            if "gamma" in k or "layer_scale" in k:
                p.uniform_(0.1, 0.5)
            elif p.ndim == 2 and p.shape[0] == 1000:
                p.normal_(0, 0.02)
    path = save(model)
    return Reference(what=what, path=path, size=(size, size), mean=mean, std=std,
                     classifier=True, preprocess=preprocess, **in_double(model))


def torchvision_case(where, name):
    import torchvision
    from safetensors.torch import save_file
    torch.manual_seed(3)

    def save(model):
        save_file(model.state_dict(), where / f"{name}.safetensors")
        return where / f"{name}.safetensors"
    return classifier_case(getattr(torchvision.models, name)(),
                           f"torchvision {torchvision.__version__}", save,
                           torchvision_pixels(name))


def timm_case(where, name):
    import timm
    torch.manual_seed(3)

    def save(model):
        timm.models.save_for_hf(model, where / "model", safe_serialization=True)
        return where / "model"
    model = timm.create_model(name)
    return classifier_case(model, f"timm {timm.__version__}", save,
                           timm_pixels(model))


@case("ResNet-50, torchvision", "resnet")
def resnet50(where):
    return torchvision_case(where, "resnet50")


@case("ResNet-18, timm", "resnet")
def resnet18(where):
    return timm_case(where, "resnet18")


@case("ResNeXt-50, torchvision", "resnet")
def resnext50(where):
    return torchvision_case(where, "resnext50_32x4d")


@case("ResNet-50, Hugging Face", "resnet")
def resnet50_hf(where):
    import transformers
    from transformers import (ConvNextImageProcessorPil, ResNetConfig,
                              ResNetForImageClassification)
    torch.manual_seed(3)

    pre = ConvNextImageProcessorPil(  # as the published ones
        size={"shortest_edge": 224}, crop_pct=0.875,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])

    def save(model):
        model.save_pretrained(where / "model")
        pre.save_pretrained(where / "model")
        return where / "model"
    return classifier_case(
        ResNetForImageClassification(ResNetConfig(num_labels=1000)),
        f"transformers {transformers.__version__}", save, pixels_of(pre))


@case("ConvNeXt-T, timm", "convnext")
def convnext_tiny(where):
    return timm_case(where, "convnext_tiny")


@case("ConvNeXt-T, torchvision", "convnext")
def convnext_tiny_torchvision(where):
    return torchvision_case(where, "convnext_tiny")
