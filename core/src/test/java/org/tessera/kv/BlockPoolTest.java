package org.tessera.kv;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.tessera.kv.SequenceTokens.ImageRange;

class BlockPoolTest {
  private static final int BLOCK_ROWS = 4;

  @Test
  void leasesThePrefixOfAnEarlierSequenceInWholeBlocks() {
    BlockPool pool = new BlockPool(8, BLOCK_ROWS);
    SequenceTokens first = tokens(10, 1);
    try (KvLease lease = pool.lease()) {
      assertThat(lease.reserve(10)).isTrue();
      lease.publish(first, 10);
    }
    SequenceTokens longer = tokens(10, 1);
    longer.append(99);

    try (KvLease lease = pool.lease()) {
      assertThat(lease.leasePrefix(longer)).isEqualTo(8);
    }
  }

  @Test
  void leavesTheLastPositionToBeComputed() {
    BlockPool pool = new BlockPool(8, BLOCK_ROWS);
    try (KvLease lease = pool.lease()) {
      lease.reserve(8);
      lease.publish(tokens(8, 1), 8);
    }
    try (KvLease lease = pool.lease()) {
      assertThat(lease.leasePrefix(tokens(8, 1))).isEqualTo(4);
    }
  }

  @Test
  void tellsPicturesApartBehindTheSamePlaceholders() {
    BlockPool pool = new BlockPool(8, BLOCK_ROWS);
    try (KvLease lease = pool.lease()) {
      lease.reserve(12);
      lease.publish(picture("red"), 12);
    }
    try (KvLease same = pool.lease();
        KvLease other = pool.lease()) {
      assertThat(same.leasePrefix(picture("red"))).isEqualTo(8);
      assertThat(other.leasePrefix(picture("blue"))).isZero();
    }
  }

  @Test
  void evictsTheLeastRecentlyReturnedPrefix() {
    BlockPool pool = new BlockPool(4, BLOCK_ROWS);
    for (int seed = 1; seed <= 2; seed++) {
      try (KvLease lease = pool.lease()) {
        lease.reserve(8);
        lease.publish(tokens(9, seed), 8);
      }
    }
    try (KvLease lease = pool.lease()) {
      assertThat(lease.reserve(8)).isTrue();
      try (KvLease old = pool.lease();
          KvLease recent = pool.lease()) {
        assertThat(old.leasePrefix(tokens(9, 1))).isZero();
        assertThat(recent.leasePrefix(tokens(9, 2))).isEqualTo(8);
      }
    }
  }

  @Test
  void aForkSharesFullBlocksAndCopiesTheRest() {
    BlockPool pool = new BlockPool(8, BLOCK_ROWS);
    try (KvLease lease = pool.lease()) {
      lease.reserve(10);
      KvLease.Fork fork = lease.fork(10);
      assertThat(fork).isNotNull();
      try (KvLease copy = fork.lease()) {
        assertThat(copy.slot(7)).isEqualTo(lease.slot(7));
        assertThat(copy.slot(8)).isNotEqualTo(lease.slot(8));
        assertThat(fork.copies().from()).containsExactly(lease.slot(8), lease.slot(9));
        assertThat(fork.copies().to()).containsExactly(copy.slot(8), copy.slot(9));
      }
    }
    assertThat(pool.availableBlocks()).isEqualTo(8);
  }

  /**
   * Random conversations against a model of the cache: what a row was written for last. A position
   * that a lease holds, found or computed, must still hold what that sequence has there.
   */
  @Test
  void neverLosesOrMixesContent() {
    Random random = new Random(20_261_123);
    for (int round = 0; round < 200; round++) {
      BlockPool pool = new BlockPool(12, BLOCK_ROWS);
      Map<Integer, String> rows = new HashMap<>();
      List<Conversation> open = new ArrayList<>();
      for (int step = 0; step < 60; step++) {
        switch (random.nextInt(4)) {
          case 0 -> Conversation.start(pool, rows, random).ifPresent(open::add);
          case 1, 2 -> {
            if (!open.isEmpty()) {
              open.get(random.nextInt(open.size())).grow(rows, random);
            }
          }
          default -> {
            if (!open.isEmpty()) {
              open.remove(random.nextInt(open.size())).lease.close();
            }
          }
        }
        for (Conversation conversation : open) {
          conversation.check(rows);
        }
      }
      open.forEach(conversation -> conversation.lease.close());
      assertThat(pool.availableBlocks()).isEqualTo(12);
    }
  }

  private static final class Conversation {
    private final SequenceTokens tokens;
    private final KvLease lease;

    private Conversation(SequenceTokens tokens, KvLease lease) {
      this.tokens = tokens;
      this.lease = lease;
    }

    static Optional<Conversation> start(BlockPool pool, Map<Integer, String> rows, Random random) {
      int[] ids = new int[1 + random.nextInt(20)];
      for (int i = 0; i < ids.length; i++) {
        ids[i] = random.nextInt(2); // few values, so that prefixes meet often
      }
      SequenceTokens tokens = new SequenceTokens(ids, List.of());
      KvLease lease = pool.lease();
      int cached = lease.leasePrefix(tokens);
      if (!lease.reserve(ids.length)) {
        lease.close();
        return Optional.empty();
      }
      Conversation conversation = new Conversation(tokens, lease);
      conversation.compute(cached, rows);
      return Optional.of(conversation);
    }

    void grow(Map<Integer, String> rows, Random random) {
      if (lease.reserve(tokens.length() + 1)) {
        tokens.append(random.nextInt(2));
        compute(tokens.length() - 1, rows);
      }
    }

    private void compute(int from, Map<Integer, String> rows) {
      for (int position = from; position < tokens.length(); position++) {
        rows.put(lease.slot(position), content(position));
      }
      lease.publish(tokens, tokens.length());
    }

    void check(Map<Integer, String> rows) {
      for (int position = 0; position < tokens.length(); position++) {
        assertThat(rows.get(lease.slot(position))).isEqualTo(content(position));
      }
    }

    /** A key depends on everything up to its position. */
    private String content(int position) {
      StringBuilder history = new StringBuilder();
      for (int i = 0; i <= position; i++) {
        history.append(tokens.id(i));
      }
      return history.toString();
    }
  }

  private static SequenceTokens tokens(int length, int seed) {
    int[] ids = new Random(seed).ints(length, 0, 1000).toArray();
    return new SequenceTokens(ids, List.of());
  }

  private static SequenceTokens picture(String digest) {
    return new SequenceTokens(new int[12], List.of(new ImageRange(1, 10, digest)));
  }
}
