"""Times products of few rows over the shapes of MiniCPM-V 2.6, one by one and as a decoder."""

import torch

import gpu

HIDDEN, INTERMEDIATE, QKV, VOCABULARY = 3584, 18944, 4608, 151666
SHAPES = {
    "qkv": (QKV, HIDDEN),
    "o": (HIDDEN, HIDDEN),
    "gate_up": (2 * INTERMEDIATE, HIDDEN),
    "down": (HIDDEN, INTERMEDIATE),
    "lm_head": (VOCABULARY, HIDDEN),
}
ROWS = (1, 2, 4, 8, 16)
BASE = ()
VARIANTS = (
    BASE,
    ("-DGEMV_STAGES=3",),
    ("-DGEMV_STAGES=4",),
    ("-DGEMV_STAGES=10", "-DGEMV_BLOCKS_PER_SM=1"),
    ("-DGEMV_CHUNK=448", "-DGEMV_STAGES=10"),
    ("-DGEMV_CLUSTER=1",),
    ("-DGEMV_CLUSTER=4",),
    ("-DGEMV_GROUP=4",),
    ("-DGEMV_CLUSTER=1", "-DGEMV_GROUP=4"),
    ("-DGEMV_LATE_START=1",),
    ("-DGEMV_CLUSTER=1", "-DGEMV_LATE_START=1"),
    ("-DGEMV_CLUSTER=1", "-DGEMV_GROUP=16", "-DGEMV_STAGES=5"),
)
JOBS = [("gemv.cu", variant) for variant in VARIANTS]


class Runner:
    """Launches one variant; grid_factor: blocks an SM."""

    def __init__(self, cubin, pool, overlap, l2_ahead=0, grid_factor=1):
        self.module = gpu.Module(cubin)
        self.shared = self.module.ints("gemv_shared_bytes", 2)
        self.pool = pool
        self.overlap = overlap
        self.l2_ahead = l2_ahead
        sms = torch.cuda.get_device_properties(0).multi_processor_count
        self.grid = sms * grid_factor
        self.x = torch.randn(16, INTERMEDIATE, device="cuda").bfloat16()
        self.norm = torch.randn(HIDDEN, device="cuda").bfloat16()
        self.bias = torch.randn(QKV, device="cuda").bfloat16()
        self.out = torch.zeros(16, VOCABULARY, device="cuda")
        self.residual = torch.zeros(16, HIDDEN, device="cuda").bfloat16()
        self.cache = torch.zeros(64, 512, device="cuda").bfloat16()
        self.frequencies = 1e6 ** -(torch.arange(64, device="cuda") / 64).float()
        self.positions = torch.arange(16, device="cuda", dtype=torch.int32)

    def launch(self, shape, offset, n):
        rows, columns = SHAPES[shape]
        suffix = "_m8" if n <= 8 else "_m16"
        w = self.pool[offset : offset + rows * columns]
        head = (self.x, INTERMEDIATE, n, w, columns)
        tail = (self.l2_ahead,)
        if shape == "qkv":
            name = "gemv_norm_qkv"
            middle = (columns, self.norm, 1e-6, self.bias, self.positions, self.positions)
            middle += (self.frequencies, 28, 4, 128, self.out, HIDDEN)
            middle += (self.cache, 512, self.cache, 512)
        elif shape == "gate_up":
            name = "gemv_norm_swiglu"
            middle = (rows // 2, columns, self.norm, 1e-6, self.out, INTERMEDIATE)
        elif shape == "lm_head":
            name = "gemv_norm_f32"
            middle = (rows, columns, self.norm, 1e-6, None, 0, self.out, rows)
        else:
            name = "gemv_add"
            middle = (rows, columns, None, self.residual, HIDDEN)
        self.module.launch(
            name + suffix,
            self.grid,
            256,
            *head,
            *middle,
            *tail,
            shared=self.shared[n > 8],
            overlap=self.overlap,
        )

    def bandwidth(self, shapes, n, at_least=1 << 30):
        """Bytes of weights a second, going round the shapes until much more than L2 is read."""
        sizes = [SHAPES[shape][0] * SHAPES[shape][1] for shape in shapes]
        launches, offset, total = [], 0, 0
        while total < at_least or len(launches) < 8:
            for shape, size in zip(shapes, sizes):
                if offset + size > self.pool.numel():
                    offset = 0
                launches.append(lambda s=shape, o=offset: self.launch(s, o, n))
                offset += size
                total += 2 * size
        return total / gpu.time_graph(launches)


LAYER = ("qkv", "o", "gate_up", "down")


def measure(cubins):
    """Lines of a table."""
    copy = gpu.copy_bandwidth()
    pool = torch.empty(1 << 31, dtype=torch.bfloat16, device="cuda").normal_()
    lines = [f"copy {copy / 1e12:.2f} TB/s; TB/s of weights and % of it; layer: {' '.join(LAYER)}"]

    def row(label, options, n, **choices):
        try:
            runner = Runner(cubins[("gemv.cu", options)], pool, **choices)
            cells = []
            for shapes in (*[(s,) for s in SHAPES], LAYER):
                rate = runner.bandwidth(shapes, n)
                cells.append(f"{rate / 1e12:5.2f} {100 * rate / copy:3.0f}%")
            lines.append(f"{label:34} n{n:<2} " + "  ".join(cells))
        except Exception as e:  # one variant must not hide the others
            torch.cuda.synchronize()
            lines.append(f"{label:34} n{n:<2} failed: {str(e)[:90]}")

    lines.append(" " * 39 + "".join(f"{s:12}" for s in (*SHAPES, "layer")))
    for n in ROWS:
        row("base", BASE, n, overlap=True)
    for n in (1, 8):
        row("base, launches not overlapped", BASE, n, overlap=False)
        row("base, 8 steps ahead into L2", BASE, n, overlap=True, l2_ahead=8)
        row("base, 24 steps ahead into L2", BASE, n, overlap=True, l2_ahead=24)
        row("base, 2 blocks an SM", BASE, n, overlap=True, grid_factor=2)
    for variant in VARIANTS[1:]:
        label = " ".join(option.removeprefix("-DGEMV_") for option in variant)
        for n in (1, 8, 16):
            row(label, variant, n, overlap=True)
        if "-DGEMV_CLUSTER=1" in variant:
            row(label + ", 8 steps ahead", variant, 1, overlap=True, l2_ahead=8)
            row(label + ", 2 blocks an SM", variant, 1, overlap=True, grid_factor=2)
    return lines
