package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.tessera.cuda.Operands.require;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.error.GenerationException;
import org.tessera.ops.Ops;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * Kernels that write to the other ranks' memory: {@code allreduce.cu}, whose header {@code
 * peers.cuh} lays out the mailboxes that are allocated here.
 */
final class PeerTransport implements Transport {
  /** As in peers.cuh. */
  static final int MAX_RANKS = 8;

  private static final int MAX_BLOCKS = 128;
  private static final long ADDRESSES_OFFSET = 256;
  private static final long DONE_OFFSET = ADDRESSES_OFFSET + MAX_RANKS * MAX_BLOCKS * 32L;
  private static final long SLOTS_OFFSET = DONE_OFFSET + MAX_RANKS * MAX_BLOCKS * 4L;
  private static final int SLOT_BYTES = 16;

  /** Bytes of data in a slot; the rest is the epoch. */
  private static final int SLOT_DATA_BYTES = 8;

  /**
   * What a rank sends to all others in one shot at most, twice the message to each of them. Two
   * shots send less, twice a rank's share, and wait once more: about 3 µs, in which NVLink carries
   * a megabyte.
   */
  static final long ONE_SHOT_SENT_BYTES = 1L << 20;

  /** Elements in one go: an index of a kernel is an int. */
  private static final long MAX_ELEMENTS = 1L << 30;

  private static final String FILE = "allreduce.cu";
  private static final int ONE_SHOT_THREADS = 128;
  private static final int BLOCK_THREADS = 512;

  /** Elements of the 16 bytes that a thread of the two-shot kernel takes at a time. */
  private static final int VECTOR = 8;

  private static final long STATUS_BYTES = 64;
  private static final int RUNNING = 0;
  private static final int ABORTED = 1;

  private final List<Member> members = new ArrayList<>();
  private final PinnedBuffer flags;
  private final int kernelRanks;
  private final int slots;

  private record Member(
      CudaDevice device, DeviceRegion region, MemorySegment mailbox, CudaKernels kernels) {}

  /** How a sum is formed. */
  enum Path {
    ONE_SHOT,
    TWO_SHOT
  }

  /**
   * @param devices in rank order; each {@linkplain CudaContext#reaches reaches} all others
   */
  PeerTransport(List<CudaDevice> devices) {
    require(
        devices.size() >= 2 && devices.size() <= MAX_RANKS, "a group of %d ranks", devices.size());
    kernelRanks = devices.size() <= 2 ? 2 : devices.size() <= 4 ? 4 : MAX_RANKS;
    slots = (int) (oneShotBytes(devices.size()) / SLOT_DATA_BYTES);
    flags = devices.getFirst().context().allocatePinned((devices.size() + 1) * STATUS_BYTES);
    boolean done = false;
    try {
      for (CudaDevice device : devices) {
        DeviceRegion region = new DeviceRegion(device.context());
        long bytes = SLOTS_OFFSET + 2L * devices.size() * slots * SLOT_BYTES;
        CudaKernels kernels = new CudaKernels(device);
        members.add(new Member(device, region, region.allocate(bytes), kernels));
        kernelNames().forEach(name -> kernels.get(FILE, name));
      }
      reset();
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  private List<String> kernelNames() {
    return List.of(
        "all_reduce_one_shot_" + kernelRanks,
        "all_reduce_two_shot_" + kernelRanks,
        "all_gather_columns_32",
        "all_gather_columns_16");
  }

  /** The largest message that goes in one shot. */
  static long oneShotBytes(int ranks) {
    return ONE_SHOT_SENT_BYTES / (2L * (ranks - 1)) / SLOT_DATA_BYTES * SLOT_DATA_BYTES;
  }

  /** How a message of so many bytes is summed. */
  static Path path(long bytes, int ranks) {
    return bytes <= oneShotBytes(ranks) ? Path.ONE_SHOT : Path.TWO_SHOT;
  }

  @Override
  public String description() {
    return "kernels over peer memory";
  }

  @Override
  public void allReduce(int rank, Tensor partial, @Nullable Tensor inOut, @Nullable Ops ops) {
    allReduce(rank, path(partial.byteSize(), members.size()), partial, inOut);
  }

  /**
   * By a path that need not be the best.
   *
   * @param path one shot only up to {@link #oneShotBytes}
   */
  void allReduce(int rank, Path path, Tensor partial, @Nullable Tensor inOut) {
    long elements = (long) partial.rows() * partial.columns();
    require(elements <= MAX_ELEMENTS, "%d elements to sum", elements);
    Tensor target = inOut == null ? partial : inOut;
    String name =
        (path == Path.ONE_SHOT ? "all_reduce_one_shot_" : "all_reduce_two_shot_") + kernelRanks;
    Kernel kernel =
        begin(rank, name)
            .pointer(partial)
            .pointer(target)
            .integer(inOut == null ? 0 : 1)
            .integer(elements);
    CudaStream stream = members.get(rank).device.stream();
    switch (path) {
      case ONE_SHOT -> {
        require(partial.byteSize() <= oneShotBytes(members.size()), "too large for one shot");
        long quads = Math.ceilDiv(partial.byteSize(), SLOT_DATA_BYTES);
        int blocks = (int) Math.ceilDiv(quads, ONE_SHOT_THREADS);
        kernel.integer(slots).launch(stream, blocks, 1, 1, ONE_SHOT_THREADS, 0);
      }
      case TWO_SHOT -> {
        long groups = Math.ceilDiv(elements, (long) VECTOR * members.size());
        kernel.launch(stream, blocks(groups), 1, 1, BLOCK_THREADS, 0);
      }
    }
  }

  @Override
  public void allGatherColumns(int rank, Tensor local, Tensor out) {
    boolean wide = local.dtype() == DType.F32 || local.dtype() == DType.I32;
    begin(rank, wide ? "all_gather_columns_32" : "all_gather_columns_16")
        .pointer(local)
        .integer(local.rowStride())
        .pointer(out)
        .integer(out.rowStride())
        .integer(local.rows())
        .integer(local.columns())
        .launch(
            members.get(rank).device.stream(),
            blocks((long) local.rows() * local.columns()),
            1,
            1,
            BLOCK_THREADS,
            0);
  }

  /** The grid depends on the shape alone: block n of a rank meets block n of the others. */
  private static int blocks(long threads) {
    return (int) Math.clamp(Math.ceilDiv(threads, BLOCK_THREADS), 1, MAX_BLOCKS);
  }

  /** PEER_PARAMETERS of peers.cuh. */
  private Kernel begin(int rank, String name) {
    Member member = members.get(rank);
    Kernel kernel = member.kernels.get(FILE, name).arguments();
    for (int peer = 0; peer < MAX_RANKS; peer++) {
      kernel.pointer(peer < members.size() ? members.get(peer).mailbox.address() : 0);
    }
    return kernel
        .pointer(member.mailbox.address())
        .pointer(flags.memory().address())
        .pointer(flags.memory().address() + (rank + 1) * STATUS_BYTES)
        .integer(rank)
        .integer(members.size());
  }

  @Override
  public void check(int rank) {
    if (flags.memory().get(JAVA_INT, (rank + 1) * STATUS_BYTES) != RUNNING) {
      throw new GenerationException("a collective was given up, as another rank failed");
    }
  }

  /** {@inheritDoc} Every warp that waits looks at the flag about every 12 milliseconds. */
  @Override
  public void abort() {
    JAVA_INT.varHandle().setVolatile(flags.memory(), 0L, ABORTED);
  }

  @Override
  public void reset() {
    for (Member member : members) {
      member.device.stream().fill(member.mailbox, (byte) 0);
    }
    for (Member member : members) {
      member.device.stream().synchronize();
    }
    flags.memory().fill((byte) RUNNING);
  }

  @Override
  public void close() {
    for (Member member : members) {
      member.kernels.close();
      member.region.close();
    }
    flags.close();
  }
}
