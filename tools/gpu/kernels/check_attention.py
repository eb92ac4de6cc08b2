"""Checks the attention kernels against float64 and times them beside PyTorch.

    python tools/gpu/kernels/check_attention.py            everything, table last
    python tools/gpu/kernels/check_attention.py GROUP      one of GROUPS, in this process

Needs a GPU, torch, cupy (for NVRTC) and numpy. Each group runs in a process of its own, so that a
kernel that breaks its context leaves the others alone.
"""

import math
import subprocess
import sys
import traceback

CHECKS = ["any", "decode", "dense", "paged", "decode_f16", "dense_f16", "paged_f16"]
TIMINGS = ["time_decode", "time_prefill"]
GROUPS = CHECKS + TIMINGS
GROUP_SECONDS = 40


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

import torch

from attention_support import (
    NAME, TOLERANCE, Cache, Kernels, decode_args, decode_name, decode_scratch, dense_args,
    dense_cases, dense_expected, dense_grid, dense_inputs, error_of, ints, paged_args,
    paged_expected, poisoned, prefill_shared, random, starts_of,
)  # fmt: skip


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
            verdict = "ok" if worst < TOLERANCE else "FAIL"
            print(f"{verdict:4} {kernel:27} {NAME:4} {count:2} cases, worst {worst:.1e}: {where}")


def check_decode():
    kernels, tally = Kernels("attention_decode.cu"), Tally()
    ragged = [1, 700, 15, 0, 16, 4097, 17, 64, 65, 333]
    cases = [
        ([1], [1]), ([1], [15]), ([1], [16]), ([1], [17]), ([1], [700]), ([1], [4097]),
        ([1] * 10, ragged), ([1] * 64, [997 + i % 7 for i in range(64)]), ([3, 1, 4], [300, 20, 4]),
    ]  # fmt: skip
    for width, group, kv_heads in [(128, 7, 4), (128, 2, 1), (128, 14, 2), (64, 7, 2), (64, 16, 1), (64, 1, 3)]:  # fmt: skip
        for case, (counts, contexts) in enumerate(cases):
            block_rows = [16, 32, 64, 256][case % 4]
            heads = group * kv_heads
            cache = Cache(contexts, kv_heads, width, block_rows)
            rows = sum(counts)
            fused = random(rows, (heads + 2 * kv_heads) * width, scale=1.5)
            q = fused[:, : heads * width]
            positions = ints([c - n + i for c, n in zip(contexts, counts) for i in range(n)])
            scale = 1 / math.sqrt(width)
            expected = paged_expected(q, cache, counts, positions, scale)
            starts = None if rows == len(counts) else ints(starts_of(counts))
            name = decode_name(width, group)
            for splits, min_keys in [(1, 64), (5, 64), (32, 64), (64, 16)]:
                scratch = decode_scratch(rows, group, kv_heads, width, splits)
                # Twice, because the first launch must leave the counters as it found them.
                for attempt in range(2):
                    out = poisoned(rows, heads * width)
                    args = decode_args(q, cache, starts, len(counts), positions, group, scale, min_keys, scratch, out)  # fmt: skip
                    kernels(name, (splits, kv_heads, rows), args, overlap=attempt == 1)
                    torch.cuda.synchronize()
                    label = f"{contexts[:3]} x{len(contexts)} g{group} {splits} splits of {min_keys}"
                    tally.add(name, label, error_of(out, expected))
    tally.print()


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
        args.insert(-3, width)
        kernels("attention_any_paged", (sum(counts), heads, 1), args, shared=8 * width)
        torch.cuda.synchronize()
        expected = paged_expected(q, cache, counts, positions, scale)
        tally.add("attention_any_paged", f"w{width}", error_of(out, expected))
    tally.print()


RUNNERS = {
    "any": check_any, "decode": check_decode, "dense": check_dense, "paged": check_paged,
    "decode_f16": check_decode, "dense_f16": check_dense, "paged_f16": check_paged,
}  # fmt: skip

if __name__ == "__main__":
    try:
        if sys.argv[1] in TIMINGS:
            import time_attention

            time_attention.run(sys.argv[1])
        else:
            RUNNERS[sys.argv[1]]()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
