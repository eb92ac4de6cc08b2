package org.tessera.engine;

import org.tessera.device.Device;

/**
 * Limits of an engine.
 *
 * @param kvBlocks blocks of the key/value cache
 * @param kvBlockRows positions a block
 * @param maxRunning generations that share a step at most
 * @param prefillRows prompt positions computed in one step at most, so that running answers go on
 * @param visionSlices slices encoded in one step at most
 * @param maxWaiting generations that wait for their turn at most; further ones are refused
 */
public record EngineOptions(
    int kvBlocks,
    int kvBlockRows,
    int maxRunning,
    int prefillRows,
    int visionSlices,
    int maxWaiting) {
  private static final int KV_BLOCK_ROWS = 16;

  public EngineOptions {
    if (kvBlocks < 1 || kvBlockRows < 1 || maxRunning < 1 || prefillRows < 1 || visionSlices < 1) {
      throw new IllegalArgumentException("every limit of an engine must be at least 1");
    }
    if (maxWaiting < 0) {
      throw new IllegalArgumentException("an engine's queue must hold 0 or more");
    }
  }

  /** Without a limit to the queue. */
  public EngineOptions(
      int kvBlocks, int kvBlockRows, int maxRunning, int prefillRows, int visionSlices) {
    this(kvBlocks, kvBlockRows, maxRunning, prefillRows, visionSlices, Integer.MAX_VALUE);
  }

  /** With room for {@code tokens} positions in all sequences together. */
  public static EngineOptions forTokens(int tokens) {
    return new EngineOptions(Math.ceilDiv(tokens, KV_BLOCK_ROWS), KV_BLOCK_ROWS, 64, 512, 4);
  }

  /** With room for {@code tokens} positions, and steps of the size that suits a device. */
  public static EngineOptions forTokens(int tokens, Device device) {
    return forTokens(tokens, device.prefillRows(), device.visionSlices());
  }

  /** With room for {@code tokens} positions, and steps of a given size. */
  public static EngineOptions forTokens(int tokens, int prefillRows, int visionSlices) {
    return new EngineOptions(
        Math.ceilDiv(tokens, KV_BLOCK_ROWS), KV_BLOCK_ROWS, 64, prefillRows, visionSlices);
  }

  public EngineOptions withMaxWaiting(int value) {
    return new EngineOptions(kvBlocks, kvBlockRows, maxRunning, prefillRows, visionSlices, value);
  }

  /** Positions that fit in the cache. */
  public int kvTokens() {
    return Math.multiplyExact(kvBlocks, kvBlockRows);
  }
}
