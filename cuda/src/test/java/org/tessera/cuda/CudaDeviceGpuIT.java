package org.tessera.cuda;

import static java.nio.file.StandardOpenOption.READ;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tessera.cuda.ffm.CudaException;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Memory, graphs and launches on a real card. */
class CudaDeviceGpuIT {
  @RegisterExtension static final GpuDevice GPU = new GpuDevice(DType.BF16);

  private static final String INCREMENT =
      """
      extern "C" __global__ void increment(int* values, int count, int by) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < count) {
          values[i] += by;
        }
      }
      """;

  private CudaDevice device;
  private DeviceRegion region;

  @BeforeEach
  void allocate() {
    device = GPU.device();
    region = new DeviceRegion(device.context());
  }

  @AfterEach
  void free() {
    region.close();
  }

  /** Multiples of 1/8 that every type holds exactly. */
  private static float[] values(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (i % 251 - 120) / 8f;
    }
    return values;
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void floatsRoundTrip(DType type) {
    for (int count : new int[] {1, 13, 5_000_003}) {
      float[] values = values(count);
      Tensor tensor = region.allocate(type, 1, count);
      device.upload(values, tensor);
      assertThat(device.download(tensor)).isEqualTo(values);
    }
    float[] special = {-0f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, 0x1p-14f};
    Tensor tensor = region.allocate(type, 1, special.length);
    device.upload(special, tensor);
    assertThat(device.download(tensor)).isEqualTo(special);
  }

  @Test
  void intsRoundTrip() {
    int[] values = new int[5_000_003];
    Arrays.setAll(values, i -> i * 2_654_435);
    Tensor tensor = region.allocate(DType.I32, 1, values.length);
    device.upload(values, tensor);
    int[] back = new int[values.length];
    device.download(tensor, back);
    assertThat(back).isEqualTo(values);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void stridedPartsAreStacked(DType from) {
    int columns = 1003;
    Tensor a = strided(from, 31, columns, columns + 7);
    Tensor b = strided(from, 1, columns, columns);
    // More than one of the buffers that take turns.
    Tensor c = strided(from, 40_000, columns, columns + 1);
    for (DType to : List.of(DType.F32, DType.BF16, DType.F16)) {
      try (DeviceMemory memory = device.allocateRegion()) {
        Tensor placed = device.place(List.of(a, b, c), to, memory).parts().getFirst();
        int stride = Math.toIntExact(placed.rowStride());
        float[] back = device.download(Tensor.of(to, placed.rows(), stride, placed.memory()));
        float[] expected = new float[back.length];
        int row = 0;
        for (Tensor part : List.of(a, b, c)) {
          float[] values = values(part.rows() * columns);
          for (int i = 0; i < part.rows(); i++, row++) {
            System.arraycopy(values, i * columns, expected, row * stride, columns);
          }
        }
        assertThat(Arrays.mismatch(back, expected)).as("%s to %s", from, to).isEqualTo(-1);
      }
    }
  }

  private static Tensor strided(DType type, int rows, int columns, int stride) {
    float[] values = values(rows * columns);
    // At an odd address, as in a mapped checkpoint.
    MemorySegment memory =
        Arena.ofAuto().allocate((long) rows * stride * type.bytes() + 1).asSlice(1);
    for (int r = 0; r < rows; r++) {
      HostElements.write(
          values, r * columns, memory, (long) r * stride * type.bytes(), type, columns);
    }
    return new Tensor(type, rows, columns, stride, memory);
  }

  /** A file with holes, which reads as zeros and takes no disk. */
  @Test
  void uploadingWeightsTakesLittleHostMemory(@TempDir Path folder) throws IOException {
    int side = 1 << 15;
    long bytes = 2L * side * side;
    Path file = folder.resolve("weights");
    try (FileChannel channel =
            FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, READ);
        Arena arena = Arena.ofShared()) {
      channel.write(ByteBuffer.allocate(1), bytes - 1);
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, bytes, arena);
      Tensor weights = Tensor.of(DType.BF16, side, side, mapped);
      long before = ownBytes();
      Tensor placed = device.place(List.of(weights), DType.BF16, region).parts().getFirst();
      device.stream().synchronize();
      assertThat(ownBytes() - before).isLessThan(500L << 20);
      assertThat(device.download(placed.rows(side - 1, side))).containsOnly(0f);
    }
  }

  /** Resident memory of this process but for mapped files, which the system takes back at will. */
  private static long ownBytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("RssAnon") || line.startsWith("RssShmem"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
        .sum();
  }

  @Test
  void openingAndClosingLeaksNothing() {
    openAndClose();
    long before = device.info().freeBytes();
    for (int i = 0; i < 50; i++) {
      openAndClose();
    }
    // The driver keeps small pools of its own; a leak of one region alone would be 3 GB.
    assertThat(before - device.info().freeBytes()).isLessThan(32 << 20);
  }

  /** Closing the device frees what is left open here. */
  private static void openAndClose() {
    try (CudaDevice opened = GpuDevice.open(DType.BF16)) {
      DeviceMemory memory = opened.allocateRegion();
      Tensor tensor = memory.allocate(DType.BF16, 1 << 10, 1 << 15);
      memory.allocate(DType.I32, 1, 3);
      opened.stream().fill(tensor.memory(), (byte) 0);
      CudaModule module = opened.context().loadModule(increment(opened));
      Kernel kernel = module.kernel("increment");
      opened.stream()
          .capture(() -> {
            kernel.arguments().pointer(tensor).integer(64).integer(1);
            kernel.launch(opened.stream(), 1, 1, 1, 64, 0);
          })
          .launch(opened.stream());
      new Matmul(opened.context(), opened.blas(), MemorySegment.NULL);
    }
  }

  private static byte[] increment(CudaDevice device) {
    return device.compiler().compile(new KernelSource("increment.cu", INCREMENT, Map.of()), false);
  }

  @Test
  void tooLittleMemoryIsAnErrorAndTheDeviceGoesOn() {
    int columns = 1 << 20;
    int rows = Math.toIntExact(2 * device.info().totalBytes() / DType.F32.bytes() / columns);
    long bytes = (long) rows * columns * DType.F32.bytes();
    long before = device.info().freeBytes();
    assertThatThrownBy(() -> region.allocate(DType.F32, rows, columns))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining(bytes + " bytes")
        .isInstanceOfSatisfying(CudaException.class, e -> assertThat(e.isOutOfMemory()).isTrue());
    // The driver may give memory of its own back.
    assertThat(device.info().freeBytes()).isGreaterThanOrEqualTo(before);
    floatsRoundTrip(DType.BF16);
  }

  @Test
  void aGraphRunsAsOftenAsItIsLaunched() {
    int count = 1000;
    Tensor values = region.allocate(DType.I32, 1, count);
    int[] numbers = new int[count];
    Arrays.setAll(numbers, i -> 3 * i);
    device.upload(numbers, values);
    try (CudaModule module = device.context().loadModule(increment(device))) {
      Kernel kernel = module.kernel("increment");
      try (CudaGraph graph =
          device.stream()
              .capture(() -> {
                for (int by : new int[] {1, 10}) {
                  kernel.arguments().pointer(values).integer(count).integer(by);
                  kernel.launch(device.stream(), Math.ceilDiv(count, 128), 1, 1, 128, 0);
                }
              })) {
        int[] back = new int[count];
        device.download(values, back);
        assertThat(back).as("captured, not run").isEqualTo(numbers);
        for (int i = 0; i < 5; i++) {
          graph.launch(device.stream());
        }
        device.download(values, back);
        Arrays.setAll(numbers, i -> 3 * i + 55);
        assertThat(back).isEqualTo(numbers);
      }
    }
  }

  @Test
  void bandwidthIsThatOfACard(TestReporter reporter) {
    double gigabytes = device.measureReadBandwidth() / 1e9;
    reporter.publishEntry(
        device.info().name() + ", read and written by a copy", "%.0f GB/s".formatted(gigabytes));
    assertThat(gigabytes).isBetween(100.0, 20_000.0);
    assertThat(device.measureReadBandwidth() / 1e9).isCloseTo(gigabytes, within(gigabytes / 4));
  }
}
