package org.tessera.cuda;

import static org.tessera.cuda.Operands.ints;
import static org.tessera.cuda.Operands.require;
import static org.tessera.cuda.Operands.shape;

import org.jspecify.annotations.Nullable;
import org.tessera.ops.SamplingParameters;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/** Chooses tokens: the kernels of {@code sample.cu}. */
final class CudaSampling {
  private static final int BLOCK_THREADS = 1024;

  /** Blocks of a cluster that share a row of logits, where the card has clusters. */
  private static final int CLUSTER_BLOCKS = 8;

  private static final int CLUSTER_CAPABILITY = 90;

  private final CudaStream stream;
  private final CudaKernels kernels;
  private final DeviceRegion region;
  private final boolean clusters;
  private @Nullable Tensor scores;

  /**
   * @param region for what is kept from one call to the next
   */
  CudaSampling(CudaDevice device, CudaKernels kernels, DeviceRegion region) {
    stream = device.stream();
    this.kernels = kernels;
    this.region = region;
    clusters = device.context().properties().capability() >= CLUSTER_CAPABILITY;
  }

  /** {@link org.tessera.ops.Ops#argmax}. */
  void argmax(Tensor logits, Tensor ids) {
    shape("logits", logits, DType.F32, logits.rows(), logits.columns());
    ints("ids", ids, 1, logits.rows());
    launch(begin("argmax", logits).pointer(ids), logits.rows(), 0);
  }

  /** {@link org.tessera.ops.Ops#sample}. */
  void sample(Tensor logits, Tensor parameters, Tensor counts, Tensor ids) {
    int rows = logits.rows();
    int vocabulary = logits.columns();
    shape("logits", logits, DType.F32, rows, vocabulary);
    ints("parameters", parameters, rows, SamplingParameters.INTS);
    require(
        parameters.memory().address() % Long.BYTES == 0,
        "parameters do not begin at a multiple of %d bytes",
        Long.BYTES);
    ints("counts", counts, counts.rows(), vocabulary);
    ints("ids", ids, 1, rows);
    Kernel kernel =
        begin("sample", logits)
            .pointer(parameters)
            .pointer(counts)
            .pointer(clusters ? 0 : scores(rows, vocabulary).memory().address())
            .pointer(ids)
            .pointer(0); // log-probabilities
    launch(kernel, rows, clusters ? Math.ceilDiv(vocabulary, CLUSTER_BLOCKS) * Float.BYTES : 0);
  }

  private Kernel begin(String name, Tensor logits) {
    return kernels
        .get("sample.cu", name)
        .arguments()
        .pointer(logits)
        .integer(logits.rowStride())
        .integer(logits.columns());
  }

  private void launch(Kernel kernel, int rows, int sharedBytes) {
    kernel.launch(
        stream, clusters ? rows * CLUSTER_BLOCKS : rows, 1, 1, BLOCK_THREADS, sharedBytes);
  }

  /** Where the one block that has a row keeps its scores; a cluster has room in shared memory. */
  private Tensor scores(int rows, int vocabulary) {
    Tensor held = scores;
    int elements = Math.multiplyExact(rows, vocabulary);
    if (held == null || held.columns() < elements) {
      // What was held stays: recorded work uses it.
      held = region.allocate(DType.F32, 1, elements);
      scores = held;
    }
    return held;
  }
}
