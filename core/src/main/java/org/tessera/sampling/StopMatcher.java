package org.tessera.sampling;

import java.util.List;

/**
 * Finds stop strings in text that comes in pieces, and lets through what cannot be part of one any
 * more. The answer ends before the stop string that is complete first; where several are complete
 * at the same character, before the longest. So the result does not depend on how the text was cut
 * into pieces.
 *
 * <p>Holds back less than the longest stop string (Knuth, Morris and Pratt's automaton for each of
 * them), and gives work linear in the text. Not thread-safe.
 */
public final class StopMatcher {
  private final List<Pattern> patterns;

  /** Text that came and is neither let through nor cut off: it may start a stop string. */
  private final StringBuilder held = new StringBuilder();

  private boolean stopped;

  /**
   * @param stop strings, none of them empty; without any, all text goes through
   */
  public StopMatcher(List<String> stop) {
    patterns = stop.stream().map(Pattern::new).toList();
  }

  /**
   * Takes a piece of text and returns what may be shown now, often the same. After a stop string
   * everything is swallowed.
   */
  public String push(String piece) {
    for (int i = 0; i < piece.length() && !stopped; i++) {
      held.append(piece.charAt(i));
      int matched = 0;
      for (Pattern pattern : patterns) {
        if (pattern.endsWith(piece.charAt(i))) {
          matched = Math.max(matched, pattern.text.length());
        }
      }
      if (matched > 0) {
        stopped = true;
        held.setLength(held.length() - matched);
      }
    }
    int keep = stopped ? 0 : patterns.stream().mapToInt(pattern -> pattern.matched).max().orElse(0);
    return release(held.length() - keep);
  }

  /** The text ends here: returns what was held back. */
  public String finish() {
    return release(held.length());
  }

  /** Whether a stop string has come. */
  public boolean stopped() {
    return stopped;
  }

  private String release(int chars) {
    String text = held.substring(0, chars);
    held.delete(0, chars);
    return text;
  }

  /** One stop string and how much of it the text ends with. */
  private static final class Pattern {
    private final String text;

    /** At n: the longest proper prefix of the first n characters that is their suffix too. */
    private final int[] border;

    private int matched;

    Pattern(String text) {
      if (text.isEmpty()) {
        throw new IllegalArgumentException("a stop string must not be empty");
      }
      this.text = text;
      border = new int[text.length() + 1];
      for (int n = 2; n <= text.length(); n++) {
        border[n] = extend(border[n - 1], text.charAt(n - 1));
      }
    }

    /** Takes one more character; true where the text now ends with this string. */
    boolean endsWith(char c) {
      matched = extend(matched, c);
      return matched == text.length();
    }

    private int extend(int prefix, char c) {
      int n = prefix;
      while (n > 0 && text.charAt(n) != c) {
        n = border[n];
      }
      return text.charAt(n) == c ? n + 1 : 0;
    }
  }
}
