package org.tessera.cuda.ffm;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import org.tessera.error.DeviceException;

/**
 * A library that was loaded. It stays loaded for the life of the process: the driver must not be
 * unloaded while its threads run.
 *
 * @param soname as it was asked for: {@code libnvrtc.so.13}
 * @param path where it lies, or the soname where the system does not tell
 */
public record NativeLibrary(String soname, String path, SymbolLookup symbols) {
  /**
   * A handle on a function.
   *
   * @throws DeviceException where the library has no such function, being too old or too new
   */
  MethodHandle bind(String name, FunctionDescriptor descriptor) {
    return find(name, descriptor)
        .orElseThrow(() ->
            new DeviceException(
                "%s has no function %s: CUDA 12 or 13 is needed".formatted(path, name)));
  }

  /** A handle on a function that only newer versions have. */
  Optional<MethodHandle> find(String name, FunctionDescriptor descriptor) {
    Optional<MemorySegment> symbol = symbols.find(name);
    return symbol.map(address -> Linker.nativeLinker().downcallHandle(address, descriptor));
  }
}
