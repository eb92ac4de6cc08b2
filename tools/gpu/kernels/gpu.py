"""Compiles the kernels as the backend does (NVRTC, no toolkit headers), launches and times them."""

import concurrent.futures
import ctypes
import functools
import glob
import os
import statistics
import sysconfig

KERNELS = os.path.normpath(
    os.path.join(
        os.path.dirname(__file__), "../../../cuda/src/main/resources/org/tessera/cuda/kernels"
    )
)


@functools.cache
def nvrtc():
    packages = sysconfig.get_paths()["purelib"]
    places = [os.environ.get("NVRTC", "")]
    places += sorted(glob.glob(packages + "/nvidia/**/libnvrtc.so.[0-9]*", recursive=True))
    places += sorted(glob.glob("/usr/local/cuda*/**/libnvrtc.so.[0-9]*", recursive=True))
    for path in places:
        if path and "alt" not in os.path.basename(path):
            return ctypes.CDLL(path)
    raise RuntimeError("no libnvrtc found; name one in NVRTC")


def compile_cubin(name, options=(), architecture="sm_90"):
    """The cubin of one file; raises RuntimeError with the log."""
    library = nvrtc()
    with open(os.path.join(KERNELS, name), "rb") as file:
        source = file.read()
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), 0, None, None)
    arguments = [f"--gpu-architecture={architecture}", f"-I{KERNELS}", "-std=c++17", *options]
    array = (ctypes.c_char_p * len(arguments))(*[a.encode() for a in arguments])
    status = library.nvrtcCompileProgram(program, len(arguments), array)
    size = ctypes.c_size_t()
    if status != 0:
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        raise RuntimeError(f"{name} {options}: {log.value.decode()}")
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    library.nvrtcGetCUBIN(program, cubin)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return cubin.raw


def compile_all(jobs, architecture="sm_90"):
    """{(name, options): cubin or the error}, in parallel; call before CUDA is in use."""
    with concurrent.futures.ProcessPoolExecutor() as pool:
        futures = {job: pool.submit(compile_cubin, *job, architecture) for job in set(jobs)}
        return {job: future.exception() or future.result() for job, future in futures.items()}


class LaunchConfig(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("attribute_count", ctypes.c_uint),
    ]


class LaunchAttribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_int * 16)]


PROGRAMMATIC_STREAM_SERIALIZATION = 6
MAX_DYNAMIC_SHARED_SIZE_BYTES = 8


def driver():
    return ctypes.CDLL("libcuda.so.1")


def require(status, what):
    if status != 0:
        name = ctypes.c_char_p()
        driver().cuGetErrorName(status, ctypes.byref(name))
        raise RuntimeError(f"{what}: {(name.value or b'?').decode()}")


class Module:
    """A loaded cubin. Needs a current context, which torch makes."""

    def __init__(self, cubin):
        if isinstance(cubin, BaseException):
            raise cubin
        self.handle = ctypes.c_void_p()
        self.functions = {}
        require(driver().cuModuleLoadData(ctypes.byref(self.handle), cubin), "cuModuleLoadData")

    def function(self, name):
        if name not in self.functions:
            function = ctypes.c_void_p()
            status = driver().cuModuleGetFunction(
                ctypes.byref(function), self.handle, name.encode()
            )
            require(status, name)
            self.functions[name] = (function, set())
        return self.functions[name]

    def ints(self, name, count):
        """The values of a global variable."""
        address, size = ctypes.c_uint64(), ctypes.c_size_t()
        status = driver().cuModuleGetGlobal_v2(
            ctypes.byref(address), ctypes.byref(size), self.handle, name.encode()
        )
        require(status, name)
        values = (ctypes.c_int * count)()
        require(driver().cuMemcpyDtoH_v2(values, address, ctypes.sizeof(values)), name)
        return list(values)

    def launch(self, name, grid, block, *arguments, shared=0, overlap=False):
        """Tensors and None are passed as pointers, floats as fp32, ints as int32."""
        import torch

        function, limits = self.function(name)
        if shared > 49152 - 1024 and shared not in limits:
            status = driver().cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
            require(status, f"{shared} bytes of shared memory for {name}")
            limits.add(shared)
        values = []
        for argument in arguments:
            if argument is None:
                values.append(ctypes.c_void_p(0))
            elif isinstance(argument, torch.Tensor):
                values.append(ctypes.c_void_p(argument.data_ptr()))
            elif isinstance(argument, float):
                values.append(ctypes.c_float(argument))
            else:
                values.append(ctypes.c_int(argument))
        pointers = (ctypes.c_void_p * len(values))(
            *[ctypes.cast(ctypes.byref(v), ctypes.c_void_p) for v in values]
        )
        grid = grid if isinstance(grid, tuple) else (grid, 1)
        attribute = LaunchAttribute(PROGRAMMATIC_STREAM_SERIALIZATION, 0)
        attribute.value[0] = 1
        config = LaunchConfig(
            (grid[0], grid[1], 1),
            (block, 1, 1),
            shared,
            torch.cuda.current_stream().cuda_stream,
            ctypes.cast(ctypes.byref(attribute), ctypes.c_void_p),
            1 if overlap else 0,
        )
        require(driver().cuLaunchKernelEx(ctypes.byref(config), function, pointers, None), name)


def time_graph(launches, replays=7):
    """Median seconds of all launches together, captured as one graph."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for launch in launches[:2]:
            launch()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for launch in launches:
                launch()
        graph.replay()
        times = []
        for _ in range(replays):
            start = torch.cuda.Event(enable_timing=True)
            end = torch.cuda.Event(enable_timing=True)
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)


def copy_bandwidth():
    """Bytes read and written a second by a large copy."""
    import torch

    source = torch.empty(1 << 31, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    seconds = time_graph([lambda: target.copy_(source)] * 4)
    return 4 * 2 * source.numel() / seconds
