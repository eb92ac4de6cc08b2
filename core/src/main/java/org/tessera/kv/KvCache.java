package org.tessera.kv;

import java.util.ArrayList;
import java.util.List;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.ops.Heads;
import org.tessera.ops.KvLayer;
import org.tessera.tensor.DType;

/** Memory of the keys and values of the decoder layers on one device, divided into blocks. */
public final class KvCache implements AutoCloseable {
  private final Device device;
  private final DeviceMemory memory;
  private final List<KvLayer> layers;
  private final int rows;
  private final int blockRows;

  /**
   * @param layerCount layers that the device holds, which may be none
   * @param heads the heads that this device computes
   * @param blockCount number of blocks, shared by all sequences
   * @param blockRows positions a block
   * @throws org.tessera.error.DeviceException where memory does not suffice
   */
  public KvCache(Device device, int layerCount, Heads heads, int blockCount, int blockRows) {
    this.device = device;
    this.memory = device.allocateRegion();
    this.layers = new ArrayList<>();
    this.rows = Math.multiplyExact(blockCount, blockRows);
    this.blockRows = blockRows;
    int columns = heads.keyValueColumns();
    DType dtype = device.activationType();
    for (int i = 0; i < layerCount; i++) {
      layers.add(
          new KvLayer(
              memory.allocate(dtype, rows, columns),
              memory.allocate(dtype, rows, columns),
              blockRows));
    }
  }

  /** Bytes that one position of one sequence takes in all layers. */
  public static long bytesPerToken(int layerCount, Heads heads, DType dtype) {
    return 2L * layerCount * heads.keyValueColumns() * dtype.bytes();
  }

  /** Positions in all blocks together. */
  public int rows() {
    return rows;
  }

  /** Positions a block. */
  public int blockRows() {
    return blockRows;
  }

  /** The layer with this number among those of the device, from 0. */
  public KvLayer layer(int index) {
    return layers.get(index);
  }

  /** Carries out the copies that a fork asked for, in every layer. */
  public void copy(RowCopies copies) {
    if (copies.from().length > 0) {
      layers.forEach(layer -> device.ops().copyKvRows(copies.from(), copies.to(), layer));
    }
  }

  @Override
  public void close() {
    memory.close();
  }

  /** Cache rows to copy: {@code from[i]} to {@code to[i]}. The arrays are not to be changed. */
  @SuppressWarnings("ArrayRecordComponent") // handed to the device as they are
  public record RowCopies(int[] from, int[] to) {}
}
