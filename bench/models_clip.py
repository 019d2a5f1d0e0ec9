# SPDX-License-Identifier: MIT
"""CLIP with Vision Transformers, in the files that transformers, open_clip
and OpenAI's own code write."""
import gzip
import json
import pathlib

import numpy as np
import torch

from models import Reference, case


def jitter(model, seed):
    """Vectors away from 0 and 1, so that no gain or bias can be forgotten."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(0.05 * torch.randn_like(p))
    return model.eval()


def fill(context, vocab, eot):
    """Tokens of random length: begin, words, end, padding with zeros."""
    def make(rng, n):
        t = np.zeros((n, context), np.int32)
        for i in range(n):
            k = context - 1 if i == 0 else int(rng.integers(2, context - 1))
            t[i, 0] = eot - 1
            t[i, 1:k] = rng.integers(1, vocab - 2, k - 1)
            t[i, k] = eot
        return t
    return make


def merges():
    """The lines of CLIP's merges, from the file that open_clip ships."""
    import open_clip
    f = pathlib.Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    return gzip.open(f).read().decode().split("\n")[1:49152 - 256 - 2 + 1]


def write_tokenizer(where):
    """vocab.json and merges.txt as Hugging Face repositories have them."""
    from open_clip.tokenizer import SimpleTokenizer
    tok = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>",
             "<end_of_text>": "<|endoftext|>"}
    (where / "vocab.json").write_text(
        json.dumps({names.get(k, k): i for k, i in tok.encoder.items()}))
    (where / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(merges()) + "\n")
    return tok


def pixels_of(processor):
    """PIL image -> pixels, by an image processor of transformers."""
    return lambda im: torch.from_numpy(
        np.asarray(processor(images=im)["pixel_values"][0]))


# ---- transformers ----

def hf(where, config):
    import transformers
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel
    torch.manual_seed(3)
    c = CLIPConfig(**config)
    c.text_config.bos_token_id, c.text_config.eos_token_id = 49406, 49407
    model = jitter(CLIPModel(c), 4)
    model.save_pretrained(where / "model")
    size = c.vision_config.image_size
    pre = CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=size)
    pre.save_pretrained(where / "model")
    tok = write_tokenizer(where / "model")
    ctx = c.text_config.max_position_embeddings

    def text(tokens, hook):
        h = model.text_model.embeddings.register_forward_hook(
            lambda _m, _a, out: hook(out))
        try:
            return model.get_text_features(input_ids=tokens).pooler_output
        finally:
            h.remove()

    return Reference(
        what=f"transformers {transformers.__version__}", path=where / "model",
        size=(size, size), mean=pre.image_mean, std=pre.image_std,
        image=lambda x: model.get_image_features(pixel_values=x).pooler_output,
        text=text, context=ctx, vocab=49408, fill=fill(ctx, 49408, 49407),
        ends=lambda t: t.argmax(1), scale=model.logit_scale.exp().item(),
        preprocess=pixels_of(pre),
        tokenize=lambda s: tok(s, ctx))


def shard(d, parts=3):
    """model.safetensors as pytorch_model.bin in parts, with its index."""
    from safetensors.torch import load_file
    state = load_file(d / "model.safetensors")
    (d / "model.safetensors").unlink()
    names, index = list(state), {}
    for i in range(parts):
        file = f"pytorch_model-{i + 1:05}-of-{parts:05}.bin"
        part = names[i::parts]
        torch.save({k: state[k] for k in part}, d / file)
        index.update({k: file for k in part})
    (d / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index}))


@case("CLIP ViT-B/32, Hugging Face", "clip")
def hf_b32(where):
    return hf(where, {})


@case("CLIP ViT-B/16, Hugging Face, sharded .bin", "clip")
def hf_b16(where):
    ref = hf(where, {"vision_config": {"patch_size": 16}})
    shard(where / "model")
    return ref


# ---- open_clip ----

def open_clip_model(where, name, file, precision="fp32", config=True, seed=5):
    """file: what open_clip's users publish; config: with its JSON beside."""
    import open_clip
    torch.manual_seed(seed)
    model = jitter(open_clip.create_model(name), seed + 1)
    cfg = open_clip.get_model_config(name)
    half = torch.float16 if precision == "fp16" else torch.float32
    state = {k: v.to(half) if v.is_floating_point() else v
             for k, v in model.state_dict().items()}
    model.load_state_dict({k: v.float() if v.is_floating_point() else v
                           for k, v in state.items()})
    save(state, where / file)
    if config:
        (where / "open_clip_config.json").write_text(json.dumps({
            "model_cfg": cfg, "preprocess_cfg": open_clip.get_model_preprocess_cfg(model)}))
    ref = open_clip_reference(where, model, cfg,
                              where if config else where / file)
    ref.file = file
    return ref


def save(state, path):
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path)


def open_clip_reference(where, model, cfg, path):
    import open_clip
    pp = open_clip.get_model_preprocess_cfg(model)
    size = pp["size"] if isinstance(pp["size"], (tuple, list)) else (pp["size"],) * 2
    pre = open_clip.image_transform(
        size, is_train=False, mean=pp["mean"], std=pp["std"],
        interpolation=pp["interpolation"], resize_mode=pp["resize_mode"])
    text = model.text if hasattr(model, "text") else model
    ctx, vocab = model.context_length, text.vocab_size
    clip_bpe = "hf_tokenizer_name" not in cfg["text_cfg"]
    tok = write_tokenizer(where) if clip_bpe else None

    def encode(tokens, hook):
        first = text.transformer.resblocks[0]
        h = first.register_forward_pre_hook(
            lambda _m, a, k: ((hook(a[0]), *a[1:]), k) if a
            else (a, {**k, "q_x": hook(k["q_x"])}), with_kwargs=True)
        try:
            return model.encode_text(tokens)
        finally:
            h.remove()

    return Reference(
        what=f"open_clip {open_clip.__version__}", path=path, size=size,
        mean=pp["mean"], std=pp["std"], image=model.encode_image, text=encode,
        context=ctx, vocab=vocab, fill=fill(ctx, vocab, vocab - 1),
        ends=lambda t: t.argmax(1), scale=model.logit_scale.exp().item(),
        preprocess=pre, tokenize=(lambda s: tok(s, ctx)) if tok else None)


@case("CLIP ViT-B/32, open_clip .bin with configuration", "clip")
def oc_b32(where):
    return open_clip_model(where, "ViT-B-32", "open_clip_pytorch_model.bin")


@case("CLIP ViT-B/32-quickgelu, open_clip .safetensors", "clip")
def oc_b32_quick(where):
    return open_clip_model(where, "ViT-B-32-quickgelu",
                           "open_clip_model.safetensors")


@case("CLIP ViT-B/16, open_clip .pt, no configuration", "clip")
def oc_b16(where):
    return open_clip_model(where, "ViT-B-16", "vit_b_16.pt", config=False)


@case("CLIP ViT-L/14, open_clip, f16", "clip")
def oc_l14(where):
    return open_clip_model(where, "ViT-L-14", "open_clip_pytorch_model.bin",
                           "fp16")


@case("CLIP ViT-L/14@336-quickgelu, open_clip", "clip")
def oc_l14_336(where):
    return open_clip_model(where, "ViT-L-14-336-quickgelu",
                           "open_clip_model.safetensors")


@case("CLIPA ViT-L/14 (mean pooling, no mask), open_clip", "clip")
def oc_clipa(where):
    return open_clip_model(where, "ViT-L-14-CLIPA", "open_clip_model.safetensors")


@case("CLIP ViT-M/32-alt (layer scale), open_clip", "clip")
def oc_alt(where):
    return open_clip_model(where, "ViT-M-32-alt", "open_clip_model.safetensors")


def float_while_used(module):
    """Weights in half precision that are floats only while it runs."""
    def before(m, _args):
        m.float()

    def after(m, _args, _out):
        m.half()
    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)


def large(where, name):
    """One picture and no gradients: memory. The model is made in half
    precision, and one block after the other computes in floats."""
    import open_clip
    from safetensors.torch import save_file
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float16)
    try:
        model = jitter(open_clip.create_model(name), 6)
    finally:
        torch.set_default_dtype(torch.float32)
    model.half()
    cfg = open_clip.get_model_config(name)
    path = where / "open_clip_model.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    (where / "open_clip_config.json").write_text(json.dumps(
        {"model_cfg": cfg, "preprocess_cfg": model.visual.preprocess_cfg}))
    blocks = [*model.visual.transformer.resblocks, *model.transformer.resblocks]
    inside = {id(p) for b in blocks for p in b.parameters()}
    for p in model.parameters():
        if id(p) not in inside:
            p.data = p.data.float()
    model.attn_mask = model.attn_mask.float()
    model.transformer.get_cast_dtype = lambda: torch.float32
    for b in blocks:
        float_while_used(b)
    ref = open_clip_reference(where, model, cfg, path)
    ref.grad, ref.n = False, 1
    ref.preprocess = ref.tokenize = None
    return ref


@case("CLIP ViT-H/14, open_clip, f16", "clip")
def oc_h14(where):
    return large(where, "ViT-H-14")


@case("CLIP ViT-g/14, open_clip, f16", "clip")
def oc_g14(where):
    return large(where, "ViT-g-14")


@case("CLIP ViT-bigG/14, open_clip, f16", "clip")
def oc_big_g14(where):
    return large(where, "ViT-bigG-14")


# ---- OpenAI's archives ----

@case("CLIP ViT-B/32, OpenAI's TorchScript archive, f16", "clip")
def openai_b32(where):
    return openai(where, "ViT-B-32-quickgelu", "ViT-B-32.pt")


@case("CLIP ViT-L/14, OpenAI's TorchScript archive, f16", "clip")
def openai_l14(where):
    return openai(where, "ViT-L-14-quickgelu", "ViT-L-14.pt")


class Archive(torch.nn.Module):
    """A module of OpenAI's names: submodules by the parts of the state dict's
    keys, and the three numbers that its archives carry."""

    def __init__(self, state, numbers):
        super().__init__()
        for k, v in state.items():
            self._put(self, k.split("."), v)
        for k, v in numbers.items():
            self.register_buffer(k, torch.tensor(v))

    @staticmethod
    def _put(m, path, v):
        for p in path[:-1]:
            if p not in m._modules:
                m.add_module(p, torch.nn.Module())
            m = m._modules[p]
        m.register_parameter(path[-1], torch.nn.Parameter(v, requires_grad=False))

    def forward(self, x):
        return x


def openai(where, name, file):
    """Weights as OpenAI publishes them: a TorchScript archive in half
    precision, norms in single, nothing beside it."""
    import open_clip
    torch.manual_seed(11)
    model = jitter(open_clip.create_model(name), 12)
    state = {}
    for k, v in model.state_dict().items():
        narrow = not any(s in k for s in ("ln_", "embedding", "logit_scale"))
        state[k] = v.half() if narrow or k == "token_embedding.weight" else v
    model.load_state_dict({k: v.float() for k, v in state.items()})
    numbers = {"input_resolution": model.visual.image_size[0],
               "context_length": model.context_length,
               "vocab_size": model.vocab_size}
    torch.jit.save(torch.jit.script(Archive(state, numbers)), where / file)
    cfg = open_clip.get_model_config(name)
    return open_clip_reference(where, model, cfg, where / file)
