package org.tessera.device;

import java.util.List;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/**
 * An opened device: its memory and its operations. Calls come from one thread at a time. Operations
 * may run asynchronously but in order; {@link #download} waits for what was issued before it.
 */
public interface Device extends AutoCloseable {
  DeviceInfo info();

  Ops ops();

  /** Element type of activations and of the KV cache: F32 on the CPU, BF16 or F16 on a GPU. */
  DType activationType();

  /** In which type this device keeps matrices that are stored as {@code stored}. */
  default DType weightType(DType stored) {
    return stored;
  }

  /**
   * Reads memory of this device as fast as it can for a moment and returns bytes a second: what the
   * speed of decoding is judged by.
   */
  double measureReadBandwidth();

  /**
   * Rows of a prompt that this device computes in one go: enough to be busy, and few enough that
   * answers under way need not wait long for their next token.
   */
  default int prefillRows() {
    return 512;
  }

  /**
   * From how many rows on a matrix product takes longer for its arithmetic than for reading the
   * weights, about: fewer rows take as long as these.
   */
  default int computeBoundRows() {
    return 256;
  }

  /** Slices of pictures that this device encodes in one go. */
  default int visionSlices() {
    return 4;
  }

  /** A new region of memory, freed as a whole when it is closed. Its content starts undefined. */
  DeviceMemory allocateRegion();

  /**
   * Brings weights to the device, stacked in order, in the element type {@code dtype}. Where the
   * host is the device and the type is right already the result shares the memory of {@code
   * hostParts}.
   */
  Matrix place(List<Tensor> hostParts, DType dtype, DeviceMemory region);

  /**
   * Brings small vectors (norm weights, biases) to the device, one after the other as one row, in
   * the type in which this device's operations take them.
   */
  Tensor placeVector(List<Tensor> hostParts, DeviceMemory region);

  /**
   * Copies floats from the host into the contiguous {@code destination}, converting to its type.
   */
  void upload(float[] source, Tensor destination);

  /** Copies ints from the host into the contiguous I32 tensor {@code destination}. */
  void upload(int[] source, Tensor destination);

  /**
   * Copies a contiguous tensor of another device to {@code destination}, a contiguous one of this
   * device with the same shape, converting to its type. The copy comes after what was issued on
   * both devices before it, and before what is issued on this one later; {@code source} must not be
   * written until this device was waited for.
   */
  default void receive(Device from, Tensor source, Tensor destination) {
    upload(from.download(source), destination);
  }

  /** Copies the contiguous {@code source} to the host as floats. */
  float[] download(Tensor source);

  /** Copies the contiguous I32 tensor {@code source} to the host: chosen tokens. */
  void download(Tensor source, int[] destination);

  /**
   * Whether tokens are better chosen here, by {@link Ops#sample}, than on the host, which needs the
   * logits for it.
   */
  default boolean samplesOnDevice() {
    return false;
  }

  /** Whether {@link #replay} is worth arranging work for. */
  default boolean recordsWork() {
    return false;
  }

  /**
   * Runs {@code work}. A device may record what it issues and from then on issue the record where
   * the same {@code key} is given. So the work must be the same each time: the same operations in
   * the same order on the same memory, with nothing uploaded, downloaded or allocated inside.
   *
   * @param key compared by {@code equals}; keys of two owners must differ
   */
  default void replay(Object key, Runnable work) {
    work.run();
  }

  /** Forgets what was recorded under a key, if anything was. */
  default void forget(Object key) {}

  /** Frees everything that was allocated on the device. */
  @Override
  void close();

  /** Memory of a device that is freed as a whole. */
  interface DeviceMemory extends AutoCloseable {
    /**
     * A contiguous tensor.
     *
     * @throws org.tessera.error.DeviceException where memory does not suffice
     */
    Tensor allocate(DType dtype, int rows, int columns);

    /** Bytes allocated so far. */
    long allocatedBytes();

    @Override
    void close();
  }
}
