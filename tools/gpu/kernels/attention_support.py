"""What check_attention.py and time_attention.py share: launches, caches, arguments, references."""

import ctypes
import math
import os
import pathlib
import sys
import zlib

import cupy
import torch

KERNELS = pathlib.Path(__file__).resolve().parents[3] / (
    "cuda/src/main/resources/org/tessera/cuda/kernels"
)
# Rounding of weights and results to bf16 comes to about 2e-3, to fp16 to an eighth of it.
TOLERANCES = {"bf16": 6e-3, "f16": 1e-3}

torch.backends.cuda.matmul.allow_tf32 = False
GROUP = sys.argv[1] if len(sys.argv) > 1 else ""
F16 = GROUP.endswith("_f16")
DTYPE = torch.float16 if F16 else torch.bfloat16
NAME = "f16" if F16 else "bf16"
TOLERANCE = TOLERANCES[NAME]
torch.manual_seed(int.from_bytes(os.urandom(4), "little"))


class LaunchAttribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("pad", ctypes.c_uint), ("value", ctypes.c_uint * 16)]


class LaunchConfig(ctypes.Structure):
    _fields_ = [
        ("dims", ctypes.c_uint * 6),
        ("shared_bytes", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(LaunchAttribute)),
        ("attribute_count", ctypes.c_uint),
    ]


PROGRAMMATIC_STREAM_SERIALIZATION = 6
driver = ctypes.CDLL("libcuda.so.1")


class Kernels:
    """The entry points of one file, launched through the driver to reach launch attributes."""

    def __init__(self, file):
        options = ["--std=c++17", f"-I{KERNELS}"] + (["-DTESSERA_F16"] if F16 else [])
        # The cache of compiled modules does not look into headers.
        sources = b"".join(p.read_bytes() for p in sorted(KERNELS.glob("*.cu*")))
        options.append(f"-DSOURCES={zlib.crc32(sources)}")
        self.module = cupy.RawModule(
            code=(KERNELS / file).read_text(), backend="nvrtc", options=tuple(options)
        )
        self.functions = {}

    def __call__(self, name, grid, args, shared=0, block=128, overlap=False):
        if name not in self.functions:
            function = self.module.get_function(name)
            if shared > 48 * 1024:
                function.max_dynamic_shared_size_bytes = shared
            self.functions[name] = function
        values = []
        for a in args:
            if a is None:
                values.append(ctypes.c_void_p(0))
            elif isinstance(a, torch.Tensor):
                values.append(ctypes.c_void_p(a.data_ptr()))
            elif isinstance(a, float):
                values.append(ctypes.c_float(a))
            else:
                values.append(ctypes.c_int(a))
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(v) for v in values])
        attribute = LaunchAttribute(PROGRAMMATIC_STREAM_SERIALIZATION, 0)
        attribute.value[0] = 1
        config = LaunchConfig(
            (ctypes.c_uint * 6)(*grid, block, 1, 1),
            shared,
            torch.cuda.current_stream().cuda_stream,
            ctypes.pointer(attribute),
            1 if overlap else 0,
        )
        handle = ctypes.c_void_p(self.functions[name].kernel.ptr)
        status = driver.cuLaunchKernelEx(ctypes.byref(config), handle, pointers, None)
        if status != 0:
            raise RuntimeError(f"{name}: cuLaunchKernelEx returned {status}")


def random(*shape, scale=1.0):
    return (torch.randn(*shape, device="cuda") * scale).to(DTYPE)


def ints(values):
    return torch.tensor(values, dtype=torch.int32, device="cuda")


def starts_of(counts):
    return [sum(counts[:i]) for i in range(len(counts) + 1)]


def poisoned(rows, columns):
    return torch.full((rows, columns), float("nan"), dtype=DTYPE, device="cuda")


def reference(q, k, v, seen, scale):
    """q [n, heads, width], k and v [m, kv heads, width], seen [n] keys for each row."""
    group = q.shape[1] // k.shape[1]
    k = k.double().repeat_interleave(group, 1)
    v = v.double().repeat_interleave(group, 1)
    scores = torch.einsum("qhw,khw->hqk", q.double(), k) * scale
    hidden = torch.arange(k.shape[0], device="cuda")[None, :] >= seen[:, None]
    weights = scores.masked_fill(hidden, -math.inf).softmax(-1).nan_to_num(0.0)
    return torch.einsum("hqk,khw->qhw", weights, v).flatten(1)


def error_of(out, expected):
    """Normalised error; NaN where anything was left unwritten."""
    out = out.double()
    return ((out - expected).norm() / expected.norm()).item()


class Cache:
    """A paged cache in which every row that no sequence owns is NaN."""

    def __init__(self, contexts, kv_heads, width, block_rows, fill=True):
        blocks = [math.ceil(c / block_rows) for c in contexts]
        order = torch.randperm(sum(blocks) + 3).tolist()
        widest = max(blocks) + 1
        table = [[1 << 27] * widest for _ in contexts]
        for s, count in enumerate(blocks):
            for b in range(count):
                table[s][b] = order.pop()
        self.block_rows = block_rows
        self.tables = ints(table)
        rows = (sum(blocks) + 3) * block_rows
        self.keys = poisoned(rows, kv_heads * width)
        self.values = poisoned(rows, kv_heads * width)
        self.of_sequence = []
        for s, count in enumerate(contexts):
            position = torch.arange(count, device="cuda")
            block = self.tables[s].long()[position // block_rows]
            own = block * block_rows + position % block_rows
            self.keys[own] = random(count, kv_heads * width)
            self.values[own] = random(count, kv_heads * width)
            if fill:
                self.of_sequence.append(own)
        self.kv_heads, self.width = kv_heads, width

    def sequence(self, s):
        own = self.of_sequence[s]
        shape = (len(own), self.kv_heads, self.width)
        return self.keys[own].view(shape), self.values[own].view(shape)


def paged_expected(q, cache, counts, positions, scale):
    expected, row = [], 0
    for s, count in enumerate(counts):
        k, v = cache.sequence(s)
        rows = slice(row, row + count)
        heads = q[rows].view(count, -1, cache.width)
        expected.append(reference(heads, k, v, positions[rows] + 1, scale))
        row += count
    return torch.cat(expected)


def decode_args(q, cache, starts, segments, positions, group, scale, min_keys, scratch, out):
    return [
        q, q.stride(0), cache.keys, cache.keys.stride(0), cache.values, cache.values.stride(0),
        cache.block_rows.bit_length() - 1, cache.tables, cache.tables.stride(0), starts, segments,
        positions, group, scale, min_keys, *scratch, out, out.stride(0),
    ]  # fmt: skip


def decode_scratch(rows, group, kv_heads, width, splits):
    floats = rows * group * kv_heads * splits * (width + 2)
    return (
        torch.full((floats,), float("nan"), device="cuda"),
        torch.zeros(rows * kv_heads, dtype=torch.int32, device="cuda"),
    )


def decode_name(width, group):
    return f"attention_decode_w{width}_g{8 if group <= 8 else 16}"


def prefill_shared(width, rows):
    padded = (width + 15) // 16 * 16
    stride = padded + 8 if padded // 8 % 2 == 0 else padded
    return (rows * stride + 4 * 64 * stride) * 2


def dense_args(qkv_views, starts, group, scale, out):
    q, k, v = qkv_views
    return [
        q, q.stride(0), k, k.stride(0), v, v.stride(0), *starts, group, scale, out, out.stride(0),
    ]  # fmt: skip


def dense_grid(heads, longest, rows, segments):
    return heads, (longest + rows - 1) // rows, segments


def dense_cases():
    return [
        ([1], [1]), ([64, 64], [1100, 333]), ([130, 3, 64], [130, 70, 200]), ([700], [700]),
        ([65, 5, 128], [63, 0, 64]),
    ]  # fmt: skip


def dense_inputs(queries, keys, heads, group, width):
    kv_heads = heads // group
    fused = random(sum(queries), (heads + 1) * width, scale=1.5)
    kv = random(sum(keys) + 1, 2 * kv_heads * width + 8)
    kv[-1] = float("nan")
    columns = kv_heads * width
    return fused[:, width:], kv[:, :columns], kv[:, columns : 2 * columns]


def dense_expected(views, queries, keys, width, scale):
    q, k, v = views
    parts = []
    for i, (n, m) in enumerate(zip(queries, keys)):
        a, b = starts_of(queries)[i], starts_of(keys)[i]
        seen = torch.full((n,), m, device="cuda")
        views = (q[a : a + n], k[b : b + m], v[b : b + m])
        split = [t.reshape(t.shape[0], t.shape[1] // width, width) for t in views]
        parts.append(reference(*split, seen, scale))
    return torch.cat(parts)


def paged_args(q, cache, block, starts, positions, group, scale, out):
    return [
        q, q.stride(0), cache.keys, cache.keys.stride(0), cache.values, cache.values.stride(0),
        block, cache.tables, cache.tables.stride(0), *starts, positions, group, scale, out,
        out.stride(0),
    ]  # fmt: skip
