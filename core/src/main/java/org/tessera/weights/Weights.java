package org.tessera.weights;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.tessera.config.StrictJson;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Shape;
import org.tessera.tensor.Tensor;
import org.tessera.weights.WeightSource.WeightInfo;

/**
 * A place in the module tree of a checkpoint, from which a model fetches its weights to a device. A
 * model walks it as it walks its own modules, so that a weight that is missing or has another shape
 * fails with its whole path.
 *
 * <p>Matrices come in the matrix type given to {@link #root}; vectors in the type in which the
 * device takes them. What a method returns is valid until the region <em>and</em> the source are
 * closed, as a device may share the host's memory.
 *
 * <p>Cursors of one root may be used by several threads, each with a device of its own.
 */
public final class Weights {
  private final WeightSource source;
  private final WeightUsage usage;
  private final Device device;
  private final DeviceMemory region;
  private final DType matrixType;
  private final String prefix;

  private Weights(
      WeightSource source,
      WeightUsage usage,
      Device device,
      DeviceMemory region,
      DType matrixType,
      String prefix) {
    this.source = source;
    this.usage = usage;
    this.device = device;
    this.region = region;
    this.matrixType = matrixType;
    this.prefix = prefix;
  }

  /** One of several weights that are stacked to a matrix or a vector. */
  public record Part(String name, int rows) {}

  /** The root of {@code source}, fetching to {@code region} of {@code device}. */
  public static Weights root(
      WeightSource source, Device device, DeviceMemory region, DType matrixType) {
    return root(source, device, region, matrixType, LoadProgress.NONE);
  }

  /** As the other {@code root}, telling {@code progress}. */
  public static Weights root(
      WeightSource source,
      Device device,
      DeviceMemory region,
      DType matrixType,
      LoadProgress progress) {
    return new Weights(source, new WeightUsage(source, progress), device, region, matrixType, "");
  }

  /** The module {@code child} below this one: a name, or several joined by dots. */
  public Weights at(String child) {
    return new Weights(source, usage, device, region, matrixType, prefix + child + ".");
  }

  /** The same place, fetching to another device: for a model that is spread over several. */
  public Weights on(Device device, DeviceMemory region) {
    return on(device, region, matrixType);
  }

  /** As the other {@code on}, with the type in which that device keeps matrices. */
  public Weights on(Device device, DeviceMemory region, DType matrixType) {
    return new Weights(source, usage, device, region, matrixType, prefix);
  }

  /** Whether there is a weight of this name here. */
  public boolean has(String name) {
    return source.has(prefix + name);
  }

  /** The weight {@code [length]}. */
  public Tensor vector(String name, int length) {
    return vector(name, length, Cut.WHOLE);
  }

  /** A part of the weight {@code [length]}. */
  public Tensor vector(String name, int length, Cut cut) {
    return stackedVector(List.of(new Part(name, length)), cut);
  }

  /** Vectors one after the other; the part of each where they are cut. */
  public Tensor stackedVector(List<Part> parts, Cut cut) {
    List<Tensor> cuts = new ArrayList<>();
    for (Part part : parts) {
      cuts.add(cut.ofVector(host(part.name(), Shape.of(part.rows()))));
    }
    return device.placeVector(cuts, region);
  }

  /** The weight {@code [rows, columns]}. */
  public Matrix matrix(String name, int rows, int columns) {
    return matrix(name, rows, columns, Cut.WHOLE);
  }

  /** A part of the weight {@code [rows, columns]}. */
  public Matrix matrix(String name, int rows, int columns, Cut cut) {
    return stackedMatrix(List.of(new Part(name, rows)), columns, cut);
  }

  /** The memory to which weights are brought, for what a model derives from them once. */
  public DeviceMemory region() {
    return region;
  }

  /**
   * The weight of this shape as rows: its first dimension, by columns: the product of the others.
   * So a convolution {@code [1152, 3, 14, 14]} is the matrix {@code [1152, 588]} over flattened
   * patches.
   */
  public Matrix matrix(String name, Shape shape) {
    return device.place(List.of(host(name, shape)), matrixType, region);
  }

  /**
   * The weights {@code [part.rows, columns]} one below the other as one matrix. A cut of rows takes
   * its share of each: of queries, of keys and of values.
   */
  public Matrix stackedMatrix(List<Part> parts, int columns, Cut cut) {
    List<Tensor> cuts = new ArrayList<>();
    for (Part part : parts) {
      cuts.add(cut.ofMatrix(host(part.name(), Shape.of(part.rows(), columns))));
    }
    return device.place(cuts, matrixType, region);
  }

  /**
   * Rows {@code from} (inclusive) to {@code to} (exclusive) of the weight {@code [rows, columns]}:
   * one of several matrices that a checkpoint stores as one.
   */
  public Matrix matrixRows(String name, int rows, int columns, int from, int to) {
    Tensor range = host(name, Shape.of(rows, columns)).rows(from, to);
    return device.place(List.of(range), matrixType, region);
  }

  /** Elements {@code from} (inclusive) to {@code to} (exclusive) of the weight {@code [length]}. */
  public Tensor vectorRange(String name, int length, int from, int to) {
    Tensor range = host(name, Shape.of(length)).columns(from, to);
    return device.placeVector(List.of(range), region);
  }

  /**
   * The weight {@code [rows, columns]} in the device's activation type: rows that are read as
   * activations, such as position tables and learned queries.
   */
  public Tensor table(String name, int rows, int columns) {
    Tensor stored = host(name, Shape.of(rows, columns));
    return device.place(List.of(stored), device.activationType(), region).parts().getFirst();
  }

  /**
   * The transpose {@code [columns, rows]} of the weight {@code [rows, columns]}, which the original
   * multiplies from the right. This is the one weight that is copied on the host.
   */
  public Matrix transposed(String name, int rows, int columns) {
    Tensor stored = host(name, Shape.of(rows, columns));
    Tensor transposed = source.allocate(stored.dtype(), columns, rows);
    Transpose.copy(stored, transposed);
    return device.place(List.of(transposed), matrixType, region);
  }

  /**
   * The tensor as the checkpoint stores it, in host memory.
   *
   * @throws CheckpointException where it is missing, has another shape, or its elements are none of
   *     F32, BF16 and F16
   */
  public Tensor host(String name, Shape shape) {
    String path = prefix + name;
    if (!source.has(path)) {
      throw new CheckpointException(
          "%s: tensor %s is missing; expected shape %s"
              .formatted(source.description(), path, shape));
    }
    WeightInfo info = source.info(path);
    if (!info.shape().equals(shape)) {
      throw new CheckpointException(
          "%s: tensor %s has shape %s, expected %s"
              .formatted(info.file(), path, StrictJson.printable(info.shape().toString()), shape));
    }
    Tensor tensor = source.get(path);
    usage.fetched(path, info.byteSize());
    return tensor;
  }

  /**
   * To be called when the model is complete, with all the parts that cursors of this root fetched.
   *
   * @param tolerated whole names of tensors that may stay unused
   * @throws CheckpointException where other tensors were never fetched: the model is not the one
   *     that the checkpoint was made for
   */
  public void refuseUnused(Predicate<String> tolerated) {
    usage.refuseUnused(tolerated);
  }
}
