"""Times the attention kernels beside PyTorch; run by check_attention.py."""

import math

import torch

from attention_support import (
    TOLERANCE, Cache, Kernels, decode_args, decode_name, decode_scratch, dense_args, dense_grid,
    dense_inputs, error_of, ints, paged_args, paged_expected, poisoned, prefill_shared, random,
    reference,
)  # fmt: skip


def microseconds(calls):
    """Time of one call; `calls` work on different memory, so that L2 does not serve them."""
    torch.cuda.synchronize()
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
            verdict = "" if error < TOLERANCE else "FAIL"
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
        verdict = "" if error < TOLERANCE else "FAIL"
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


def run(group):
    {"time_decode": time_decode, "time_prefill": time_prefill}[group]()
