package org.tessera.cuda.ffm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The native memory of kernel launches, laid out once and written again for every launch: a
 * CUlaunchConfig, its attributes, one slot of 8 bytes for each parameter and the array that points
 * to the slots. The driver copies all of it before cuLaunchKernelEx returns. Not for several
 * threads at a time.
 */
public final class LaunchBlock {
  private static final long CONFIG_BYTES = 56;
  private static final long GRID = 0;
  private static final long BLOCK = 12;
  private static final long SHARED_BYTES = 24;
  private static final long STREAM = 32;
  private static final long ATTRIBUTES = 40;
  private static final long ATTRIBUTE_COUNT = 48;

  private static final long ATTRIBUTE_BYTES = 72;
  private static final long ATTRIBUTE_VALUE = 8;
  private static final int CLUSTER_DIMENSION = 4;
  private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;
  private static final int MAX_ATTRIBUTES = 2;

  private final MemorySegment config;
  private final MemorySegment attributes;
  private final MemorySegment slots;
  private final MemorySegment parameters;
  private int attributeCount;

  /** Space for kernels of at most {@code maxParameters} parameters. */
  public LaunchBlock(int maxParameters, Arena arena) {
    config = arena.allocate(CONFIG_BYTES, Long.BYTES);
    attributes = arena.allocate(MAX_ATTRIBUTES * ATTRIBUTE_BYTES, Long.BYTES);
    slots = arena.allocate(JAVA_LONG, Math.max(1, maxParameters));
    parameters = arena.allocate(JAVA_LONG, Math.max(1, maxParameters));
    for (int i = 0; i < maxParameters; i++) {
      parameters.setAtIndex(JAVA_LONG, i, slots.address() + (long) i * Long.BYTES);
    }
    config.set(JAVA_LONG, ATTRIBUTES, attributes.address());
  }

  /** Parameter {@code index} is a pointer or another integer of 8 bytes. */
  public void setLong(int index, long value) {
    slots.setAtIndex(JAVA_LONG, index, value);
  }

  /** Parameter {@code index} is an int. */
  public void setInt(int index, int value) {
    slots.set(JAVA_INT, (long) index * Long.BYTES, value);
  }

  /** Parameter {@code index} is a float. */
  public void setFloat(int index, float value) {
    slots.set(JAVA_FLOAT, (long) index * Long.BYTES, value);
  }

  /** Blocks in x, y and z. */
  public void setGrid(int x, int y, int z) {
    setThree(config, GRID, x, y, z);
  }

  /** Threads of a block in x, y and z. */
  public void setBlock(int x, int y, int z) {
    setThree(config, BLOCK, x, y, z);
  }

  public void setSharedBytes(int bytes) {
    config.set(JAVA_INT, SHARED_BYTES, bytes);
  }

  public void setStream(long stream) {
    config.set(JAVA_LONG, STREAM, stream);
  }

  /** Takes back what the two methods below set. */
  public void clearAttributes() {
    attributeCount = 0;
    config.set(JAVA_INT, ATTRIBUTE_COUNT, 0);
  }

  /** Blocks of a thread block cluster in x, y and z. */
  public void addCluster(int x, int y, int z) {
    setThree(attributes, addAttribute(CLUSTER_DIMENSION), x, y, z);
  }

  /** Lets the kernel start before the one that precedes it in the stream has ended. */
  public void addProgrammaticSerialization() {
    attributes.set(JAVA_INT, addAttribute(PROGRAMMATIC_STREAM_SERIALIZATION), 1);
  }

  /** Offset of the new attribute's value. */
  private long addAttribute(int id) {
    if (attributeCount == MAX_ATTRIBUTES) {
      throw new IllegalStateException("more than %d launch attributes".formatted(MAX_ATTRIBUTES));
    }
    long offset = attributeCount++ * ATTRIBUTE_BYTES;
    attributes.set(JAVA_INT, offset, id);
    config.set(JAVA_INT, ATTRIBUTE_COUNT, attributeCount);
    return offset + ATTRIBUTE_VALUE;
  }

  private static void setThree(MemorySegment memory, long offset, int x, int y, int z) {
    memory.set(JAVA_INT, offset, x);
    memory.set(JAVA_INT, offset + 4, y);
    memory.set(JAVA_INT, offset + 8, z);
  }

  long configAddress() {
    return config.address();
  }

  long parametersAddress() {
    return parameters.address();
  }
}
