# SPDX-License-Identifier: MIT
"""Tokenizers in the files of published models, with vocabularies trained here,
as the published ones cannot be had without a network."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent
                       / "tests/golden"))
import token_kinds


def write(where, model, kind):
    """Puts the files of tests/golden/token_kinds' kind `kind` into the
    directory `model`; returns [str] -> ids, of the reference's tokenizer."""
    for needed in ("sp_unigram", "sp_gemma", "t5"):
        token_kinds.make(where / "tokens", needed)
    ref = token_kinds.make(where / "tokens", kind)
    for f in (where / "tokens" / kind).iterdir():
        shutil.copy(f, model / f.name)
    return lambda texts: [ref.ids(t) for t in texts]
