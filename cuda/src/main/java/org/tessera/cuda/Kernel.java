package org.tessera.cuda;

import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;
import org.tessera.cuda.ffm.Execution;
import org.tessera.cuda.ffm.FunctionAttribute;
import org.tessera.cuda.ffm.LaunchBlock;
import org.tessera.tensor.Tensor;

/**
 * A kernel and the native memory of its launches. A launch names the arguments in order and ends
 * with {@link #launch}:
 *
 * <pre>{@code
 * kernel.arguments().pointer(x).integer(stride).real(eps).launch(stream, rows, 1, 1, 256, 0);
 * }</pre>
 *
 * <p>Nothing is allocated by that. Where the driver tells the parameters of a kernel (CUDA 12.4 on)
 * the number and the sizes of the arguments are checked. Not for several threads at a time.
 */
public final class Kernel {
  private static final int MAX_PARAMETERS = 48;

  /**
   * What a kernel may use of shared memory, its own variables included, without asking for more.
   */
  private static final int DEFAULT_SHARED_BYTES = 48 << 10;

  /** The largest cluster that every device with clusters takes. */
  private static final int PORTABLE_CLUSTER_BLOCKS = 8;

  private final CudaContext context;
  private final Execution execution;
  private final String name;
  private final long function;
  private final int @Nullable [] parameterBytes;
  private final LaunchBlock block;
  private int count;
  private int allowedSharedBytes;

  Kernel(CudaContext context, String name, long function, Arena arena) {
    this.context = context;
    this.name = name;
    this.function = function;
    execution = context.driver().execution();
    allowedSharedBytes =
        DEFAULT_SHARED_BYTES
            - execution.functionAttribute(function, FunctionAttribute.SHARED_SIZE_BYTES);
    parameterBytes = execution.parameterBytes(function).orElse(null);
    block = new LaunchBlock(parameterBytes == null ? MAX_PARAMETERS : parameterBytes.length, arena);
  }

  /** As in the source. */
  public String name() {
    return name;
  }

  /** Registers a thread takes. */
  public int registers() {
    context.makeCurrent();
    return execution.functionAttribute(function, FunctionAttribute.NUM_REGS);
  }

  /** Bytes a thread takes of local memory: spilled registers and arrays. */
  public int localBytes() {
    context.makeCurrent();
    return execution.functionAttribute(function, FunctionAttribute.LOCAL_SIZE_BYTES);
  }

  /** How many blocks one multiprocessor holds at a time. */
  public int blocksPerMultiprocessor(int blockThreads, int sharedBytes) {
    allowShared(sharedBytes);
    context.makeCurrent();
    return execution.blocksPerMultiprocessor(function, blockThreads, sharedBytes);
  }

  /**
   * How all later launches are made.
   *
   * @param programmatic whether the kernel may start before the one that precedes it has ended; it
   *     must wait itself, by griddepcontrol.wait, before it reads what that one writes
   * @param clusterX blocks of a cluster in x, y and z; 1, 1, 1 for none
   * @return this
   */
  public Kernel configure(boolean programmatic, int clusterX, int clusterY, int clusterZ) {
    block.clearAttributes();
    if (clusterX * clusterY * clusterZ > 1) {
      if (clusterX * clusterY * clusterZ > PORTABLE_CLUSTER_BLOCKS) {
        context.makeCurrent();
        execution.setFunctionAttribute(
            function, FunctionAttribute.NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
      }
      block.addCluster(clusterX, clusterY, clusterZ);
    }
    if (programmatic) {
      block.addProgrammaticSerialization();
    }
    return this;
  }

  /** Starts the arguments of a launch anew. */
  public Kernel arguments() {
    count = 0;
    return this;
  }

  /** The address of a tensor's first element. */
  public Kernel pointer(Tensor tensor) {
    return pointer(tensor.memory().address());
  }

  /** A device pointer; 0 for a null pointer. */
  public Kernel pointer(long address) {
    return longInteger(address);
  }

  /** A {@code long long} or {@code size_t}. */
  public Kernel longInteger(long value) {
    block.setLong(next(Long.BYTES), value);
    return this;
  }

  /** An {@code int}. */
  public Kernel integer(int value) {
    block.setInt(next(Integer.BYTES), value);
    return this;
  }

  /** An {@code int} from a long such as a stride. */
  public Kernel integer(long value) {
    return integer(Math.toIntExact(value));
  }

  /** A {@code float}. */
  public Kernel real(float value) {
    block.setFloat(next(Float.BYTES), value);
    return this;
  }

  /** Launches with blocks of one dimension. */
  public void launch(
      CudaStream stream, int gridX, int gridY, int gridZ, int blockThreads, int sharedBytes) {
    launch(stream, gridX, gridY, gridZ, blockThreads, 1, sharedBytes);
  }

  /**
   * Launches with the arguments given since {@link #arguments}.
   *
   * @param gridX blocks in x; a grid without blocks is not launched
   * @param blockX threads of a block in x
   * @param sharedBytes dynamic shared memory of a block
   * @throws IllegalStateException where the arguments are too few
   * @throws org.tessera.error.DeviceException where the driver refuses; it names the kernel
   */
  public void launch(
      CudaStream stream, int gridX, int gridY, int gridZ, int blockX, int blockY, int sharedBytes) {
    if (parameterBytes != null && count != parameterBytes.length) {
      throw new IllegalStateException(
          "%s has %d parameters, %d arguments were given"
              .formatted(name, parameterBytes.length, count));
    }
    if (gridX == 0 || gridY == 0 || gridZ == 0) {
      return;
    }
    context.makeCurrent();
    allowShared(sharedBytes);
    block.setGrid(gridX, gridY, gridZ);
    block.setBlock(blockX, blockY, 1);
    block.setSharedBytes(sharedBytes);
    block.setStream(stream.handle());
    execution.launch(block, function, name);
  }

  private int next(int bytes) {
    if (parameterBytes != null) {
      if (count >= parameterBytes.length) {
        throw new IllegalStateException(
            "%s has %d parameters only".formatted(name, parameterBytes.length));
      }
      if (parameterBytes[count] != bytes) {
        throw new IllegalStateException(
            "parameter %d of %s has %d bytes, the argument %d"
                .formatted(count, name, parameterBytes[count], bytes));
      }
    } else if (count >= MAX_PARAMETERS) {
      throw new IllegalStateException("%s: more than %d arguments".formatted(name, MAX_PARAMETERS));
    }
    return count++;
  }

  /** More than the default of dynamic shared memory must be asked for, once. */
  private void allowShared(int bytes) {
    if (bytes > allowedSharedBytes) {
      context.makeCurrent();
      execution.setFunctionAttribute(
          function, FunctionAttribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes);
      allowedSharedBytes = bytes;
    }
  }
}
