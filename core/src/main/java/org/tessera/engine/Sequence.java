package org.tessera.engine;

import org.jspecify.annotations.Nullable;
import org.tessera.kv.BlockPool;
import org.tessera.kv.KvLease;
import org.tessera.kv.SequenceTokens;

/** One line of tokens with its place in the cache. Beam search has several a generation. */
final class Sequence {
  final SequenceTokens tokens;
  KvLease lease;

  /** Positions whose keys and values are in the cache. */
  int computed;

  /** What may follow the last token, once it is computed. */
  @Nullable Scores scores;

  Sequence(SequenceTokens tokens, KvLease lease, int computed) {
    this.tokens = tokens;
    this.lease = lease;
    this.computed = computed;
  }

  /** Positions still to be computed before the next token can be chosen. */
  int pending() {
    return tokens.length() - computed;
  }

  /** Gives the cache back: everything must be computed again, or found in the prefix index. */
  void evict(BlockPool pool) {
    lease.close();
    lease = pool.lease();
    computed = 0;
    scores = null;
  }
}
