package org.tessera.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.tessera.device.Backend;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.device.DeviceInfo;
import org.tessera.error.DeviceException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

class CpuDeviceTest {
  private final Device device = new CpuBackend(2).open(CpuBackend.info());
  private final DeviceMemory region = device.allocateRegion();

  @AfterEach
  void close() {
    region.close();
    device.close();
  }

  private static Tensor host(DType dtype, int rows, int columns, float... values) {
    long bytes = (long) rows * columns * dtype.bytes();
    MemorySegment memory = Arena.ofAuto().allocate(bytes + 1).asSlice(1);
    Tensor tensor = Tensor.of(dtype, rows, columns, memory);
    for (int i = 0; i < values.length; i++) {
      Elements.set(tensor, i / columns, i % columns, values[i]);
    }
    return tensor;
  }

  @Test
  void theBackendIsFoundAndListsOneDevice() {
    Backend backend =
        ServiceLoader.load(Backend.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(b -> b.name().equals("cpu"))
            .findFirst()
            .orElseThrow();
    assertThat(backend.probe())
        .isInstanceOfSatisfying(
            Available.class,
            available -> {
              assertThat(available.notes()).isEmpty();
              DeviceInfo info = available.devices().getFirst();
              assertThat(info.id()).isEqualTo("cpu");
              assertThat(info.name()).isNotBlank();
              assertThat(info.freeBytes()).isPositive().isLessThanOrEqualTo(info.totalBytes());
            });
  }

  @Test
  void otherDevicesAreRefused() {
    assertThatThrownBy(() -> new CpuBackend().open(new DeviceInfo("cpu:1", "", 0, 0)))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("'cpu:1'");
    assertThatIllegalArgumentException().isThrownBy(() -> new CpuBackend(0));
  }

  @Test
  void weightsOfTheRightTypeStayWhereTheyAre() {
    Tensor a = host(DType.BF16, 2, 3);
    Tensor b = host(DType.BF16, 1, 3);
    Matrix placed = device.place(List.of(a, b), DType.BF16, region);
    assertThat(placed.rows()).isEqualTo(3);
    assertThat(placed.parts()).containsExactly(a, b);
    assertThat(region.allocatedBytes()).isZero();
  }

  @Test
  void otherWeightsAreRoundedToNearestEven() {
    float[] values = {1f, 0x1.01p0f, 0x1.03p0f, 0x1.0101p0f, -0f, 1e-40f, 3.4e38f, 65520f};
    Tensor from = host(DType.F32, 2, 4, values);
    Tensor bf16 = device.place(List.of(from), DType.BF16, region).parts().getFirst();
    int[] expected = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x8000, 0x0001, 0x7f80, 0x4780};
    for (int i = 0; i < expected.length; i++) {
      short bits = bf16.memory().get(JAVA_SHORT_UNALIGNED, 2L * i);
      assertThat(Short.toUnsignedInt(bits)).as("element %d", i).isEqualTo(expected[i]);
    }
    Tensor f16 = device.place(List.of(from), DType.F16, region).parts().getFirst();
    assertThat(Short.toUnsignedInt(f16.memory().get(JAVA_SHORT_UNALIGNED, 14))).isEqualTo(0x7c00);
    assertThat(Short.toUnsignedInt(f16.memory().get(JAVA_SHORT_UNALIGNED, 0))).isEqualTo(0x3c00);
  }

  @Test
  void everyBf16SurvivesTheWayThroughFloat() {
    for (int bits = 0; bits < 1 << 16; bits++) {
      float value = Elements.bf16ToFloat((short) bits);
      short back = Elements.floatToBf16(value);
      if (Float.isNaN(value)) {
        assertThat(Elements.bf16ToFloat(back)).isNaN();
      } else {
        assertThat(Short.toUnsignedInt(back)).isEqualTo(bits);
      }
    }
  }

  @Test
  void everyF16IsWidenedExactly() {
    Tensor all = host(DType.F16, 1, 1 << 16);
    for (int bits = 0; bits < 1 << 16; bits++) {
      all.memory().set(JAVA_SHORT_UNALIGNED, 2L * bits, (short) bits);
    }
    float[] wide = new float[1 << 16];
    new VectorKernels().widen(all, 0, 1, 0, 1 << 16, wide, 0, 1 << 16);
    for (int bits = 0; bits < 1 << 16; bits++) {
      float expected = Float.float16ToFloat((short) bits);
      if (Float.isNaN(expected)) {
        assertThat(wide[bits]).isNaN();
      } else {
        assertThat(Float.floatToRawIntBits(wide[bits]))
            .isEqualTo(Float.floatToRawIntBits(expected));
      }
    }
  }

  @Test
  void vectorsBecomeOneRowOfFloats() {
    Tensor a = host(DType.BF16, 1, 2, 1, 2);
    Tensor b = host(DType.F16, 1, 3, 3, 4, 5);
    Tensor placed = device.placeVector(List.of(a, b), region);
    assertThat(placed.dtype()).isEqualTo(DType.F32);
    assertThat(device.download(placed)).containsExactly(1, 2, 3, 4, 5);
  }

  @Test
  void floatsTravelThereAndBack() {
    for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      Tensor tensor = region.allocate(dtype, 2, 3);
      device.upload(new float[] {1, -2, 0.5f, 4, 5, 6}, tensor);
      assertThat(device.download(tensor)).containsExactly(1, -2, 0.5f, 4, 5, 6);
    }
    Tensor wide = region.allocate(DType.F32, 2, 3);
    assertThatIllegalArgumentException().isThrownBy(() -> device.download(wide.columns(0, 2)));
    assertThatIllegalArgumentException().isThrownBy(() -> device.upload(new float[5], wide));
    assertThatIllegalArgumentException().isThrownBy(() -> device.upload(new int[6], wide));
  }

  @Test
  void memoryIsAlignedAndCounted() {
    for (int columns : new int[] {1, 100, 70_000, 1_000_000}) {
      long before = region.allocatedBytes();
      Tensor tensor = region.allocate(DType.F32, 1, columns);
      assertThat(tensor.memory().address() % 64).isZero();
      assertThat(region.allocatedBytes() - before).isBetween(4L * columns, 4L * columns + 63);
      tensor.memory().set(JAVA_FLOAT_UNALIGNED, 4L * (columns - 1), 1f);
    }
  }

  @Test
  void moreMemoryThanThereIsIsRefused() {
    assertThatThrownBy(() -> region.allocate(DType.F32, 1 << 20, 1 << 25))
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("140737488355328");
    assertThatThrownBy(() -> region.allocate(DType.F32, Integer.MAX_VALUE, Integer.MAX_VALUE))
        .isInstanceOf(DeviceException.class);
  }

  @Test
  void closingADeviceFreesItsRegions() {
    Device other = new CpuBackend(1).open(CpuBackend.info());
    Tensor tensor = other.allocateRegion().allocate(DType.F32, 1, 4);
    other.close();
    assertThatThrownBy(() -> tensor.memory().get(JAVA_FLOAT_UNALIGNED, 0))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void memoryIsRead() {
    assertThat(device.measureReadBandwidth()).isBetween(1e8, 1e13);
    CpuBackend backend = new CpuBackend(2);
    assertThat(backend.measure(CpuBackend.info()))
        .hasValueSatisfying(speed -> {
          assertThat(speed.bytesPerSecond()).isBetween(1e8, 1e13);
          assertThat(speed.flops()).isBetween(1e10, 1e12);
        });
  }
}
