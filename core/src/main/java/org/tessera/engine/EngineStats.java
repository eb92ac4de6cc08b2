package org.tessera.engine;

/**
 * What an engine, or several together, are busy with, and what it has done since it was made.
 *
 * @param running generations that take part in steps
 * @param waiting generations that wait for their turn
 * @param kvBlocks blocks of the key/value cache
 * @param usedKvBlocks blocks that running generations hold
 * @param queriedTokens prompt positions that were looked for in the cache
 * @param cachedTokens prompt positions that were found there
 * @param preemptions times that a generation had to give its blocks back
 */
public record EngineStats(
    int running,
    int waiting,
    int kvBlocks,
    int usedKvBlocks,
    long queriedTokens,
    long cachedTokens,
    long preemptions) {
  /** Of this and another engine together. */
  EngineStats plus(EngineStats other) {
    return new EngineStats(
        running + other.running,
        waiting + other.waiting,
        kvBlocks + other.kvBlocks,
        usedKvBlocks + other.usedKvBlocks,
        queriedTokens + other.queriedTokens,
        cachedTokens + other.cachedTokens,
        preemptions + other.preemptions);
  }

  EngineStats withMoreWaiting(int count) {
    return new EngineStats(
        running, waiting + count, kvBlocks, usedKvBlocks, queriedTokens, cachedTokens, preemptions);
  }
}
