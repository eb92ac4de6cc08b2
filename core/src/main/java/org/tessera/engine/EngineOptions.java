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
 */
public record EngineOptions(
    int kvBlocks, int kvBlockRows, int maxRunning, int prefillRows, int visionSlices) {
  private static final int KV_BLOCK_ROWS = 16;

  public EngineOptions {
    if (kvBlocks < 1 || kvBlockRows < 1 || maxRunning < 1 || prefillRows < 1 || visionSlices < 1) {
      throw new IllegalArgumentException("every limit of an engine must be at least 1");
    }
  }

  /** With room for {@code tokens} positions in all sequences together. */
  public static EngineOptions forTokens(int tokens) {
    return new EngineOptions(Math.ceilDiv(tokens, KV_BLOCK_ROWS), KV_BLOCK_ROWS, 64, 512, 4);
  }

  /** With room for {@code tokens} positions, and steps of the size that suits a device. */
  public static EngineOptions forTokens(int tokens, Device device) {
    return new EngineOptions(
        Math.ceilDiv(tokens, KV_BLOCK_ROWS),
        KV_BLOCK_ROWS,
        64,
        device.prefillRows(),
        device.visionSlices());
  }

  /** Positions that fit in the cache. */
  public int kvTokens() {
    return Math.multiplyExact(kvBlocks, kvBlockRows);
  }
}
