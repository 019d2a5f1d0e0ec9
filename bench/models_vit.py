# SPDX-License-Identifier: MIT
"""ViT and DeiT classifiers, in the files of timm, torchvision and
transformers."""
import torch

from models import Reference, case
from models_clip import jitter, pixels_of


def timm_pixels(model):
    """What the pretrained_cfg asks for, which save_for_hf writes."""
    from timm.data import create_transform, resolve_data_config
    return create_transform(**resolve_data_config({}, model=model))


def torchvision_pixels(name):
    """What the published weights ask for, in their files or beside them."""
    import torchvision
    weights = torchvision.models.get_model_weights(name)
    return weights.IMAGENET1K_V1.transforms()


def timm_case(where, name, size=224):
    import timm
    torch.manual_seed(3)
    model = jitter(timm.create_model(name, pretrained=False), 4)
    with torch.no_grad():  # a head of its usual size, not timm's zeros
        for p in model.parameters():
            if p.ndim > 1 and p.std() < 1e-3:
                p.normal_(0, 0.02)
    timm.models.save_for_hf(model, where / "model", safe_serialization=True)
    cfg = model.pretrained_cfg
    return Reference(what=f"timm {timm.__version__}", path=where / "model",
                     size=(size, size), mean=cfg["mean"], std=cfg["std"],
                     image=model, classifier=True,
                     preprocess=timm_pixels(model))


@case("ViT-B/16, timm", "vit")
def vit_b16(where):
    return timm_case(where, "vit_base_patch16_224")


@case("DeiT-B/16, timm", "vit")
def deit_b16(where):
    return timm_case(where, "deit_base_patch16_224")


@case("DeiT-S/16 distilled, timm", "vit")
def deit_distilled(where):
    return timm_case(where, "deit_small_distilled_patch16_224")


@case("DeiT III-S/16, timm", "vit")
def deit3(where):
    return timm_case(where, "deit3_small_patch16_224")


@case("ViT-B/16, torchvision", "vit")
def torchvision_b16(where):
    import torchvision
    from safetensors.torch import save_file
    torch.manual_seed(3)
    model = jitter(torchvision.models.vit_b_16(), 4)
    torch.nn.init.normal_(model.heads.head.weight, 0, 0.02)
    save_file(model.state_dict(), where / "vit_b_16.safetensors")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Reference(what=f"torchvision {torchvision.__version__}",
                     path=where / "vit_b_16.safetensors", size=(224, 224),
                     mean=mean, std=std, image=model, classifier=True,
                     preprocess=torchvision_pixels("vit_b_16"))


@case("ViT-B/16, Hugging Face", "vit")
def hf_b16(where):
    import transformers
    from transformers import ViTConfig, ViTForImageClassification, \
        ViTImageProcessorPil
    torch.manual_seed(3)
    model = jitter(ViTForImageClassification(ViTConfig(num_labels=1000)), 4)
    model.save_pretrained(where / "model")
    pre = ViTImageProcessorPil()
    pre.save_pretrained(where / "model")
    return Reference(what=f"transformers {transformers.__version__}",
                     path=where / "model", size=(224, 224), mean=(0.5,) * 3,
                     std=(0.5,) * 3, image=lambda x: model(x).logits,
                     classifier=True, preprocess=pixels_of(pre))
