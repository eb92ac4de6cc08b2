package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.cuda.ffm.LibrarySearch;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Backend.Availability.Unavailable;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.DeviceInfo;
import org.tessera.device.DeviceSpeed;
import org.tessera.device.Link;
import org.tessera.error.DeviceException;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** The host side against libraries that stand for CUDA's. */
class CudaDeviceTest {
  @TempDir Path folder;
  private FakeCuda fake;
  private CudaBackend backend;

  @BeforeEach
  void compileFakes() throws Exception {
    fake = new FakeCuda(folder);
    backend =
        new CudaBackend(
            fake.search, new KernelCache(folder.resolve("cache")), DType.BF16, device -> noOps());
  }

  static Ops noOps() {
    return (Ops)
        Proxy.newProxyInstance(
            Ops.class.getClassLoader(),
            new Class<?>[] {Ops.class},
            (proxy, method, arguments) -> {
              throw new UnsupportedOperationException(method.getName());
            });
  }

  private CudaDevice open() {
    Available available = (Available) backend.probe();
    return (CudaDevice) backend.open(available.devices().getFirst());
  }

  private static Tensor host(int rows, int columns, int stride, DType type, float... values) {
    MemorySegment memory =
        Arena.ofAuto().allocate((long) rows * stride * type.bytes() + 1).asSlice(1);
    for (int r = 0; r < rows; r++) {
      HostElements.write(
          values, r * columns, memory, (long) r * stride * type.bytes(), type, columns);
    }
    return new Tensor(type, rows, columns, stride, memory);
  }

  @Test
  void theBackendDescribesItsDeviceAndLibraries() {
    assertThat(backend.probe())
        .isInstanceOfSatisfying(
            Available.class,
            available -> {
              assertThat(available.notes()).isEmpty();
              assertThat(available.devices())
                  .containsExactly(
                      new org.tessera.device.DeviceInfo("cuda:0", "Fake H200", 2L << 30, 1L << 30));
            });
    assertThat(backend.components())
        .extracting(CudaBackend.Component::version)
        .containsExactly("CUDA 13.0", "13.0", "13.1.1");
    assertThat(fake.live()).isZero();
  }

  @Test
  void aCardIsMeasured() {
    Available available = (Available) backend.probe();
    DeviceInfo card = available.devices().getFirst();

    // The fake says that ten copies of a quarter of what is free took 2.5 ms.
    double bytesPerSecond = 2.0 * 10 * (1 << 28) / 0.0025;
    assertThat(backend.measure(card))
        .contains(new DeviceSpeed(bytesPerSecond, 132 * 1.98e9 * 4096, Link.HOST));
    assertThat(fake.live()).isZero();
    fake.fail("cuMemAlloc_v2", 2);
    assertThat(backend.measure(card)).as("no memory to measure with").isEmpty();
    assertThat(fake.live()).isZero();
  }

  @Test
  void whatIsMissingIsSaid() {
    CudaBackend without =
        new CudaBackend(
            new LibrarySearch(List.of()), new KernelCache(folder), DType.BF16, device -> noOps());
    assertThat(without.probe()).isInstanceOf(Unavailable.class);
    fake.driverVersion(11080);
    assertThat(backend.probe())
        .isInstanceOfSatisfying(
            Unavailable.class, off -> assertThat(off.reason()).contains("CUDA 11.8"));
  }

  @Test
  void aDriverWithoutDevicesIsNoError() {
    fake.fail("cuInit", 100);
    assertThat(backend.probe())
        .isInstanceOfSatisfying(
            Unavailable.class, off -> assertThat(off.reason()).contains("no device"));
  }

  @Test
  void closingFreesEverything() {
    try (CudaDevice device = open()) {
      assertThat(device.context().properties().capability()).isEqualTo(90);
      assertThat(device.context().properties().uuid())
          .isEqualTo("GPU-f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff");
      DeviceMemory region = device.allocateRegion();
      region.allocate(DType.F32, 10, 10);
      region.allocate(DType.F32, 1000, 1000);
      device.context().createEvent(true);
      device.context().loadModule(new byte[64]).kernel("norm");
      new Matmul(device.context(), device.blas(), MemorySegment.NULL);
      device.stream().capture(() -> {});
      assertThat(fake.live()).isGreaterThan(5);
    }
    assertThat(fake.live()).isZero();
  }

  @Test
  void aFactoryThatFailsLeavesNothing() {
    CudaBackend failing =
        new CudaBackend(
            fake.search,
            new KernelCache(folder),
            DType.BF16,
            device -> {
              throw new DeviceException("no kernels");
            });
    Available available = (Available) failing.probe();
    assertThatThrownBy(() -> failing.open(available.devices().getFirst())).hasMessage("no kernels");
    assertThat(fake.live()).isZero();
  }

  @Test
  void errorsCarryCudasNames() {
    try (CudaDevice device = open()) {
      assertThatThrownBy(() -> device.allocateRegion().allocate(DType.F32, 1 << 15, 1 << 14))
          .isInstanceOfSatisfying(
              CudaException.class,
              e -> {
                assertThat(e.isOutOfMemory()).isTrue();
                assertThat(e.errorName()).isEqualTo("CUDA_ERROR_OUT_OF_MEMORY");
                assertThat(e.call()).isEqualTo("cuMemAlloc_v2");
                assertThat(e)
                    .hasMessage(
                        "cuda:0: 2147483648 bytes of memory are needed, 1073741824 are free");
              });
      fake.fail("cuStreamSynchronize", 700);
      assertThatThrownBy(() -> device.stream().synchronize())
          .isInstanceOfSatisfying(CudaException.class, e -> assertThat(e.isOutOfMemory()).isFalse())
          .hasMessage(
              "cuStreamSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"
                  + " was encountered");
      fake.fail("", 0);
    }
    assertThat(fake.live()).isZero();
  }

  @Test
  void launchesAreLaidOutAsTheDriverReadsThem() {
    try (CudaDevice device = open()) {
      fake.parameters(8, 4, 4, 8);
      Kernel kernel = device.context().loadModule(new byte[64]).kernel("norm");
      kernel.configure(true, 2, 1, 1);
      for (int i = 0; i < 2; i++) {
        fake.clear();
        kernel.arguments().pointer(1L << 40).integer(-7).real(1f).longInteger(-1L);
        kernel.launch(device.stream(), 4, 5, 6, 256, 2, 100_000);
        List<String> calls = fake.calls();
        assertThat(calls.getLast())
            .isEqualTo(
                "cuLaunchKernelEx grid 4,5,6 block 256,2,1 shared 100000 stream 51 cluster 2,1,1"
                    + " programmatic 1 1099511627776 -7 1065353216 -1");
        assertThat(calls).hasSize(i == 0 ? 2 : 1);
        assertThat(calls.getFirst()).startsWith(i == 0 ? "cuFuncSetAttribute 8 100000" : "cuL");
      }
      kernel.configure(false, 1, 1, 1).arguments().pointer(0).integer(1).real(0).longInteger(0);
      kernel.launch(device.stream(), 1, 1, 1, 32, 0);
      assertThat(fake.calls().getLast()).endsWith("stream 51 0 1 0 0");
      assertThatIllegalStateException().isThrownBy(() -> kernel.arguments().integer(1));
      assertThatIllegalStateException()
          .isThrownBy(() -> kernel.arguments().pointer(0).launch(device.stream(), 1, 1, 1, 32, 0));
    }
  }

  @Test
  void captureEndsWhateverHappens() {
    try (CudaDevice device = open()) {
      fake.clear();
      CudaGraph graph = device.stream().capture(() -> {});
      graph.launch(device.stream());
      assertThat(fake.calls())
          .containsExactly(
              "cuStreamBeginCapture_v2 1",
              "cuStreamEndCapture",
              "cuGraphInstantiateWithFlags 61 0",
              "cuGraphDestroy",
              "cuGraphLaunch 71 51");
      fake.clear();
      assertThatThrownBy(() ->
              device.stream()
                  .capture(() -> {
                    throw new IllegalStateException("inside");
                  }))
          .hasMessage("inside");
      assertThat(fake.calls())
          .containsExactly("cuStreamBeginCapture_v2 1", "cuStreamEndCapture", "cuGraphDestroy");
    }
    assertThat(fake.live()).isZero();
  }

  @Test
  void weightsAndArraysArrive() {
    try (CudaDevice device = open();
        DeviceMemory region = device.allocateRegion()) {
      Tensor a = host(2, 3, 5, DType.F32, 1, 2, 3, 4, 5, 0x1.03p0f);
      Tensor b = host(1, 3, 3, DType.F16, -1, 0.5f, 7);
      Tensor placed = device.place(List.of(a, b), DType.BF16, region).parts().getFirst();
      assertThat(placed.rows()).isEqualTo(3);
      assertThat(placed.memory().address() % 256).isZero();
      assertThat(placed.rowStride()).isEqualTo(8);
      assertThat(device.download(whole(placed)))
          .startsWith(1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 0x1.04p0f, 0, 0, 0, 0, 0, -1, 0.5f, 7, 0);
      assertThat(placed.memory().get(JAVA_SHORT_UNALIGNED, 20)).isEqualTo((short) 0x3f82);
      assertThat(device.placeVector(List.of(b, b), region).dtype()).isEqualTo(DType.BF16);
      int[] ints = new int[5_000_000];
      java.util.Arrays.setAll(ints, i -> i);
      Tensor tensor = region.allocate(DType.I32, 1, ints.length);
      device.upload(ints, tensor);
      int[] back = new int[ints.length];
      device.download(tensor, back);
      assertThat(back).isEqualTo(ints);
      assertThatIllegalArgumentException().isThrownBy(() -> device.upload(new int[3], tensor));
      assertThat(device.measureReadBandwidth()).isEqualTo(2.0 * 10 * (256 << 20) / 2.5e-3);
    }
  }

  @Test
  void weightsLargerThanTheBuffersArrive() {
    int columns = 7001;
    int rows = 6000;
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 251;
    }
    try (CudaDevice device = open();
        DeviceMemory region = device.allocateRegion()) {
      Tensor from = host(rows, columns, columns, DType.F32, values);
      Tensor placed = device.place(List.of(from), DType.BF16, region).parts().getFirst();
      float[] back = device.download(whole(placed));
      for (int row = 0; row < rows; row++) {
        int start = row * 7008;
        assertThat(
                Arrays.mismatch(
                    back, start, start + columns, values, row * columns, (row + 1) * columns))
            .isEqualTo(-1);
        assertThat(Arrays.copyOfRange(back, start + columns, start + 7008)).containsOnly(0f);
      }
    }
  }

  /** A matrix with what lies between its rows. */
  private static Tensor whole(Tensor placed) {
    int stride = Math.toIntExact(placed.rowStride());
    return Tensor.of(placed.dtype(), placed.rows(), stride, placed.memory());
  }

  @Test
  void productsAreAskedForByColumns() {
    try (CudaDevice device = open();
        DeviceRegion region = new DeviceRegion(device.context())) {
      Matmul matmul = new Matmul(device.context(), device.blas(), region.allocate(1 << 20));
      Tensor x = region.allocate(DType.BF16, 5, 16).columns(0, 8);
      Tensor w = region.allocate(DType.BF16, 6, 8);
      Tensor bias = region.allocate(DType.BF16, 1, 6);
      Tensor out = region.allocate(DType.BF16, 5, 12).columns(0, 6);
      for (int i = 0; i < 2; i++) {
        matmul.multiply(device.stream(), x, w, bias, Matmul.Epilogue.GELU_TANH, true, out);
      }
      assertThat(fake.blasCalls().stream().filter("heuristic"::equals)).hasSize(1);
      assertThat(fake.blasCalls()).contains("preference 1 1048576", "preference 5 256");
      assertThat(fake.blasCalls().getLast())
          .isEqualTo(
              ("a %x type 14 8x6 ld 8 op 1, b %x 8x5 ld 16, d %x type 14 6x5 ld 12, alpha 1 beta 1"
                      + " epilogue 36 bias %x type 14 algorithm 42 workspace 1048576 stream 51")
                  .formatted(
                      w.memory().address(),
                      x.memory().address(),
                      out.memory().address(),
                      bias.memory().address()));
      Tensor odd = region.allocate(DType.BF16, 6, 9);
      Tensor oddX = region.allocate(DType.BF16, 5, 9);
      assertThatThrownBy(() ->
              matmul.multiply(device.stream(), oddX, odd, null, Matmul.Epilogue.NONE, false, out))
          .isInstanceOf(DeviceException.class)
          .hasMessageContaining("no algorithm");
    }
    assertThat(fake.live()).isZero();
  }

  @Test
  void theFastestAlgorithmIsTakenForRowsThatRecur() {
    try (CudaDevice device = open();
        DeviceRegion region = new DeviceRegion(device.context())) {
      MemorySegment workspace = region.allocate(1 << 20);
      Matmul matmul = new Matmul(device.context(), device.blas(), workspace, new Matmul.Search(4));
      Tensor w = region.allocate(DType.BF16, 6, 8);
      Tensor x = region.allocate(DType.BF16, 32, 8);
      Tensor out = region.allocate(DType.BF16, 32, 8).columns(0, 6);
      fake.elapsed(5, 6, 5, 4, 3, 6, 8, 8, 8);
      matmul.multiply(device.stream(), x, w, null, Matmul.Epilogue.NONE, true, out);
      // 43 is not supported; 44 had the least time.
      String last = fake.blasCalls().getLast();
      assertThat(last).contains("algorithm 44", "beta 1", "d %x ".formatted(address(out)));
      assertThat(fake.blasCalls().stream().filter(call -> call.contains("algorithm"))).hasSize(13);
      matmul.multiply(device.stream(), x, w, null, Matmul.Epilogue.NONE, true, out);
      assertThat(fake.blasCalls().getLast()).isEqualTo(last);
      assertThat(fake.blasCalls().stream().filter(call -> call.contains("algorithm"))).hasSize(14);

      // Nothing is timed of a prompt's number of rows, nor of what is only recorded.
      Tensor prompt = x.rows(0, 30);
      matmul.multiply(
          device.stream(), prompt, w, null, Matmul.Epilogue.NONE, true, out.rows(0, 30));
      device.stream()
          .capture(() ->
              matmul.multiply(
                  device.stream(),
                  x.rows(0, 16),
                  w,
                  null,
                  Matmul.Epilogue.NONE,
                  true,
                  out.rows(0, 16)))
          .close();
      assertThat(fake.blasCalls().getLast()).contains("algorithm 42");
      assertThat(fake.blasCalls().stream().filter(call -> call.contains("algorithm"))).hasSize(16);
    }
    assertThat(fake.live()).isZero();
  }

  private static long address(Tensor tensor) {
    return tensor.memory().address();
  }

  @Test
  void workThatFailsIsNotRecordedTheNextTime() {
    try (CudaDevice device = open()) {
      Runnable failing =
          () -> {
            throw new DeviceException("no memory");
          };
      assertThatThrownBy(() -> device.replay("step", failing)).hasMessage("no memory");
      fake.clear();
      device.replay("step", () -> {});
      assertThat(fake.calls()).doesNotContain("cuStreamBeginCapture_v2 1");
      device.replay("step", () -> {});
      assertThat(fake.calls()).contains("cuStreamBeginCapture_v2 1");
    }
  }

  @Test
  void kernelsAreCompiledOnce() throws Exception {
    try (CudaDevice device = open()) {
      KernelSource source = new KernelSource("norm.cu", "text", Map.of("a.cuh", "header"));
      byte[] cubin = device.compiler().compile(source, true, "HEADS=28");
      assertThat(new String(cubin, StandardCharsets.UTF_8))
          .startsWith(
              "norm.cu|text|a.cuh=header|--gpu-architecture=sm_90a|--std=c++17|-default-device"
                  + "|-DHEADS=28");
      assertThat(device.compiler().compile(source, true, "HEADS=28")).isEqualTo(cubin);
      assertThat(fake.compilations()).isEqualTo(1);
      device.compiler().compile(source, false, "HEADS=28");
      device.compiler().compile(new KernelSource("norm.cu", "text", Map.of()), true, "HEADS=28");
      assertThat(fake.compilations()).isEqualTo(3);
      try (var files = java.nio.file.Files.list(folder.resolve("cache"))) {
        for (Path file : files.toList()) {
          byte[] bytes = java.nio.file.Files.readAllBytes(file);
          bytes[bytes.length - 3] ^= 1;
          java.nio.file.Files.write(file, bytes);
        }
      }
      assertThat(device.compiler().compile(source, true, "HEADS=28")).isEqualTo(cubin);
      assertThat(fake.compilations()).isEqualTo(4);
      assertThatThrownBy(
              () -> device.compiler().compile(new KernelSource("b.cu", "broken", Map.of()), false))
          .isInstanceOf(DeviceException.class)
          .hasMessageContaining("identifier \"broken\" is undefined");
    }
    assertThat(fake.live()).isZero();
  }
}
