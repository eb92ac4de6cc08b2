package org.tessera.guide;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.tessera.guide.Automaton.State;

/** Runs automata over whole texts, for tests. */
final class Languages {
  private Languages() {}

  static Automaton automaton(Expression grammar) {
    return new Automaton(ProgramCompiler.compile(grammar));
  }

  static boolean accepts(Automaton automaton, String text) {
    State state = automaton.start();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      state = automaton.next(state, b & 0xFF);
      if (state == null) {
        return false;
      }
    }
    return state.accepting();
  }

  static boolean matches(String pattern, String text) {
    return accepts(automaton(RegexParser.full(pattern)), text);
  }

  static boolean finds(String pattern, String text) {
    return accepts(automaton(RegexParser.search(pattern)), text);
  }

  static boolean valid(String schema, String text) {
    return accepts(automaton(SchemaCompiler.compile(schema)), text);
  }

  /** Bytes that may follow. */
  static List<Integer> following(Automaton automaton, State state) {
    List<Integer> bytes = new ArrayList<>();
    for (int b = 0; b < 256; b++) {
      if (automaton.next(state, b) != null) {
        bytes.add(b);
      }
    }
    return bytes;
  }

  /**
   * A text made of random bytes that the automaton lets through, or null where it did not come to
   * an end. Quotes and brackets are preferred, so that it does.
   */
  static byte[] random(Automaton automaton, Random random, int maxBytes) {
    byte[] text = new byte[maxBytes];
    State state = automaton.start();
    for (int length = 0; length < maxBytes; length++) {
      List<Integer> next = following(automaton, state);
      if (next.isEmpty() || (state.accepting() && random.nextInt(3) == 0)) {
        byte[] whole = new byte[length];
        System.arraycopy(text, 0, whole, 0, length);
        return state.accepting() ? whole : null;
      }
      List<Integer> closing = next.stream().filter(b -> b == '"' || b == '}' || b == ']').toList();
      List<Integer> from = !closing.isEmpty() && random.nextInt(4) == 0 ? closing : next;
      int chosen = from.get(random.nextInt(from.size()));
      text[length] = (byte) chosen;
      state = automaton.next(state, chosen);
    }
    return null;
  }
}
