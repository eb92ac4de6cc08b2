package org.tessera.guide;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.tessera.error.GenerationException;
import org.tessera.error.InvalidRequestException;
import org.tessera.guide.Automaton.State;
import org.tessera.sampling.TokenConstraint;
import org.tessera.text.Tokenizer;

/**
 * One response format over one vocabulary: makes constraints that hold answers to it. Its automaton
 * and the masks of states that came before are shared by all of them. Safe for any number of
 * threads, one at a time.
 */
public final class Guide implements Supplier<TokenConstraint> {
  /** With a vocabulary of 151,666 tokens 19 kB each. */
  private static final int MAX_MASKS = 256;

  /** Automaton items that one mask may take: below a second, where common formats take 10 ms. */
  private static final long MAX_WORK_A_MASK = 1L << 25;

  private final Automaton automaton;
  private final Tokenizer tokenizer;
  private final TokenTrie trie;
  private final Set<Integer> terminators;

  @SuppressWarnings("serial") // never serialized
  private final Map<State, long[]> masks =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<State, long[]> eldest) {
          return size() > MAX_MASKS;
        }
      };

  /**
   * @throws InvalidRequestException where the grammar is too large, too ambiguous or matches
   *     nothing
   */
  Guide(Expression grammar, Tokenizer tokenizer, TokenTrie trie, Set<Integer> terminators) {
    automaton = new Automaton(ProgramCompiler.compile(grammar));
    this.tokenizer = tokenizer;
    this.trie = trie;
    this.terminators = Set.copyOf(terminators);
    mask(automaton.start()); // here, so that the caller and not the engine meets its refusal
  }

  /** A constraint for one answer. */
  @Override
  public TokenConstraint get() {
    return new Constraint();
  }

  private synchronized long[] mask(State state) {
    long[] mask = masks.get(state);
    if (mask == null) {
      mask = new long[(trie.vocabSize() + 63) >> 6];
      trie.allowed(automaton, state, MAX_WORK_A_MASK, mask);
      if (state.accepting()) {
        setTerminators(mask);
      }
      masks.put(state, mask);
    }
    return mask;
  }

  private void setTerminators(long[] mask) {
    for (int id : terminators) {
      mask[id >> 6] |= 1L << id;
    }
  }

  private synchronized State advance(State from, byte[] bytes) {
    State state = from;
    for (byte b : bytes) {
      State next = automaton.next(state, b & 0xFF);
      if (next == null) {
        throw new GenerationException("a token was chosen that the response format rules out");
      }
      state = next;
    }
    return state;
  }

  private final class Constraint implements TokenConstraint {
    private State state = automaton.start();

    @Override
    public long[] allowed() {
      return mask(state);
    }

    @Override
    public void accept(int tokenId) {
      if (!terminators.contains(tokenId)) {
        state = advance(state, tokenizer.bytes(tokenId));
      } else if (!state.accepting()) {
        throw new GenerationException("the answer ended before it met its response format");
      }
    }
  }
}
