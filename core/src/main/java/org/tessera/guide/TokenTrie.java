package org.tessera.guide;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.tessera.guide.Automaton.State;
import org.tessera.text.Tokenizer;

/**
 * The bytes of all tokens of a vocabulary as a trie, its nodes in the order of a walk: a byte that
 * the automaton refuses skips all tokens that go on from it. Special tokens are not in it.
 * Immutable.
 */
final class TokenTrie {
  private final int vocabSize;

  // Of each node: its byte, how deep it is, the node after all that are below it, and where the
  // ids of the tokens that end with it start.
  private byte[] labels = new byte[1 << 12];
  private int[] depths = new int[1 << 12];
  private int[] skips = new int[1 << 12];
  private int[] firstToken = new int[1 << 12];
  private int nodes;
  private int maxDepth;
  private final int[] tokenIds;

  /**
   * @param vocabSize logits in a row; tokens beyond are left out
   */
  TokenTrie(Tokenizer tokenizer, int vocabSize) {
    this.vocabSize = vocabSize;
    byte[][] bytes = new byte[Math.min(vocabSize, tokenizer.size())][];
    for (int id = 0; id < bytes.length; id++) {
      if (tokenizer.hasToken(id) && !tokenizer.isSpecial(id)) {
        bytes[id] = tokenizer.bytes(id);
      }
    }
    tokenIds =
        IntStream.range(0, bytes.length)
            .filter(id -> bytes[id] != null && bytes[id].length > 0)
            .boxed()
            .sorted((a, b) -> Arrays.compareUnsigned(bytes[a], bytes[b]))
            .mapToInt(Integer::intValue)
            .toArray();
    maxDepth = IntStream.of(tokenIds).map(id -> bytes[id].length).max().orElse(0);
    build(bytes);
  }

  /** Logits in a row. */
  int vocabSize() {
    return vocabSize;
  }

  /**
   * Sets the bits of all tokens that may follow a state.
   *
   * @param workLimit see {@link Automaton#work}
   * @throws org.tessera.error.InvalidRequestException where this takes more work
   */
  void allowed(Automaton automaton, State from, long workLimit, long[] bits) {
    long limit = automaton.work() + workLimit;
    State[] path = new State[maxDepth + 1];
    path[0] = from;
    for (int node = 0; node < nodes; ) {
      int depth = depths[node];
      @Nullable State next = automaton.next(path[depth - 1], labels[node] & 0xFF);
      if (next == null) {
        node = skips[node];
        continue;
      }
      path[depth] = next;
      for (int i = firstToken[node]; i < firstToken[node + 1]; i++) {
        bits[tokenIds[i] >> 6] |= 1L << tokenIds[i];
      }
      node++;
      if (automaton.work() > limit) {
        throw Automaton.tooAmbiguous();
      }
    }
  }

  private void build(byte[][] bytes) {
    int[] open = new int[maxDepth + 1];
    byte[] previous = new byte[0];
    for (int i = 0; i < tokenIds.length; i++) {
      byte[] token = bytes[tokenIds[i]];
      int shared = Arrays.mismatch(previous, token);
      if (shared >= 0) { // else the same bytes as the token before: one node for both
        for (int depth = previous.length; depth > shared; depth--) {
          skips[open[depth]] = nodes;
        }
        for (int depth = shared + 1; depth <= token.length; depth++) {
          open[depth] = add(token[depth - 1], depth, i);
        }
      }
      previous = token;
    }
    for (int depth = previous.length; depth > 0; depth--) {
      skips[open[depth]] = nodes;
    }
    labels = Arrays.copyOf(labels, nodes);
    depths = Arrays.copyOf(depths, nodes);
    skips = Arrays.copyOf(skips, nodes);
    firstToken = Arrays.copyOf(firstToken, nodes + 1);
    firstToken[nodes] = tokenIds.length;
  }

  /** A node whose own tokens start at {@code token}: those before it end with earlier nodes. */
  private int add(byte label, int depth, int token) {
    if (nodes == labels.length) {
      labels = Arrays.copyOf(labels, 2 * nodes);
      depths = Arrays.copyOf(depths, 2 * nodes);
      skips = Arrays.copyOf(skips, 2 * nodes);
      firstToken = Arrays.copyOf(firstToken, 2 * nodes);
    }
    labels[nodes] = label;
    depths[nodes] = depth;
    firstToken[nodes] = token;
    return nodes++;
  }
}
