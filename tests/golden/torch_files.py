# SPDX-License-Identifier: MIT
"""Small files of torch.save and torch.jit.save, and the same tensors as
safetensors, for tests/unit/test_torch_file.c; hostile ones for the fuzz
corpus. Writes tests/golden/torch and tests/fuzz/corpus/torch. Needs torch and
safetensors.
"""
import argparse
import collections
import json
import os
import pathlib
import pickle
import shutil
import warnings
import zipfile

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
OUT = HERE / "torch"
CORPUS = HERE.parent / "fuzz" / "corpus" / "torch"


def tensors():
    torch.manual_seed(0)
    base = torch.randn(6, 4)
    return collections.OrderedDict({
        "a.weight": torch.randn(3, 4), "b": torch.randn(2, 3, 4, 5).half(),
        "c": torch.randn(7).bfloat16(), "d": torch.randn(4).double(),
        "e": torch.arange(5), "turned": base.t(), "rows": base[1:4],
        "column": base[:, 1], "expanded": torch.tensor([2.5]).expand(3, 4),
        "scalar": torch.tensor(3.5), "bool": torch.tensor([True, False]),
        "channels_last": torch.randn(2, 3, 4, 5).to(
            memory_format=torch.channels_last),
        "empty": torch.zeros(0, 3), "bytes": torch.arange(9).to(torch.uint8)})


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(3, 4)
        self.seq = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(),
                                       torch.nn.Linear(2, 1))
        self.p = torch.nn.Parameter(torch.randn(3).half())
        self.register_buffer("size", torch.tensor(224))
        self.k = [1, 2, 3]

    def forward(self, x):
        return self.lin(x) + torch.ones(4)


def plain(t):
    return {k: v.clone().contiguous() for k, v in t.items()}


def shards(t):
    """pytorch_model.bin in two parts with an index."""
    d = OUT / "sharded"
    d.mkdir()
    names = list(t)
    parts = {"pytorch_model-00001-of-00002.bin": names[:5],
             "pytorch_model-00002-of-00002.bin": names[5:]}
    for file, ks in parts.items():
        torch.save({k: t[k] for k in ks}, d / file)
    (d / "pytorch_model.bin.index.json").write_text(json.dumps(
        {"weight_map": {k: f for f, ks in parts.items() for k in ks}}))


class Evil:
    def __init__(self, f, *args):
        self.f, self.args = f, args

    def __reduce__(self):
        return self.f, self.args


def hostile(name, value, protocol=2, compress=zipfile.ZIP_STORED):
    """An archive as torch.save's whose pickle means harm or makes no sense."""
    data = value if isinstance(value, bytes) else pickle.dumps(value, protocol)
    with zipfile.ZipFile(CORPUS / name, "w", compress) as z:
        z.writestr("archive/data.pkl", data)
        z.writestr("archive/data/0", bytes(64))
        z.writestr("archive/version", "3\n")


def main():
    warnings.simplefilter("ignore")
    for d in (OUT, CORPUS):
        shutil.rmtree(d, ignore_errors=True)
        d.mkdir(parents=True)
    t = tensors()
    torch.save(t, OUT / "plain.pt")
    torch.save(t, OUT / "protocol4.pt", pickle_protocol=4)
    torch.save({"epoch": 3, "lr": 1e-3, "ok": True, "none": None,
                "state_dict": {"module." + k: v for k, v in t.items()},
                "optimizer": {"state": {0: {"m": t["rows"]}}, "groups": [[0]]},
                "args": argparse.Namespace(a=1, b={"c": (2, 3)})},
               OUT / "nested.pth")
    torch.save(t, OUT / "legacy.pt", _use_new_zipfile_serialization=False)
    shards(t)
    save_file(plain(t), OUT / "plain.safetensors")
    m = Model()
    torch.jit.save(torch.jit.script(m), OUT / "script.pt")
    torch.save(torch.nn.Sequential(m.lin, m.seq), OUT / "module.pt")
    save_file(plain(m.state_dict()), OUT / "script.safetensors")
    save_file(plain(torch.nn.Sequential(m.lin, m.seq).state_dict()),
              OUT / "module.safetensors")

    for f in ("plain.pt", "script.pt", "protocol4.pt"):
        shutil.copy(OUT / f, CORPUS / f)
    hostile("system.pt", {"a": Evil(os.system, "true")})
    hostile("eval.pt", {"a": Evil(eval, "1")}, protocol=4)
    loop = []
    loop.append(loop)
    hostile("loop.pt", {"a": loop, "b": {"c": loop}})
    deep = {}
    for _ in range(200):
        deep = {"a": deep, "b": deep}
    hostile("laughs.pt", deep)
    hostile("deflated.pt", {"a": 1}, compress=zipfile.ZIP_DEFLATED)
    hostile("marks.pt", b"\x80\x02((((((.")
    hostile("memo.pt", b"\x80\x02]r\xff\xff\xff\x7f.")
    for d in (OUT, CORPUS):
        print(d, sum(f.stat().st_size for f in d.rglob("*") if f.is_file()))


if __name__ == "__main__":
    main()
