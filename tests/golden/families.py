# SPDX-License-Identifier: MIT
"""Golden models of the families beside CLIP, one file each in families/.

  families.py [NAME...]   writes families/NAME.safetensors (all of them).

A file is a whole checkpoint, as its library saves it but tiny, with random
weights in half precision, and beside the weights the tensors case.*: inputs,
and what the reference makes of them in double precision: embeddings
(normalised) or logits, and gradients of sum(embedding * seed).
tests/unit/test_families.c reads them.

Needs torch, numpy, safetensors, transformers, open_clip_torch, timm,
torchvision.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent / "families"


def randomise(model, seed, scale=1.0):
    """Weights of a size that lets every one of them matter, in half
    precision; then the model in double."""
    g = torch.Generator().manual_seed(seed)
    gains = {id(m.weight) for m in model.modules()
             if "Norm" in type(m).__name__ and getattr(m, "weight", None) is not None}
    with torch.no_grad():
        for name, p in model.named_parameters():
            x = torch.randn(p.shape, generator=g)
            if p.numel() == 1:
                x = (2 if "scale" in name else -3) + 0.1 * x
            elif id(p) in gains or "gamma" in name:
                x = 1 + 0.2 * x
            elif p.ndim == 1:
                x = 0.2 * x
            else:
                x = scale * x / (p.numel() / p.shape[0]) ** 0.5
            p.copy_(x.half().float())
        for name, b in model.named_buffers():
            if "running_" in name:
                x = torch.rand(b.shape, generator=g) + 0.5
                if "mean" in name:
                    x = 0.4 * (x - 1)
                b.copy_(x.half().float())
    return model.double().eval()


def state(model, prefix=""):
    return {prefix + k: v.detach() for k, v in model.state_dict().items()}


def half(weights):
    return {k: v.half().contiguous().clone() for k, v in weights.items()
            if v.is_floating_point()}


class Case:
    """The inputs and outputs of one model."""

    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.t = {}

    def keep(self, name, x):
        x = x.detach()
        self.t["case." + name] = (x.int() if not x.is_floating_point()
                                  else x.float()).contiguous()

    def draw(self, *shape):
        return torch.randn(shape, generator=self.g).double()

    def output(self, side, y, x, seed=None):
        """y of the tower, its gradient by x."""
        seed = self.draw(*y.shape) if seed is None else seed
        self.keep(side + ".seed", seed)
        grad, = torch.autograd.grad((y * seed.float().double()).sum(), x)
        self.keep(side, y)
        self.keep(side + ".grad", grad)

    def pixels(self, n, size):
        x = self.draw(n, 3, size, size).float().double()
        self.keep("pixels", x)
        return x.requires_grad_(True)

    def tokens(self, n, context, vocab, end=None):
        """Random tokens; with `end`, each text has another length."""
        t = torch.randint(0, vocab - 3, (n, context), generator=self.g)
        last = torch.full((n,), context - 1)
        if end is not None:
            for i in range(n):
                last[i] = 1 + (i * 2 + 1) % (context - 1)
                t[i, last[i]] = end
                t[i, last[i] + 1:] = 0
        self.keep("tokens", t)
        self.keep("last", last)
        return t


def embedding_hook(module):
    """The output of a module, kept for a gradient."""
    box = []
    module.register_forward_hook(lambda _m, _i, out: box.append(out))
    return box


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def write(name, config, weights, case):
    HERE.mkdir(exist_ok=True)
    path = HERE / f"{name}.safetensors"
    save_file({**half(weights), **case.t}, path,
              {"config": json.dumps(config, sort_keys=True)})
    print(path.name, path.stat().st_size, "bytes")


# ---- SigLIP -----------------------------------------------------------------

def siglip():
    from transformers import SiglipConfig, SiglipModel
    tower = dict(hidden_size=12, intermediate_size=16, num_hidden_layers=2,
                 num_attention_heads=2)
    config = dict(
        text_config=dict(tower, vocab_size=20, max_position_embeddings=6,
                         bos_token_id=1, eos_token_id=2),
        # 10 is no multiple of 4, like 384 and 14 in the largest model
        vision_config=dict(tower, image_size=10, patch_size=4))
    model = SiglipModel(SiglipConfig(**config, attn_implementation="eager"))
    model = randomise(model, 1)
    case = Case(2)
    px, tk = case.pixels(2, 10), case.tokens(2, 6, 20)
    case.output("image", unit(model.get_image_features(px).pooler_output), px)
    box = embedding_hook(model.text_model.embeddings)
    y = unit(model.get_text_features(tk).pooler_output)
    case.output("text", y, box[0])
    write("siglip", dict(config, model_type="siglip"), state(model), case)


def siglip_timm(name, architecture, act=None):
    from functools import partial
    import timm
    from open_clip.transformer import LayerNorm, TextTransformer
    trunk = timm.models.vision_transformer.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=12, depth=2, num_heads=1,
        mlp_ratio=1.5, class_token=False, global_pool="map", num_classes=0,
        act_layer=act)
    text = TextTransformer(
        context_length=6, vocab_size=20, width=12, heads=2, layers=2,
        mlp_ratio=1.5, output_dim=12, no_causal_mask=True, proj_bias=True,
        pool_type="last", norm_layer=partial(LayerNorm, eps=1e-6),
        act_layer=partial(torch.nn.GELU, approximate="tanh"))
    randomise(trunk, 3)
    randomise(text, 4)
    scalars = {"logit_scale": torch.tensor(2.25), "logit_bias": torch.tensor([-3.5])}
    case = Case(5)
    px, tk = case.pixels(2, 8), case.tokens(2, 6, 20)
    case.output("image", unit(trunk(px)), px)
    box = embedding_hook(text.token_embedding)
    y = unit(text(tk))
    case.output("text", y, box[0])
    config = dict(
        embed_dim=12, init_logit_bias=-10, custom_text=True,
        vision_cfg=dict(image_size=8, timm_pool="map", timm_proj="none",
                        timm_model_name=architecture),
        text_cfg=dict(context_length=6, vocab_size=20, width=12, heads=2,
                      layers=2, mlp_ratio=1.5, no_causal_mask=True,
                      proj_bias=True, pool_type="last",
                      norm_kwargs=dict(eps=1e-6),
                      act_kwargs=dict(approximate="tanh")))
    write(name, dict(model_cfg=config),
          {**state(trunk, "visual.trunk."), **state(text, "text."), **scalars},
          case)


def siglip_open_clip():
    siglip_timm("siglip_open_clip", "vit_base_patch16_siglip_224")


def siglip_tanh():
    """Only the name says it."""
    siglip_timm("siglip_tanh", "vit_base_patch32_siglip_256", "gelu_tanh")


# ---- CLIP in the names of OpenAI and open_clip --------------------------------

def clip(name, vision, text, custom=False, extra=None, configured=True, **k):
    """open_clip's CLIP or CustomTextCLIP. Texts are read at their largest
    token, the last of the vocabulary."""
    from open_clip.model import CLIP, CustomTextCLIP
    text = dict(dict(context_length=6, vocab_size=20, width=12, layers=2), **text)
    vision = dict(dict(image_size=8, patch_size=4, width=16, layers=2), **vision)
    cls = CustomTextCLIP if custom else CLIP
    model = randomise(cls(embed_dim=8, vision_cfg=vision, text_cfg=text, **k), 6)
    case = Case(7)
    px = case.pixels(2, 8)
    case.output("image", unit(model.encode_image(px)), px)
    tk = case.tokens(3, 6, 20, end=19)
    box = []
    tower = model.text if custom else model
    tower.transformer.register_forward_pre_hook(lambda _m, a: box.append(a[0]))
    y = unit(model.encode_text(tk))
    case.output("text", y, box[0])
    config = dict(model_cfg=dict(embed_dim=8, vision_cfg=vision, text_cfg=text,
                                 **k)) if configured else {}
    write(name, config, {**state(model), **(extra or {})}, case)


def clip_openai():
    """No configuration: shapes, and the numbers of OpenAI's archives."""
    numbers = dict(input_resolution=8, context_length=6, vocab_size=20)
    clip("clip_openai", dict(head_width=16), dict(heads=1), quick_gelu=True,
         extra={n: torch.tensor(float(x)) for n, x in numbers.items()},
         configured=False)


def clip_open_clip():
    """Heads, MLP widths and layer scale of the configuration."""
    clip("clip_open_clip", dict(head_width=4, mlp_ratio=1.5, ls_init_value=0.1),
         dict(heads=3, mlp_ratio=2.5))


def clip_clipa():
    """No first norm, no mask, mean of patches then norm, last token."""
    clip("clip_clipa", dict(head_width=8, no_ln_pre=True, pool_type="avg",
                            final_ln_after_pool=True),
         dict(heads=2, no_causal_mask=True, pool_type="last"), custom=True)


def clip_pools():
    """Norm then mean of patches, the first token, a tanh GELU, an epsilon."""
    clip("clip_pools", dict(head_width=8, pool_type="avg",
                            act_kwargs=dict(approximate="tanh"),
                            norm_kwargs=dict(eps=1e-3)),
         dict(heads=2, pool_type="first"), custom=True)


# ---- ViT and DeiT -----------------------------------------------------------

def classifier(name, config, model, size, weights=None, n=2):
    randomise(model, 10)
    case = Case(11)
    px = case.pixels(n, size)
    y = model(px)
    case.output("image", getattr(y, "logits", y), px)
    write(name, config, state(model) if weights is None else weights, case)


def timm_vit(name, architecture, cls="VisionTransformer", **k):
    import timm
    module = timm.models.deit if "Distilled" in cls else \
        timm.models.vision_transformer
    model = getattr(module, cls)(
        img_size=8, patch_size=4, embed_dim=12, depth=2, num_heads=3,
        mlp_ratio=1.5, num_classes=5, **k)
    classifier(name, dict(
        architecture=architecture, num_classes=5,
        global_pool=k.get("global_pool", "token"),
        model_args=dict(num_heads=3), label_names=["a", "b", "c", "d", "e"],
        pretrained_cfg=dict(input_size=[3, 8, 8])), model, 8)


def vit_timm():
    timm_vit("vit_timm", "vit_base_patch16_224")


def vit_deit_distilled():
    timm_vit("vit_deit_distilled", "deit_base_distilled_patch16_224",
             "VisionTransformerDistilled")


def vit_deit3_registers():
    """Layer scale, positions for patches only, registers, no bias, mean."""
    timm_vit("vit_deit3_registers", "deit3_base_patch16_224", init_values=0.1,
             no_embed_class=True, reg_tokens=2, qkv_bias=False,
             global_pool="avg")


def vit_torchvision():
    from torchvision.models import VisionTransformer
    classifier("vit_torchvision", {}, VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=1, hidden_dim=12,
        mlp_dim=16, num_classes=5), 8)


def transformers_vit(name, kind, cls):
    import tempfile
    import transformers
    from safetensors.torch import load_file
    config = getattr(transformers, kind + "Config")(
        hidden_size=12, num_hidden_layers=2, image_size=8,
        num_attention_heads=2, intermediate_size=16, patch_size=4,
        num_labels=5, attn_implementation="eager")
    model = randomise(getattr(transformers, kind + cls)(config), 10)
    with tempfile.TemporaryDirectory() as tmp:  # names as in files
        model.save_pretrained(tmp)
        weights = load_file(tmp + "/model.safetensors")
        config = json.loads((pathlib.Path(tmp) / "config.json").read_text())
    classifier(name, config, model, 8, weights)


def vit_transformers():
    transformers_vit("vit_transformers", "ViT", "ForImageClassification")


def deit_transformers():
    """A distillation token without a head of its own."""
    transformers_vit("deit_transformers", "DeiT", "ForImageClassification")


def deit_teacher():
    transformers_vit("deit_teacher", "DeiT", "ForImageClassificationWithTeacher")


# ---- BLIP -------------------------------------------------------------------

def blip_case(config, seed, end):
    """BlipForImageTextRetrieval: both embeddings, and the matching head's
    logits of every image with every text, [CLS] or the last token of the
    vocabulary first."""
    from transformers import BlipConfig, BlipForImageTextRetrieval
    model = BlipForImageTextRetrieval(
        BlipConfig(**config, attn_implementation="eager"))
    model = randomise(model, seed)
    case = Case(seed + 1)
    px, tk = case.pixels(2, 8), case.tokens(3, 7, 20, end=end)
    image = model.vision_model(px).last_hidden_state
    case.output("image", unit(model.vision_proj(image[:, 0])), px)
    mask = (torch.arange(7) <= case.t["case.last"][:, None]).long()
    box = embedding_hook(model.text_encoder.embeddings)
    y = model.text_encoder(input_ids=tk, attention_mask=mask).last_hidden_state
    case.output("text", unit(model.text_proj(y[:, 0])), box[0])

    def logits(tokens):
        return torch.stack([model(tokens, x.expand(3, -1, -1, -1),
                                  attention_mask=mask).itm_score
                            for x in px.detach()])
    case.keep("pairs.cls", logits(tk))
    enc = tk.clone()
    enc[:, 0] = 19
    case.keep("pairs.enc", logits(enc))
    return model, case


def blip():
    tower = dict(hidden_size=12, intermediate_size=16, num_hidden_layers=2,
                 num_attention_heads=2)
    config = dict(
        text_config=dict(tower, vocab_size=20, max_position_embeddings=7,
                         encoder_hidden_size=12, layer_norm_eps=1e-12),
        vision_config=dict(tower, image_size=8, patch_size=4),
        image_text_hidden_size=6)
    model, case = blip_case(config, 20, 19)
    write("blip", dict(config, model_type="blip"), state(model), case)


def blip_original():
    """Names of Salesforce's checkpoints, which the image tower has from timm;
    no configuration."""
    import re
    tower = dict(intermediate_size=16, num_hidden_layers=2,
                 num_attention_heads=1)
    config = dict(
        text_config=dict(tower, hidden_size=8, encoder_hidden_size=12,
                         vocab_size=20, max_position_embeddings=7,
                         layer_norm_eps=1e-12),
        vision_config=dict(tower, hidden_size=12, image_size=8, patch_size=4,
                           layer_norm_eps=1e-6),
        image_text_hidden_size=6)
    model, case = blip_case(config, 22, 18)
    names = [(r"^vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token"),
             (r"^vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
             (r"^vision_model\.embeddings\.patch_embedding", "visual_encoder.patch_embed.proj"),
             (r"^vision_model\.post_layernorm", "visual_encoder.norm"),
             (r"^vision_model\.encoder\.layers", "visual_encoder.blocks"),
             (r"\.self_attn\.projection", ".attn.proj"), (r"\.self_attn", ".attn"),
             (r"\.layer_norm", ".norm")]
    weights = {}
    for k, v in state(model).items():
        for a, b in names if k.startswith("vision_model") else []:
            k = re.sub(a, b, k)
        weights[k] = v
    weights["temp"] = torch.tensor(0.05)
    write("blip_original", {}, weights, case)


# ---- ResNet and ConvNeXt ----------------------------------------------------

def tower_with_text(name, visual, size, config):
    """A tower of pictures with CLIP's text transformer, open_clip's names."""
    from open_clip.transformer import TextTransformer
    text = TextTransformer(context_length=6, vocab_size=20, width=12, heads=2,
                           layers=2, mlp_ratio=1.5, output_dim=12,
                           act_layer=torch.nn.GELU)
    randomise(visual, 20)
    randomise(text, 21)
    case = Case(22)
    px, tk = case.pixels(1, size), case.tokens(2, 6, 20, end=19)
    case.output("image", unit(visual(px)), px)
    box = embedding_hook(text.token_embedding)
    y = unit(text(tk))
    case.output("text", y, box[0])
    config = dict(embed_dim=12, vision_cfg=dict(config, image_size=size),
                  text_cfg=dict(context_length=6, vocab_size=20, width=12,
                                heads=2, layers=2))
    write(name, dict(model_cfg=config),
          {**state(visual, "visual."), **state(text),
           "logit_scale": torch.tensor(2.25)}, case)


def clip_resnet():
    from open_clip.modified_resnet import ModifiedResNet
    tower_with_text("clip_resnet", ModifiedResNet(
        layers=[1, 2, 1, 1], output_dim=12, heads=1, image_size=32, width=2),
        32, dict(layers=[1, 2, 1, 1], width=2, patch_size=None))


def tiny_convnext(classes=0, **k):
    import timm
    return timm.models.convnext.ConvNeXt(
        depths=(1, 2, 1, 1), dims=(4, 8, 12, 16), num_classes=classes,
        ls_init_value=None if k.get("use_grn") else 0.1, **k)


def clip_convnext():
    from collections import OrderedDict
    from timm.layers import Mlp
    visual = torch.nn.Module()
    visual.trunk = tiny_convnext()
    visual.head = torch.nn.Sequential(OrderedDict(
        mlp=Mlp(16, 24, 12, bias=(True, False))))
    visual.forward = lambda x: visual.head(visual.trunk(x))
    tower_with_text("clip_convnext", visual, 32, dict(
        timm_model_name="convnext_base", timm_pool="", timm_proj="mlp"))


def timm_config(architecture, size=32):
    return dict(architecture=architecture, num_classes=5,
                label_names=["a", "b", "c", "d", "e"],
                pretrained_cfg=dict(input_size=[3, size, size]))


def resnet_groups():
    """ResNeXt: names of timm and torchvision."""
    from timm.models.resnet import Bottleneck, ResNet
    classifier("resnet_groups", timm_config("resnext50_32x4d", 16), ResNet(
        Bottleneck, (1, 2, 1, 1), channels=(4, 4, 8, 8), cardinality=2,
        base_width=32, num_classes=5), 16, n=1)


def resnet_basic():
    from transformers import ResNetConfig, ResNetForImageClassification
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12, 16, 20],
                          depths=[1, 2, 1, 1], layer_type="basic", num_labels=5)
    model = ResNetForImageClassification(config)
    classifier("resnet_basic", dict(config.to_dict(), image_size=16), model, 16)


def convnext_torchvision():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt
    classifier("convnext_torchvision", dict(image_size=32), ConvNeXt([
        CNBlockConfig(4, 8, 1), CNBlockConfig(8, 12, 2),
        CNBlockConfig(12, 16, 1), CNBlockConfig(16, None, 1)],
        num_classes=5, layer_scale=0.1), 32, n=1)


def convnext_v2():
    """Response norm instead of layer scale, names of timm."""
    classifier("convnext_v2", timm_config("convnextv2_tiny"),
               tiny_convnext(5, use_grn=True), 32, n=1)


# ---- ViTamin ----------------------------------------------------------------

def tiny_vitamin(name, architecture, **k):
    from open_clip.transformer import TextTransformer
    from timm.models import vitamin as v
    cfg = v.VitCfg(embed_dim=(8, 16, 12), depths=(2, 1, 1), stem_width=8,
                   conv_cfg=v.VitConvCfg(norm_layer="layernorm2d",
                                         norm_eps=1e-6), head_type="1d")
    trunk = v._create_vitamin(
        "vitamin_small_224", img_size=32, embed_dim=12, depth=2, num_heads=1,
        mlp_layer=v.GeGluMlp, mlp_ratio=2., class_token=False,
        global_pool="avg", embed_cfg=cfg, num_classes=0, **k)
    proj = torch.nn.Linear(12, 6, bias=False)
    text = TextTransformer(context_length=6, vocab_size=20, width=12, heads=1,
                           layers=2, mlp_ratio=1.5, output_dim=6)
    for i, part in enumerate((trunk, proj, text)):
        randomise(part, 30 + i)
    case = Case(33)
    px, tk = case.pixels(1, 32), case.tokens(3, 6, 20, end=19)
    case.output("image", unit(proj(trunk(px))), px)
    box = []
    text.transformer.register_forward_pre_hook(lambda _m, a: box.append(a[0]))
    y = unit(text(tk))
    case.output("text", y, box[0])
    config = dict(
        embed_dim=6, custom_text=True,
        vision_cfg=dict(timm_model_name=architecture, timm_pool="",
                        timm_proj="linear", image_size=32),
        text_cfg=dict(context_length=6, vocab_size=20, width=12, heads=1,
                      layers=2))
    write(name, dict(model_cfg=config),
          {**state(trunk, "visual.trunk."), **state(proj, "visual.head.proj."),
           **state(text, "text."), "logit_scale": torch.tensor(2.25)}, case)


def vitamin():
    tiny_vitamin("vitamin", "vitamin_small_224")


def vitamin_xlarge():
    tiny_vitamin("vitamin_xlarge", "vitamin_xlarge_256", pos_embed="none")


CASES = {f.__name__: f for f in (
    siglip, siglip_open_clip, siglip_tanh, clip_openai, clip_open_clip, clip_clipa,
    clip_pools, vit_timm, vit_deit_distilled, vit_deit3_registers,
    vit_torchvision, vit_transformers, deit_transformers, deit_teacher, blip,
    blip_original, clip_resnet, clip_convnext,
    resnet_groups, resnet_basic, convnext_torchvision, convnext_v2,
    vitamin, vitamin_xlarge)}

if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        CASES[name]()
