package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.tessera.error.DeviceException;

/** NVRTC, the compiler of CUDA C++ at run time. */
public final class Nvrtc {
  private static final int SUCCESS = 0;
  private static final int OUT_OF_MEMORY = 1;
  private static final int COMPILATION = 6;

  private final NativeLibrary library;
  private final NvrtcApi api;

  public Nvrtc(NativeLibrary library) {
    this.library = library;
    api = new NvrtcHandles(library);
  }

  /** Its libraries for a driver of a CUDA major version, which runs code of older majors only. */
  public static List<String> sonames(int driverMajor) {
    return Sonames.upTo("libnvrtc.so.", driverMajor);
  }

  /** Where it was loaded from. */
  public NativeLibrary library() {
    return library;
  }

  /** {@code 13.0}. */
  public String version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment major = arena.allocate(JAVA_INT);
      MemorySegment minor = arena.allocate(JAVA_INT);
      check(api.nvrtcVersion(major, minor), "nvrtcVersion");
      return major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
    }
  }

  /** Compute capabilities that it compiles for: 90 for sm_90. */
  public int[] supportedArchitectures() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      check(api.nvrtcGetNumSupportedArchs(count), "nvrtcGetNumSupportedArchs");
      MemorySegment architectures = arena.allocate(JAVA_INT, Math.max(1, count.get(JAVA_INT, 0)));
      check(api.nvrtcGetSupportedArchs(architectures), "nvrtcGetSupportedArchs");
      return Arrays.copyOf(architectures.toArray(JAVA_INT), count.get(JAVA_INT, 0));
    }
  }

  /**
   * Compiles to a cubin.
   *
   * @param name of the source, for messages
   * @param headers what {@code #include "..."} finds, by name
   * @throws DeviceException with the compiler's log where the source has errors
   */
  public byte[] compile(
      String name, String source, Map<String, String> headers, List<String> options) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment handle = arena.allocate(ADDRESS);
      List<String> names = new ArrayList<>(headers.keySet());
      check(
          api.nvrtcCreateProgram(
              handle,
              arena.allocateFrom(source),
              arena.allocateFrom(name),
              names.size(),
              CStrings.array(names.stream().map(headers::get).toList(), arena),
              CStrings.array(names, arena)),
          "nvrtcCreateProgram");
      try {
        long program = handle.get(JAVA_LONG, 0);
        int result =
            api.nvrtcCompileProgram(program, options.size(), CStrings.array(options, arena));
        if (result == COMPILATION) {
          throw new DeviceException(
              "%s does not compile with %s:%n%s"
                  .formatted(name, String.join(" ", options), log(program, arena)));
        }
        if (result != SUCCESS) {
          throw failure(result, "nvrtcCompileProgram of " + name, log(program, arena));
        }
        return cubin(program, arena);
      } finally {
        api.nvrtcDestroyProgram(handle);
      }
    }
  }

  private byte[] cubin(long program, Arena arena) {
    MemorySegment size = arena.allocate(JAVA_LONG);
    check(api.nvrtcGetCUBINSize(program, size), "nvrtcGetCUBINSize");
    MemorySegment cubin = arena.allocate(size.get(JAVA_LONG, 0));
    check(api.nvrtcGetCUBIN(program, cubin), "nvrtcGetCUBIN");
    return cubin.toArray(JAVA_BYTE);
  }

  /** Empty where the compiler cannot even give its log: the status says what is wrong then. */
  private String log(long program, Arena arena) {
    MemorySegment size = arena.allocate(JAVA_LONG);
    if (api.nvrtcGetProgramLogSize(program, size) != SUCCESS || size.get(JAVA_LONG, 0) == 0) {
      return "";
    }
    MemorySegment log = arena.allocate(size.get(JAVA_LONG, 0) + 1);
    return api.nvrtcGetProgramLog(program, log) == SUCCESS ? log.getString(0).strip() : "";
  }

  private void check(int result, String call) {
    if (result != SUCCESS) {
      throw failure(result, call, "");
    }
  }

  private CudaException failure(int result, String call, String log) {
    String name = CStrings.at(api.nvrtcGetErrorString(result));
    String description = "NVRTC of " + library.path() + (log.isEmpty() ? "" : " says: " + log);
    return CudaException.ofStatus(call, name, description, result == OUT_OF_MEMORY);
  }
}
