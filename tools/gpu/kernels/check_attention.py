"""Checks the attention kernels against float64 and times them beside PyTorch.

    python tools/gpu/kernels/check_attention.py            everything, table last
    python tools/gpu/kernels/check_attention.py GROUP      one of GROUPS, in this process

Needs a GPU, torch, cupy (for NVRTC) and numpy. Each group runs in a process of its own, so that a
kernel that breaks its context leaves the others alone.
"""

import ctypes
import math
import os
import pathlib
import subprocess
import sys
import traceback

KERNELS = pathlib.Path(__file__).resolve().parents[3] / (
    "cuda/src/main/resources/org/tessera/cuda/kernels"
)
CHECKS = ["any", "decode", "dense", "paged", "decode_f16", "dense_f16", "paged_f16"]
TIMINGS = ["time_decode", "time_prefill"]
GROUPS = CHECKS + TIMINGS
GROUP_SECONDS = 40
# Rounding of weights and results to bf16 comes to about 2e-3, to fp16 to an eighth of it.
TOLERANCE = {"bf16": 6e-3, "f16": 1e-3}


def run_all():
    def start(group):
        return subprocess.Popen(
            [sys.executable, __file__, group],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(group, process):
        try:
            text, _ = process.communicate(timeout=GROUP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            text += f"\n{group}: FAIL, more than {GROUP_SECONDS} s"
        lines = text.strip().splitlines()
        if process.returncode != 0:
            lines = [f"{group}: FAIL, exit {process.returncode}"] + lines[-6:]
        print("\n".join(line[:150] for line in lines), flush=True)
        return process.returncode == 0 and "FAIL" not in text

    good = True
    for batch in [CHECKS] + [[group] for group in TIMINGS]:
        processes = [(group, start(group)) for group in batch]
        for group, process in processes:
            good = finish(group, process) and good
    print("all within tolerance" if good else "FAIL: see above")
    return 0 if good else 1


if __name__ == "__main__" and len(sys.argv) < 2:
    sys.exit(run_all())

import cupy
import numpy as np
import torch

torch.backends.cuda.matmul.allow_tf32 = False
GROUP = sys.argv[1] if len(sys.argv) > 1 else "any"
F16 = GROUP.endswith("_f16")
DTYPE = torch.float16 if F16 else torch.bfloat16
NAME = "f16" if F16 else "bf16"
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


class Tally:
    """The worst error of each kernel."""

    def __init__(self):
        self.worst = {}

    def add(self, kernel, case, error):
        count, worst, where = self.worst.get(kernel, (0, -1.0, ""))
        if math.isnan(error) or (error > worst and not math.isnan(worst)):
            worst, where = error, case
        self.worst[kernel] = (count + 1, worst, where)

    def print(self):
        for kernel, (count, worst, where) in self.worst.items():
            verdict = "ok" if worst < TOLERANCE[NAME] else "FAIL"
            print(f"{verdict:4} {kernel:27} {NAME:4} {count:2} cases, worst {worst:.1e}: {where}")


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
        shape = (-1, self.kv_heads, self.width)
        own = self.of_sequence[s]
        return self.keys[own].view(shape), self.values[own].view(shape)


def paged_expected(q, cache, counts, positions, scale):
    expected, row = [], 0
    for s, count in enumerate(counts):
        k, v = cache.sequence(s)
        rows = slice(row, row + count)
        expected.append(reference(q[rows].view(count, -1, cache.width), k, v, positions[rows] + 1, scale))
        row += count
    return torch.cat(expected)


def decode_args(q, cache, starts, segments, positions, group, scale, min_keys, scratch, out):
    return [
        q, q.stride(0), cache.keys, cache.keys.stride(0), cache.values, cache.values.stride(0),
        cache.block_rows.bit_length() - 1, cache.tables, cache.tables.stride(0), starts, segments, positions, group,
        scale, min_keys, *scratch, out, out.stride(0),
    ]  # fmt: skip


def decode_scratch(rows, group, kv_heads, width, splits):
    floats = rows * group * kv_heads * splits * (width + 2)
    return (
        torch.full((floats,), float("nan"), device="cuda"),
        torch.zeros(rows * kv_heads, dtype=torch.int32, device="cuda"),
    )


def decode_name(width, group):
    return f"attention_decode_w{width}_g{8 if group <= 8 else 16}"


def check_decode():
    kernels, tally = Kernels("attention_decode.cu"), Tally()
    ragged = [1, 700, 15, 0, 16, 4097, 17, 64, 65, 333]
    cases = [
        ([1], [1]), ([1], [15]), ([1], [16]), ([1], [17]), ([1], [700]), ([1], [4097]),
        ([1] * 10, ragged), ([1] * 64, [997 + i % 7 for i in range(64)]), ([3, 1, 4], [300, 20, 4]),
    ]  # fmt: skip
    for width, group, kv_heads in [(128, 7, 4), (128, 2, 1), (128, 14, 2), (64, 7, 2), (64, 16, 1), (64, 1, 3)]:  # fmt: skip
        for case, (counts, contexts) in enumerate(cases):
            for splits, min_keys in [(1, 64), (5, 64), (32, 64), (64, 16)]:
                block_rows = [16, 32, 64, 256][case % 4]
                heads = group * kv_heads
                cache = Cache(contexts, kv_heads, width, block_rows)
                rows = sum(counts)
                fused = random(rows, (heads + 2 * kv_heads) * width, scale=1.5)
                q = fused[:, : heads * width]
                positions = ints(
                    [c - n + i for c, n in zip(contexts, counts) for i in range(n)]
                )
                scale = 1 / math.sqrt(width)
                expected = paged_expected(q, cache, counts, positions, scale)
                scratch = decode_scratch(rows, group, kv_heads, width, splits)
                starts = None if rows == len(counts) else ints(starts_of(counts))
                # Twice, because the first launch must leave the counters as it found them.
                for attempt in range(2):
                    out = poisoned(rows, heads * width)
                    args = decode_args(q, cache, starts, len(counts), positions, group, scale, min_keys, scratch, out)  # fmt: skip
                    kernels(decode_name(width, group), (splits, kv_heads, rows), args, overlap=attempt == 1)  # fmt: skip
                    torch.cuda.synchronize()
                    label = f"{contexts[:3]} x{len(contexts)} g{group} splits {splits} min {min_keys}"
                    tally.add(decode_name(width, group), label, error_of(out, expected))
    tally.print()


def prefill_shared(width, rows):
    padded = (width + 15) // 16 * 16
    stride = padded + 8 if padded // 8 % 2 == 0 else padded
    return (rows * stride + 4 * 64 * stride) * 2


def dense_args(qkv_views, starts, group, scale, out):
    q, k, v = qkv_views
    return [q, q.stride(0), k, k.stride(0), v, v.stride(0), *starts, group, scale, out, out.stride(0)]


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
        split = [t.reshape(t.shape[0], -1, width) for t in (q[a : a + n], k[b : b + m], v[b : b + m])]
        parts.append(reference(*split, seen, scale))
    return torch.cat(parts)


def check_dense():
    kernels, tally = Kernels("attention_prefill.cu"), Tally()
    for width, heads, group in [(64, 4, 1), (72, 16, 1), (72, 2, 2), (128, 28, 1), (128, 14, 7)]:
        for queries, keys in dense_cases():
            views = dense_inputs(queries, keys, heads, group, width)
            scale = 1 / math.sqrt(width)
            expected = dense_expected(views, queries, keys, width, scale)
            starts = (ints(starts_of(queries)), ints(starts_of(keys)))
            for rows, suffix in [(128, ""), (64, "_short")]:
                out = poisoned(sum(queries), heads * width)
                name = f"attention_w{width}{suffix}"
                kernels(name, dense_grid(heads, max(queries), rows, len(queries)), dense_args(views, starts, group, scale, out), shared=prefill_shared(width, rows))  # fmt: skip
                torch.cuda.synchronize()
                tally.add(name, f"{queries} {keys} {heads}/{group}", error_of(out, expected))
    tally.print()


def paged_args(q, cache, block, starts, positions, group, scale, out):
    return [
        q, q.stride(0), cache.keys, cache.keys.stride(0), cache.values, cache.values.stride(0),
        block, cache.tables, cache.tables.stride(0), *starts, positions, group, scale, out,
        out.stride(0),
    ]  # fmt: skip


def check_paged():
    kernels, tally = Kernels("attention_prefill.cu"), Tally()
    cases = [
        ([1], [1]), ([691], [691]), ([128, 1, 60], [1000, 65, 64]), ([200, 17], [4097, 33]), ([64], [64]),
    ]  # fmt: skip
    for width, heads, group in [(64, 4, 2), (64, 2, 1), (128, 14, 7), (128, 2, 2)]:
        for case, (counts, contexts) in enumerate(cases):
            shift = [4, 5, 6][case % 3]
            cache = Cache(contexts, heads // group, width, 1 << shift)
            q = random(sum(counts), heads * width + 8, scale=1.5)[:, : heads * width]
            positions = ints([c - n + i for c, n in zip(contexts, counts) for i in range(n)])
            if case == 1:
                positions[-5:] = -1
            scale = 1 / math.sqrt(width)
            expected = paged_expected(q, cache, counts, positions, scale)
            starts = (ints(starts_of(counts)),)
            for rows, suffix in [(128, ""), (64, "_short")]:
                out = poisoned(sum(counts), heads * width)
                name = f"attention_paged_w{width}{suffix}"
                args = paged_args(q, cache, shift, starts, positions, group, scale, out)
                kernels(name, dense_grid(heads, max(counts), rows, len(counts)), args, shared=prefill_shared(width, rows))  # fmt: skip
                torch.cuda.synchronize()
                tally.add(name, f"{counts} of {contexts} {heads}/{group}", error_of(out, expected))
    tally.print()


def check_any():
    kernels, tally = Kernels("attention_any.cu"), Tally()
    for width, heads, group in [(32, 4, 2), (36, 2, 1), (72, 3, 1), (128, 14, 7), (160, 2, 1)]:
        for queries, keys in dense_cases():
            views = dense_inputs(queries, keys, heads, group, width)
            scale = 1 / math.sqrt(width)
            out = poisoned(sum(queries), heads * width)
            q, k, v = views
            args = [q, q.stride(0), k, k.stride(0), v, v.stride(0), ints(starts_of(queries)), ints(starts_of(keys)), len(queries), group, width, scale, out, out.stride(0)]  # fmt: skip
            kernels("attention_any", (sum(queries), heads, 1), args, shared=8 * width)
            torch.cuda.synchronize()
            expected = dense_expected(views, queries, keys, width, scale)
            tally.add("attention_any", f"{queries} {keys} w{width}", error_of(out, expected))
        counts, contexts = [5, 1, 3], [150, 1, 40]
        cache = Cache(contexts, heads // group, width, 7)
        q = random(sum(counts), heads * width)
        positions = ints([c - n + i for c, n in zip(contexts, counts) for i in range(n)])
        out = poisoned(sum(counts), heads * width)
        args = paged_args(q, cache, 7, (ints(starts_of(counts)), 3), positions, group, scale, out)
        args.insert(args.index(scale), width)
        kernels("attention_any_paged", (sum(counts), heads, 1), args, shared=8 * width)
        torch.cuda.synchronize()
        expected = paged_expected(q, cache, counts, positions, scale)
        tally.add("attention_any_paged", f"w{width}", error_of(out, expected))
    tally.print()


def microseconds(calls):
    """Time of one call; `calls` work on different memory, so that L2 does not serve them."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            call()
    times = []
    for _ in range(12):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1000 / len(calls))
    return sorted(times[2:])[5]


def time_decode():
    kernels = Kernels("attention_decode.cu")
    width, group, kv_heads, scale = 128, 7, 4, 1 / math.sqrt(128)
    heads = group * kv_heads
    print("decode, 28/4 heads of 128    splits  min     us  us overlapped   GB/s   error  torch us")
    shapes = [
        (1, 700, 48, [(32, 16), (32, 32), (32, 64), (11, 64), (64, 16)]),
        (1, 4096, 12, [(32, 64), (64, 64), (33, 64), (16, 64)]),
        (16, 700, 6, [(1, 64), (4, 64), (6, 64), (8, 64), (12, 64)]),
        (64, 1000, 3, [(1, 64), (2, 64), (3, 64), (4, 64), (6, 64)]),
    ]
    for batch, context, sets, choices in shapes:
        caches = [Cache([context] * batch, kv_heads, width, 16, fill=i == 0) for i in range(sets)]
        q = random(batch, heads * width, scale=1.5)
        positions = ints([context - 1] * batch)
        expected = paged_expected(q, caches[0], [1] * batch, positions, scale)
        kv = [random(2, batch, kv_heads, context, width) for _ in range(sets)]
        query = q.view(batch, heads, 1, width)

        def torch_call(kv):
            return lambda: torch.nn.functional.scaled_dot_product_attention(
                query, kv[0], kv[1], enable_gqa=True
            )

        try:
            torch_us = f"{microseconds([torch_call(x) for x in kv]):8.1f}"
        except RuntimeError as e:
            torch_us = str(e)[:20]
        for splits, min_keys in choices:
            scratch = decode_scratch(batch, group, kv_heads, width, splits)
            outs = [poisoned(batch, heads * width) for _ in caches]

            def call(cache, out, overlap):
                args = decode_args(q, cache, None, batch, positions, group, scale, min_keys, scratch, out)  # fmt: skip
                return lambda: kernels(decode_name(width, group), (splits, kv_heads, batch), args, overlap=overlap)  # fmt: skip

            plain = microseconds([call(c, o, False) for c, o in zip(caches, outs)])
            overlapped = microseconds([call(c, o, True) for c, o in zip(caches, outs)])
            error = error_of(outs[0], expected)
            gigabytes = batch * context * kv_heads * width * 4 / 1e3 / overlapped
            verdict = "" if error < TOLERANCE[NAME] else "FAIL"
            print(f"batch {batch:2} x {context:5} {splits:16} {min_keys:4} {plain:6.1f} {overlapped:14.1f} {gigabytes:6.0f} {error:7.1e} {torch_us} {verdict}")  # fmt: skip


def time_prefill():
    kernels = Kernels("attention_prefill.cu")
    print("prefill                            kernel                          us TFLOP/s   error  torch us")

    def line(case, name, call, flops, out, rows, expected, torch_call):
        sets = max(1, int(2e11 / flops))
        us = microseconds([call] * min(sets, 20))
        try:
            torch_us = f"{microseconds([torch_call] * min(sets, 20)):9.1f}"
        except RuntimeError as e:
            torch_us = str(e)[:20]
        error = error_of(out[rows], expected)
        verdict = "" if error < TOLERANCE[NAME] else "FAIL"
        print(f"{case:34} {name:26} {us:7.1f} {flops / us / 1e6:7.0f} {error:7.1e} {torch_us} {verdict}")  # fmt: skip

    sdpa = torch.nn.functional.scaled_dot_product_attention
    heads, kv_heads, width = 28, 4, 128
    group, scale = heads // kv_heads, 1 / math.sqrt(width)
    for count, context in [(691, 691), (2048, 2048), (8192, 8192), (512, 32768)]:
        cache = Cache([context], kv_heads, width, 16)
        q = random(count, heads * width, scale=1.5)
        positions = ints(list(range(context - count, context)))
        flops = 4 * heads * width * sum(range(context - count + 1, context + 1))
        rows = torch.randint(0, count, (32,), device="cuda")
        k, v = cache.sequence(0)
        expected = reference(q[rows].view(32, heads, width), k, v, positions[rows] + 1, scale)
        wide = [t.transpose(0, 1)[None].contiguous() for t in (q.view(count, heads, width), k, v)]
        lower = None if count == context else torch.ones(count, context, device="cuda", dtype=torch.bool).tril(context - count)  # fmt: skip
        for tile, suffix in [(128, ""), (64, "_short")]:
            out = poisoned(count, heads * width)
            args = paged_args(q, cache, 4, (ints([0, count]),), positions, group, scale, out)
            name = f"attention_paged_w128{suffix}"
            line(
                f"causal {count} of {context}, 28/4 x 128", name,
                lambda: kernels(name, dense_grid(heads, count, tile, 1), args, shared=prefill_shared(width, tile)),
                flops, out, rows, expected,
                lambda: sdpa(*wide, attn_mask=lower, is_causal=lower is None, enable_gqa=True),
            )  # fmt: skip
    for slices, n, m, heads, width in [(10, 1024, 1024, 16, 72), (1, 1024, 1024, 16, 72), (10, 1024, 1024, 16, 64), (10, 64, 1024, 28, 128), (10, 1024, 1024, 16, 128)]:  # fmt: skip
        views = dense_inputs([n] * slices, [m] * slices, heads, 1, width)
        scale = 1 / math.sqrt(width)
        starts = (ints([i * n for i in range(slices + 1)]), ints([i * m for i in range(slices + 1)]))
        flops = 4 * slices * n * m * heads * width
        rows = torch.arange(32, device="cuda")
        first = [t[:c].reshape(c, heads, width) for t, c in zip(views, (32, m, m))]
        expected = reference(*first, torch.full((32,), m, device="cuda"), scale)
        wide = [t[: slices * c].reshape(slices, c, heads, width).transpose(1, 2) for t, c in zip(views, (n, m, m))]  # fmt: skip
        for tile, suffix in [(128, ""), (64, "_short")]:
            out = poisoned(slices * n, heads * width)
            args = dense_args(views, starts, 1, scale, out)
            name = f"attention_w{width}{suffix}"
            line(
                f"{slices} x {n} to {m}, {heads} x {width}", name,
                lambda: kernels(name, dense_grid(heads, n, tile, slices), args, shared=prefill_shared(width, tile)),
                flops, out, rows, expected, lambda: sdpa(*wide),
            )  # fmt: skip


RUNNERS = {
    "any": check_any, "decode": check_decode, "dense": check_dense, "paged": check_paged,
    "decode_f16": check_decode, "dense_f16": check_dense, "paged_f16": check_paged,
    "time_decode": time_decode, "time_prefill": time_prefill,
}  # fmt: skip

if __name__ == "__main__":
    try:
        RUNNERS[GROUP]()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
