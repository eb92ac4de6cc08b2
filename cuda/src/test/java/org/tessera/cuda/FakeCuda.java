package org.tessera.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.tessera.cuda.ffm.LibrarySearch;

/** Libraries made of C files among the test resources, which say what was asked of them. */
final class FakeCuda {
  private final SymbolLookup driver;
  private final SymbolLookup nvrtc;
  private final SymbolLookup blas;
  final LibrarySearch search;

  FakeCuda(Path folder) throws Exception {
    driver = compile("libcuda", folder.resolve("libcuda.so.1"));
    nvrtc = compile("libnvrtc", folder.resolve("libnvrtc.so.13"));
    blas = compile("libcublasLt", folder.resolve("libcublasLt.so.13"));
    search = new LibrarySearch(List.of(folder));
    for (SymbolLookup library : List.of(driver, nvrtc, blas)) {
      call(library, "fake_reset", null);
    }
  }

  /** Compiles a C file; where there is no gcc the test is skipped. */
  static SymbolLookup compile(String name, Path library) throws IOException, InterruptedException {
    Path source = library.resolveSibling(name + ".c");
    try (InputStream in = FakeCuda.class.getResourceAsStream("fake/" + name + ".c")) {
      Files.write(source, in.readAllBytes());
    }
    ProcessBuilder gcc =
        new ProcessBuilder("gcc", "-shared", "-fPIC", "-o", library.toString(), source.toString());
    gcc.redirectErrorStream(true).redirectOutput(library.resolveSibling("gcc.log").toFile());
    Process process;
    try {
      process = gcc.start();
    } catch (IOException _) {
      assumeTrue(false, "gcc is not installed, so that no stand-in for CUDA can be made");
      throw new IllegalStateException("not reached");
    }
    if (process.waitFor() != 0) {
      throw new IllegalStateException(Files.readString(library.resolveSibling("gcc.log")));
    }
    return SymbolLookup.libraryLookup(library, Arena.global());
  }

  static Object call(SymbolLookup library, String name, MemoryLayout result, Object... arguments) {
    MemoryLayout[] layouts = new MemoryLayout[arguments.length];
    for (int i = 0; i < arguments.length; i++) {
      layouts[i] = arguments[i] instanceof Integer ? JAVA_INT : ADDRESS;
    }
    FunctionDescriptor descriptor =
        result == null
            ? FunctionDescriptor.ofVoid(layouts)
            : FunctionDescriptor.of(result, layouts);
    try {
      return Linker.nativeLinker()
          .downcallHandle(library.findOrThrow(name), descriptor)
          .invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  static List<String> lines(SymbolLookup library) {
    MemorySegment text = (MemorySegment) call(library, "fake_log", ADDRESS);
    return text.reinterpret(1 << 20).getString(0).lines().toList();
  }

  List<String> calls() {
    return lines(driver);
  }

  List<String> blasCalls() {
    return lines(blas);
  }

  void clear() {
    call(driver, "fake_clear_log", null);
  }

  void fail(String name, int status) {
    try (Arena arena = Arena.ofConfined()) {
      call(driver, "fake_fail", null, arena.allocateFrom(name), status);
    }
  }

  void driverVersion(int version) {
    call(driver, "fake_version", null, version);
  }

  /**
   * Visible devices: so many cards, or those of these numbers in this order; all see each other.
   */
  void devices(int count, int... visible) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment numbers =
          visible.length == 0 ? MemorySegment.NULL : arena.allocateFrom(JAVA_INT, visible);
      call(driver, "fake_devices", null, count, numbers);
    }
  }

  /** Whether a card sees another's memory. */
  void peers(int card, int peer, boolean see) {
    call(driver, "fake_peers", null, card, peer, see ? 1 : 0);
  }

  /** The bytes of a kernel's parameters. */
  void kernel(String name, int... bytes) {
    try (Arena arena = Arena.ofConfined()) {
      call(
          driver,
          "fake_kernel",
          null,
          arena.allocateFrom(name),
          bytes.length,
          arena.allocateFrom(JAVA_INT, bytes));
    }
  }

  /** Has kernels run, by a function of a name, grid and block in x, and pointers to arguments. */
  void runner(MemorySegment function) {
    call(driver, "fake_runner", null, function);
  }

  /** A library that stands for NCCL, where libraries are looked for. */
  SymbolLookup installNccl() throws IOException, InterruptedException {
    SymbolLookup nccl = compile("libnccl", search.folders().getFirst().resolve("libnccl.so.2"));
    call(nccl, "fake_reset", null);
    return nccl;
  }

  void parameters(int... bytes) {
    try (Arena arena = Arena.ofConfined()) {
      call(driver, "fake_parameters", null, bytes.length, arena.allocateFrom(JAVA_INT, bytes));
    }
  }

  /** What the driver says passed between two events, in turn. */
  void elapsed(float... milliseconds) {
    try (Arena arena = Arena.ofConfined()) {
      call(
          driver,
          "fake_elapsed",
          null,
          milliseconds.length,
          arena.allocateFrom(JAVA_FLOAT, milliseconds));
    }
  }

  /** What was allocated of any kind and not freed. */
  long live() {
    long live = 0;
    for (int kind = 0; kind < 8; kind++) {
      live += Math.abs((long) call(driver, "fake_live", JAVA_LONG, kind));
    }
    return live
        + (int) call(nvrtc, "fake_live", JAVA_INT)
        + (int) call(blas, "fake_live", JAVA_INT);
  }

  int compilations() {
    return (int) call(nvrtc, "fake_compilations", JAVA_INT);
  }
}
