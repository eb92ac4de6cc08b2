package org.tessera.kv;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.tessera.kv.BlockPool.Block;
import org.tessera.kv.KvCache.RowCopies;

/**
 * The blocks that one sequence holds, in order. Full blocks may be shared with other sequences and
 * are never written again; the last, partly filled one belongs to this lease alone.
 */
public final class KvLease implements AutoCloseable {
  private final BlockPool pool;
  private final List<Block> blocks = new ArrayList<>();
  private int publishedBlocks;

  KvLease(BlockPool pool) {
    this.pool = pool;
  }

  /**
   * Leases the longest known prefix of a sequence for which nothing is leased yet, in whole blocks
   * and short of its last position, whose logits must be computed.
   *
   * @return positions that need not be computed
   */
  public int leasePrefix(SequenceTokens tokens) {
    if (!blocks.isEmpty()) {
      throw new IllegalStateException("a prefix must be leased first");
    }
    int matched = 0;
    while (matched + pool.blockRows() < tokens.length()) {
      Block block = pool.find(tokens, last(), matched);
      if (block == null) {
        break;
      }
      blocks.add(block);
      matched += pool.blockRows();
    }
    publishedBlocks = blocks.size();
    return matched;
  }

  /**
   * Leases blocks so that {@code positions} fit in all.
   *
   * @return whether there were enough; if not, nothing was leased
   */
  public boolean reserve(int positions) {
    int missing = Math.ceilDiv(positions, pool.blockRows()) - blocks.size();
    if (missing > pool.availableBlocks()) {
      return false;
    }
    for (int i = 0; i < missing; i++) {
      Block block = pool.take();
      if (block == null) {
        throw new IllegalStateException("fewer blocks than counted");
      }
      blocks.add(block);
    }
    return true;
  }

  /** Row of the cache in which a position's key and value stand. */
  public int slot(int position) {
    Block block = blocks.get(position / pool.blockRows());
    return block.number * pool.blockRows() + position % pool.blockRows();
  }

  /** Block numbers, in order. */
  public int[] blockTable() {
    return blocks.stream().mapToInt(block -> block.number).toArray();
  }

  /** Lets other sequences find the full blocks among the first {@code computed} positions. */
  public void publish(SequenceTokens tokens, int computed) {
    int full = computed / pool.blockRows();
    for (; publishedBlocks < full; publishedBlocks++) {
      Block parent = publishedBlocks == 0 ? null : blocks.get(publishedBlocks - 1);
      Block block = blocks.get(publishedBlocks);
      int start = publishedBlocks * pool.blockRows();
      blocks.set(publishedBlocks, pool.publish(block, tokens, parent, start));
    }
  }

  /**
   * A second lease on the first {@code computed} positions.
   *
   * @return the lease and the rows to copy before it is used, or null where no block is left
   */
  public @Nullable Fork fork(int computed) {
    int full = computed / pool.blockRows();
    int rest = computed % pool.blockRows();
    KvLease copy = new KvLease(pool);
    for (Block block : blocks.subList(0, full)) {
      pool.share(block);
      copy.blocks.add(block);
    }
    copy.publishedBlocks = Math.min(publishedBlocks, full);
    if (!copy.reserve(computed)) {
      copy.close();
      return null;
    }
    int[] from = new int[rest];
    int[] to = new int[rest];
    for (int i = 0; i < rest; i++) {
      from[i] = slot(computed - rest + i);
      to[i] = copy.slot(computed - rest + i);
    }
    return new Fork(copy, new RowCopies(from, to));
  }

  /** Gives all blocks back; content that was published can still be found. */
  @Override
  public void close() {
    // The end of a sequence is the least likely to be asked for again: it goes first.
    for (Block block : blocks.reversed()) {
      pool.giveBack(block);
    }
    blocks.clear();
    publishedBlocks = 0;
  }

  private @Nullable Block last() {
    return blocks.isEmpty() ? null : blocks.getLast();
  }

  /** A forked lease. */
  public record Fork(KvLease lease, RowCopies copies) {}
}
