package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * NCCL, for devices that do not see each other's memory. A communicator is one device's part of a
 * group. Every method throws {@link CudaException} where NCCL reports an error.
 */
public final class Nccl {
  private static final List<String> SONAMES = List.of("libnccl.so.2");
  private static final int SUCCESS = 0;
  private static final int SUM = 0;

  private final NativeLibrary library;
  private final NcclApi api;

  private Nccl(NativeLibrary library) {
    this.library = library;
    api = new NcclHandles(library);
  }

  /**
   * NCCL, where it is installed.
   *
   * @throws org.tessera.error.DeviceException where it is too old to be used
   */
  public static Optional<Nccl> find(LibrarySearch search) {
    // NCCL reads its settings from the process's environment when it first runs. NVLS sums in the
    // NVLink switches by multicast groups, which need the fabric manager's help: in containers and
    // on parts of a server they fail or hang when a group is made, and can leave the cards
    // unusable. Nothing here relies on them.
    ProcessEnvironment.setIfUnset("NCCL_NVLS_ENABLE", "0");
    return search.load(SONAMES).map(Nccl::new);
  }

  /** What was looked for and where, for messages. */
  public static String describe(LibrarySearch search) {
    return search.describe(SONAMES);
  }

  /** Where it was loaded from. */
  public NativeLibrary library() {
    return library;
  }

  /** {@code 2.27.7}. */
  public String version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(JAVA_INT);
      check(api.ncclGetVersion(version), "ncclGetVersion");
      int code = version.get(JAVA_INT, 0);
      return code / 10_000 + "." + code / 100 % 100 + "." + code % 100;
    }
  }

  /** Element types, under the names and codes of ncclDataType_t. */
  public enum Type {
    INT32(2),
    FLOAT16(6),
    FLOAT32(7),
    BFLOAT16(9);

    private final int code;

    Type(int code) {
      this.code = code;
    }
  }

  /**
   * A communicator for each device, in rank order.
   *
   * @param ordinals as the driver counts the devices that this process sees, each once
   */
  public long[] createCommunicators(int[] ordinals) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment created = arena.allocate(JAVA_LONG, ordinals.length);
      check(
          api.ncclCommInitAll(created, ordinals.length, arena.allocateFrom(JAVA_INT, ordinals)),
          "ncclCommInitAll");
      return created.toArray(JAVA_LONG);
    }
  }

  /** Frees a communicator when what was issued to it is done. */
  public void destroy(long communicator) {
    check(api.ncclCommDestroy(communicator), "ncclCommDestroy");
  }

  /** Ends what a communicator is doing and frees it; from any thread. */
  public void abort(long communicator) {
    check(api.ncclCommAbort(communicator), "ncclCommAbort");
  }

  /** Throws what went wrong in a communicator since it was created. */
  public void checkAsync(long communicator) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment result = arena.allocate(JAVA_INT);
      check(api.ncclCommGetAsyncError(communicator, result), "ncclCommGetAsyncError");
      check(result.get(JAVA_INT, 0), "a collective of NCCL");
    }
  }

  /** Issues {@code work}'s calls on this thread as one. */
  public void grouped(Runnable work) {
    check(api.ncclGroupStart(), "ncclGroupStart");
    boolean done = false;
    try {
      work.run();
      done = true;
    } finally {
      int status = api.ncclGroupEnd();
      if (done) {
        check(status, "ncclGroupEnd");
      }
    }
  }

  /** Every rank's memory becomes the sum over the ranks. */
  public void allReduceSum(long memory, long count, Type type, long communicator, long stream) {
    check(
        api.ncclAllReduce(memory, memory, count, type.code, SUM, communicator, stream),
        "ncclAllReduce");
  }

  /** Every rank's {@code receive} becomes what all ranks send, in rank order. */
  public void allGather(
      long send, long receive, long sendCount, Type type, long communicator, long stream) {
    check(
        api.ncclAllGather(send, receive, sendCount, type.code, communicator, stream),
        "ncclAllGather");
  }

  private void check(int result, String call) {
    if (result != SUCCESS) {
      throw CudaException.ofStatus(
          call, "ncclResult " + result, CStrings.at(api.ncclGetErrorString(result)), false);
    }
  }
}
