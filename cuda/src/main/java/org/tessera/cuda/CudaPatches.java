package org.tessera.cuda;

import static org.tessera.cuda.Operands.require;
import static org.tessera.cuda.Operands.shape;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.tessera.ops.Pixels;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Pictures cross to the device as bytes and become patches there. */
final class CudaPatches {
  private static final int BYTE_VALUES = 256;
  private static final int BLOCK_THREADS = 256;
  private static final int MAX_BLOCKS = 1 << 16;
  private static final long ALIGNMENT_BYTES = 256;

  private final CudaDevice device;
  private final CudaKernels kernels;
  private DeviceRegion region;
  private MemorySegment pixels = MemorySegment.NULL;

  CudaPatches(CudaDevice device, CudaKernels kernels) {
    this.device = device;
    this.kernels = kernels;
    region = new DeviceRegion(device.context());
  }

  /** As {@link org.tessera.ops.Ops#patches}. */
  void write(List<Pixels> pictures, int side, Tensor values, Tensor out) {
    shape("values", values, DType.F32, values.rows(), BYTE_VALUES);
    require(values.isContiguous(), "values have gaps between their rows");
    require(side > 0, "patches of %d pixels", side);
    int channels = values.rows();
    int rows = pictures.stream().mapToInt(Pixels::patchCount).sum();
    shape("out", out, device.activationType(), rows, channels * side * side);
    long pictureBytes = 0;
    for (Pixels picture : pictures) {
      picture.requirePatches(side, channels);
      pictureBytes += aligned(picture.bytes().length);
    }
    require(pictureBytes <= Integer.MAX_VALUE, "pictures of %d bytes at a time", pictureBytes);
    if (rows == 0) {
      return;
    }
    // Behind the pixels, of each patch: where it begins, and the bytes of a row of its picture.
    MemorySegment memory = memory(pictureBytes + 2L * rows * DType.I32.bytes());
    int[] places = new int[2 * rows];
    long[] offsets = new long[pictures.size()];
    long offset = 0;
    int row = 0;
    for (int i = 0; i < offsets.length; i++) {
      Pixels picture = pictures.get(i);
      offsets[i] = offset;
      row = write(places, row, picture, (int) offset, channels, side);
      offset += aligned(picture.bytes().length);
    }
    Tensor onDevice = Tensor.of(DType.I32, 2, rows, memory.asSlice(offset, 8L * rows));
    device.upload(places, onDevice);
    device.upload(pictures.stream().map(Pixels::bytes).toList(), offsets, memory);
    kernels
        .get("patches.cu", "patches")
        .arguments()
        .pointer(memory.address())
        .pointer(onDevice)
        .integer(rows)
        .integer(channels)
        .integer(side)
        .pointer(values)
        .pointer(out)
        .integer(out.rowStride())
        .launch(device.stream(), Math.min(rows, MAX_BLOCKS), 1, 1, BLOCK_THREADS, 0);
  }

  /** Writes the places of a picture's patches, from {@code row} on; returns the row after them. */
  private static int write(
      int[] places, int row, Pixels picture, int offset, int channels, int side) {
    int rowBytes = picture.width() * channels;
    for (int top = 0; top < picture.patchRows(); top++) {
      for (int left = 0; left < picture.patchColumns(); left++, row++) {
        places[row] = offset + side * (top * rowBytes + left * channels);
        places[places.length / 2 + row] = rowBytes;
      }
    }
    return row;
  }

  private static long aligned(long bytes) {
    return Math.ceilDiv(bytes, ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  }

  /** Stays allocated, so that pictures like those before cost no allocation. */
  private MemorySegment memory(long bytes) {
    if (pixels.byteSize() < bytes) {
      region.close(); // waits for what still reads from it
      region = new DeviceRegion(device.context());
      pixels = MemorySegment.NULL;
      pixels = region.allocate(bytes);
    }
    return pixels;
  }
}
