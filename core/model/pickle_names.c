/* SPDX-License-Identifier: MIT */
/*
 * The names that checkpoints mention. None is ever looked up or called; the
 * list exists so that a file which means harm is refused by its name, and
 * said to be, instead of being read as if nothing were wrong.
 */
#include "config.h"

#include "model/pickle_names.h"

#include <stddef.h>
#include <string.h>

static const char *const exact[] = {
    "collections.OrderedDict", "collections.defaultdict", "collections.Counter",
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2", "torch.Tensor", "torch.Size",
    "torch.device", "torch.Generator", "torch.nn.parameter.Parameter",
    "torch.nn.Parameter", "torch.nn.parameter.Buffer",
    "torch.serialization._get_layout", "torch.storage.UntypedStorage",
    "torch.storage.TypedStorage", "torch.UntypedStorage", "torch.TypedStorage",
    "argparse.Namespace", "types.SimpleNamespace", "_codecs.encode",
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct", "pathlib.PosixPath",
    "pathlib.WindowsPath", "pathlib.PurePosixPath", "datetime.datetime",
    "datetime.timedelta", "copyreg._reconstructor", "copy_reg._reconstructor",
    "typing.Any",
};

/* Types of Python itself; "builtins." or, in protocol 2, "__builtin__.". */
static const char *const builtins[] = {
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset",
    "int", "list", "long", "object", "set", "slice", "str", "tuple", "unicode",
};

/* TorchScript's classes, modules of torch.nn and what trainers leave in. */
static const char *const prefixes[] = {
    "__torch__.", "torch.nn.modules.", "torch.optim.", "torch.jit._pickle.",
    "omegaconf.", "open_clip.", "timm.", "transformers.",
};

static const char *const storages[] = {
    "Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char",
    "Byte", "Bool", "ComplexFloat", "ComplexDouble", "QInt8", "QInt32",
    "QUInt8", "Float8_e5m2", "Float8_e4m3fn",
};

static const char *const dtypes[] = {
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16",
    "int8", "uint8", "bool", "complex64", "complex128", "uint16", "uint32",
    "uint64", "float8_e5m2", "float8_e4m3fn", "strided", "contiguous_format",
};

static bool among(const char *s, const char *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s, v[i]))
            return true;
    return false;
}

#define AMONG(s, v) among(s, v, sizeof(v) / sizeof *(v))

/* "torch.FloatStorage", "torch.float32", "torch.cuda.HalfStorage" */
static bool of_torch(const char *s)
{
    if (AMONG(s, dtypes))
        return true;
    if (!strncmp(s, "cuda.", 5))
        s += 5;
    for (size_t i = 0; i < sizeof storages / sizeof *storages; i++) {
        size_t n = strlen(storages[i]);
        if (!strncmp(s, storages[i], n) && !strcmp(s + n, "Storage"))
            return true;
    }
    return false;
}

bool pickle_name_allowed(const char *name)
{
    if (AMONG(name, exact))
        return true;
    if (!strncmp(name, "torch.", 6) && of_torch(name + 6))
        return true;
    if (!strncmp(name, "builtins.", 9))
        return AMONG(name + 9, builtins);
    if (!strncmp(name, "__builtin__.", 12))
        return AMONG(name + 12, builtins);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}
