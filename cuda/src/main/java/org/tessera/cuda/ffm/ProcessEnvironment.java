package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The environment that native libraries of this process read; Java has only a copy of it. */
final class ProcessEnvironment {
  private ProcessEnvironment() {}

  /** Gives a variable a value where it has none: what the user set stays. */
  static void setIfUnset(String name, String value) {
    MethodHandle setenv =
        Linker.nativeLinker()
            .downcallHandle(
                Linker.nativeLinker().defaultLookup().findOrThrow("setenv"),
                FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment nameText = arena.allocateFrom(name);
      MemorySegment valueText = arena.allocateFrom(value);
      int status = (int) setenv.invokeExact(nameText, valueText, /* overwrite */ 0);
      if (status != 0) {
        throw new IllegalStateException("setenv refuses " + name);
      }
    } catch (Throwable e) {
      throw Downcall.impossible(e);
    }
  }
}
