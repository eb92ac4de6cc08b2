"""Checks every kernel against float64 on the GPU, then times the products of few rows.

Usage: python3 check_kernels.py [check|speed]
"""

import sys
import time

import gpu
import gemv_speed

FILES = ("gemv.cu", "norm.cu", "rope.cu", "kv.cu", "embed.cu", "activation.cu", "sample.cu", "advance.cu")
TOLERANCE = 6e-3
results = []


def padded(rows, columns, extra, values=None, dtype=None):
    """A view of a wider matrix of NaNs, with values or poisoned; and the wider one."""
    import torch

    wide = torch.full((rows, columns + extra), float("nan"), device="cuda", dtype=dtype or torch.bfloat16)
    view = wide[:, :columns]
    if values is not None:
        view.copy_(values)
    return view, wide


def random(rows, columns, extra=8):
    import torch

    return padded(rows, columns, extra, torch.randn(rows, columns, device="cuda"))[0]


def check(label, out, reference, wide=None, tolerance=TOLERANCE):
    import torch

    torch.cuda.synchronize()
    error = ((out.double() - reference).norm() / reference.norm()).item()
    fine = error <= tolerance  # false for NaN
    if wide is not None and not wide[:, out.shape[1]:].isnan().all():
        label, fine = label + " wrote beyond its columns", False
    results.append((label, error, fine))


def exact(label, out, reference):
    import torch

    torch.cuda.synchronize()
    results.append((label, 0.0, bool(torch.equal(out, reference))))


def rms(x, weight, eps):
    x = x.double()
    return x * (x.square().mean(1, keepdim=True) + eps).rsqrt() * weight.double()


def check_gemv(modules):
    import torch

    m = modules["gemv.cu"]
    shared = m.ints("gemv_shared_bytes", 2)
    for rows, columns in ((1, 8), (13, 64), (207, 1152), (40, 3592), (4098, 3584), (528, 18944)):
        w = random(rows, columns)
        weight, bias = torch.randn(columns, device="cuda").bfloat16(), torch.randn(rows, device="cuda").bfloat16()
        for n, grid in ((1, 132), (3, 2), (8, 132), (9, 6), (16, 132)):
            x = random(n, columns)
            suffix, size = ("_m8", shared[0]) if n <= 8 else ("_m16", shared[1])
            product = x.double() @ w.double().T
            label = f"{rows}x{columns} n{n}"

            def launch(name, *arguments):
                m.launch(name + suffix, grid, 256, x, columns + 8, n, w, columns + 8, *arguments, shared=size)

            out, wide = padded(n, rows, 3, dtype=torch.float32)
            launch("gemv_f32", rows, columns, None, 0, out, rows + 3, 0)
            check("gemv_f32 " + label, out, product, wide, 2e-5)
            out, wide = padded(n, rows, 3)
            launch("gemv", rows, columns, bias, 1, out, rows + 3, 4)
            want = torch.nn.functional.gelu(product + bias.double(), approximate="tanh")
            check("gemv " + label, out, want, wide)
            start = torch.randn(n, rows, device="cuda").bfloat16()
            out, wide = padded(n, rows, 3, start)
            launch("gemv_add", rows, columns, bias, out, rows + 3, 0)
            check("gemv_add " + label, out, product + bias.double() + start.double(), wide)
            normed = rms(x, weight, 1e-6) @ w.double().T
            out, wide = padded(n, rows, 3, dtype=torch.float32)
            launch("gemv_norm_f32", rows, columns, weight, 1e-6, None, 0, out, rows + 3, 0)
            check("gemv_norm_f32 " + label, out, normed, wide)
            if rows % 2 == 0:
                half = rows // 2
                out, wide = padded(n, half, 3)
                launch("gemv_norm_swiglu", half, columns, weight, 1e-6, out, half + 3, 0)
                want = torch.nn.functional.silu(normed[:, :half]) * normed[:, half:]
                check("swiglu " + label, out, want, wide, 1e-2)
            out, wide = padded(n, rows, 3)
            m.launch("linear_any", ((rows + 7) // 8, n), 256, x, columns + 8, n, w, columns + 8, rows, columns, None, 0, out, rows + 3, 0)
            check("linear_any " + label, out, product, wide)


def turn(x, positions, frequencies, heads, width):
    import torch

    x = x.double().reshape(len(positions), heads, width)
    angles = (positions.float()[:, None] * frequencies[None]).double()[:, None]
    a, b = x[..., : width // 2], x[..., width // 2:]
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1).reshape(len(positions), -1)


def check_rope_and_cache(modules):
    import torch

    q_heads, kv_heads, width, columns, n = 28, 4, 128, 3584, 13
    frequencies = 1e6 ** -(torch.arange(width // 2, device="cuda") / (width // 2)).float()
    positions = torch.randint(0, 32000, (n,), device="cuda", dtype=torch.int32)
    slots = torch.randperm(64, device="cuda")[:n].int()
    slots[2] = -1
    qkv_columns = (q_heads + 2 * kv_heads) * width
    x, w = random(n, columns), random(qkv_columns, columns)
    weight, bias = torch.randn(columns, device="cuda").bfloat16(), torch.randn(qkv_columns, device="cuda").bfloat16()
    projected = rms(x, weight, 1e-6) @ w.double().T + bias.double()
    packed = padded(n, qkv_columns, 8, projected)[0]
    split = (q_heads * width, kv_heads * width, kv_heads * width)
    m = modules["gemv.cu"]
    for name in ("rope_write_kv", "gemv_norm_qkv"):
        source = projected if name == "gemv_norm_qkv" else packed
        q, k, v = source.double().split(split, 1)
        out, wide = padded(n, split[0], 8)
        keys, values = (torch.zeros(64, split[1] + 8, device="cuda").bfloat16() for _ in range(2))
        tail = (out, split[0] + 8, keys, split[1] + 8, values, split[1] + 8)
        if name == "rope_write_kv":
            modules["rope.cu"].launch(name, 40, 256, packed, qkv_columns + 8, positions, slots, frequencies, n, q_heads, kv_heads, width, *tail)
        else:
            m.launch(name + "_m16", 132, 256, x, columns + 8, n, w, columns + 8, columns, weight, 1e-6, bias, positions, slots, frequencies, q_heads, kv_heads, width, *tail, 8, shared=m.ints("gemv_shared_bytes", 2)[1])
        check(name + " q", out, turn(q, positions, frequencies, q_heads, width), wide)
        kept = slots >= 0
        want = torch.zeros_like(keys, dtype=torch.float64)
        want[slots[kept].long(), : split[1]] = turn(k, positions, frequencies, kv_heads, width)[kept]
        check(name + " keys", keys, want)
        want = torch.zeros_like(values, dtype=torch.float64)
        want[slots[kept].long(), : split[1]] = v[kept]
        check(name + " values", values, want)
    heads = padded(n, split[0], 8, torch.randn(n, split[0], device="cuda"))[0]
    want = turn(heads, positions, frequencies, q_heads, width)
    modules["rope.cu"].launch("rope", 40, 256, heads, split[0] + 8, positions, frequencies, n, q_heads, width)
    check("rope", heads, want)
    for columns in (512, 13):
        k, v = random(n, columns), random(n, columns, 1)
        keys, values = (torch.zeros(64, columns, device="cuda").bfloat16() for _ in range(2))
        modules["kv.cu"].launch("write_kv", 9, 256, k, columns + 8, v, columns + 1, slots, keys, columns, values, columns, n, columns)
        for label, cache, source in (("keys", keys, k), ("values", values, v)):
            want = torch.zeros_like(cache)
            want[slots[slots >= 0].long()] = source[slots >= 0]
            exact(f"write_kv {label} {columns}", cache, want)


def check_rows(modules):
    import torch

    for rows, columns, extra in ((1, 13, 0), (13, 3584, 8), (207, 1152, 0), (4098, 4608, 8), (13, 207, 1), (3, 16384, 8)):
        label = f"{rows}x{columns}+{extra}"
        stride = columns + extra
        x, weight, bias = random(rows, columns, extra), *torch.randn(2, columns, device="cuda").bfloat16()
        out, wide = padded(rows, columns, extra)
        modules["norm.cu"].launch("rms_norm", rows, 256, x, stride, weight, 1e-6, out, stride, rows, columns)
        check("rms_norm " + label, out, rms(x, weight, 1e-6), wide)
        out, wide = padded(rows, columns, extra)
        modules["norm.cu"].launch("layer_norm", rows, 256, x, stride, weight, bias, 1e-6, out, stride, rows, columns)
        check("layer_norm " + label, out, torch.nn.functional.layer_norm(x.double(), (columns,), weight.double(), bias.double(), 1e-6), wide)
        residual = random(rows, columns, extra)
        want = (residual.float() + x.float()).bfloat16()
        out, wide = padded(rows, columns, extra)
        modules["norm.cu"].launch("add_rms_norm", rows, 256, x, stride, residual, stride, weight, 1e-6, out, stride, rows, columns)
        exact("add_rms_norm sum " + label, residual, want)
        check("add_rms_norm " + label, out, rms(want, weight, 1e-6), wide)
        ids = torch.randperm(rows, device="cuda").int()
        embed = modules["embed.cu"]
        for name, want in (("gather_rows", x[ids.long()]), ("copy", x)):
            out, wide = padded(rows, columns, extra)
            arguments = (ids,) if name == "gather_rows" else ()
            embed.launch(name, 64, 256, x, stride, *arguments, out, stride, rows, columns)
            exact(f"{name} {label}", out, want)
        out, wide = padded(rows, columns, extra)
        embed.launch("scatter_rows", 64, 256, x, stride, ids, out, stride, rows, columns)
        exact("scatter_rows " + label, out[ids.long()], x)
        for name, other in (("add_rows", x[ids.long()]), ("add", x)):
            out = random(rows, columns, extra)
            want = (out.float() + other.float()).bfloat16()
            arguments = (ids,) if name == "add_rows" else ()
            embed.launch(name, 64, 256, x, stride, *arguments, out, stride, rows, columns)
            exact(f"{name} {label}", out, want)
        both = random(rows, 2 * columns, extra)
        out, wide = padded(rows, columns, extra)
        modules["activation.cu"].launch("silu_mul", 64, 256, both, 2 * columns + extra, out, stride, rows, columns)
        check("silu_mul " + label, out, torch.nn.functional.silu(both[:, :columns].double()) * both[:, columns:].double(), wide)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    begin = time.time()
    cubins = gpu.compile_all([(name, ()) for name in FILES] + gemv_speed.JOBS * (what != "check"))
    import torch

    torch.zeros(1, device="cuda")
    torch.manual_seed(int(time.time()))
    modules, failures = {}, []
    for name in FILES:
        try:
            modules[name] = gpu.Module(cubins[(name, ())])
        except Exception as e:
            failures.append(f"{name}: {str(e)[:600]}")
    if what != "speed":
        import check_sampling

        for part in (check_gemv, check_rope_and_cache, check_rows, check_sampling.run):
            try:
                part(modules) if part is not check_sampling.run else results.extend(part(modules))
            except Exception as e:  # one kernel must not hide the others
                failures.append(f"{part.__name__}: {type(e).__name__} {str(e)[:300]}")
    for line in gemv_speed.measure(cubins) if what != "check" else ():
        print(line)
    wrong = [r for r in results if not r[2]]
    for label, error, _ in wrong[:20]:
        print(f"WRONG {label} error {error:.2e}")
    print("\n".join(failures))
    print(f"{len(results)} checks, {len(wrong)} wrong, {len(failures)} parts failed, {time.time() - begin:.0f} s")
    sys.exit(1 if wrong or failures else 0)


if __name__ == "__main__":
    main()
