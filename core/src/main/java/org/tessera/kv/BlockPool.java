package org.tessera.kv;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tessera.kv.SequenceTokens.PrefixKey;

/**
 * Keeps account of the blocks of a {@link KvCache}: which are leased, how often, and which full
 * ones hold a known prefix and may be leased again. Blocks that nobody leases keep their content
 * until the space is needed; the least recently returned goes first. Not for several threads.
 */
public final class BlockPool {
  /** The history of a block that starts a sequence. */
  private static final long ROOT_SERIAL = 0;

  private final int blockRows;
  private final Block[] blocks;
  private final Deque<Block> empty = new ArrayDeque<>();
  private final Map<Integer, Block> evictable = new LinkedHashMap<>();
  private final Map<PrefixKey, Block> prefixes = new HashMap<>();
  private long nextSerial = ROOT_SERIAL + 1;

  public BlockPool(int blockCount, int blockRows) {
    this.blockRows = blockRows;
    this.blocks = new Block[blockCount];
    for (int i = 0; i < blockCount; i++) {
      blocks[i] = new Block(i);
      empty.add(blocks[i]);
    }
  }

  /** Positions a block. */
  public int blockRows() {
    return blockRows;
  }

  /** Blocks in all. */
  public int blockCount() {
    return blocks.length;
  }

  /** Blocks that can be leased now. */
  public int availableBlocks() {
    return empty.size() + evictable.size();
  }

  /** A lease on nothing yet. */
  public KvLease lease() {
    return new KvLease(this);
  }

  /** Takes a block for new content, or null where all are leased. */
  @Nullable Block take() {
    Block block = empty.poll();
    if (block == null) {
      var oldest = evictable.entrySet().iterator();
      if (!oldest.hasNext()) {
        return null;
      }
      block = oldest.next().getValue();
      oldest.remove();
      forget(block);
    }
    block.leases = 1;
    return block;
  }

  /** Leases a block once more. */
  void share(Block block) {
    if (block.leases++ == 0) {
      evictable.remove(block.number);
    }
  }

  void giveBack(Block block) {
    if (block.leases <= 0) {
      throw new IllegalStateException("block " + block.number + " is not leased");
    }
    if (--block.leases == 0) {
      if (block.key == null) {
        empty.add(block);
      } else {
        evictable.put(block.number, block);
      }
    }
  }

  /** The block that holds this content after this history, leased once more; null if none does. */
  @Nullable Block find(SequenceTokens tokens, @Nullable Block parent, int from) {
    Block block = prefixes.get(tokens.key(serial(parent), from, from + blockRows));
    if (block != null) {
      share(block);
    }
    return block;
  }

  /**
   * Makes a full block findable. Where another block holds the same content after the same history
   * already, that one is leased in its place.
   *
   * @return the block to go on with
   */
  Block publish(Block block, SequenceTokens tokens, @Nullable Block parent, int from) {
    if (block.key != null) {
      return block;
    }
    PrefixKey key = tokens.key(serial(parent), from, from + blockRows);
    Block known = prefixes.putIfAbsent(key, block);
    if (known == null) {
      block.key = key;
      block.serial = nextSerial++;
      return block;
    }
    share(known);
    giveBack(block);
    return known;
  }

  private void forget(Block block) {
    prefixes.remove(block.key);
    block.key = null;
  }

  private static long serial(@Nullable Block parent) {
    return parent == null ? ROOT_SERIAL : parent.serial;
  }

  /** One block of the cache. A serial is never used twice, so a stale history finds nothing. */
  static final class Block {
    final int number;
    private int leases;
    private long serial;
    private @Nullable PrefixKey key;

    private Block(int number) {
      this.number = number;
    }
  }
}
