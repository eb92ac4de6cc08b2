package org.tessera.text;

/**
 * Cuts text into the pieces within which bytes may merge, as Qwen2's pattern does:
 *
 * <pre>
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * </pre>
 *
 * <p>Written by hand because a regular expression engine's {@code \s} and its use of the stack
 * differ from one release to the next; each character is looked at a bounded number of times.
 */
final class QwenSplitter {
  /** The pattern as tokenizer.json holds it: any other one is not this tokenizer's. */
  static final String PATTERN =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final int LETTER =
      1 << Character.UPPERCASE_LETTER
          | 1 << Character.LOWERCASE_LETTER
          | 1 << Character.TITLECASE_LETTER
          | 1 << Character.MODIFIER_LETTER
          | 1 << Character.OTHER_LETTER;
  private static final int NUMBER =
      1 << Character.DECIMAL_DIGIT_NUMBER
          | 1 << Character.LETTER_NUMBER
          | 1 << Character.OTHER_NUMBER;

  private QwenSplitter() {}

  /** The end of the piece that starts at {@code start}, which is below the text's length. */
  static int next(String text, int start) {
    int first = text.codePointAt(start);
    int afterFirst = start + Character.charCount(first);
    if (first == '\'') {
      int end = contraction(text, start);
      if (end > start) {
        return end;
      }
    }
    if (isLetter(first)) {
      return endOfLetters(text, afterFirst);
    }
    if (isNumber(first)) {
      return afterFirst;
    }
    boolean hasSecond = afterFirst < text.length();
    int second = hasSecond ? text.codePointAt(afterFirst) : -1;
    if (hasSecond && !isLineBreak(first) && isLetter(second)) {
      return endOfLetters(text, afterFirst);
    }
    if (isOther(first)) {
      return endOfLineBreaks(text, endOfOthers(text, afterFirst));
    }
    if (first == ' ' && hasSecond && isOther(second)) {
      return endOfLineBreaks(text, endOfOthers(text, afterFirst));
    }
    return endOfSpaces(text, start);
  }

  /** {@code 's} and its like, or {@code start} where there is none. */
  private static int contraction(String text, int start) {
    if (start + 1 >= text.length()) {
      return start;
    }
    char a = fold(text.charAt(start + 1));
    if (a == 's' || a == 't' || a == 'm' || a == 'd') {
      return start + 2;
    }
    if (start + 2 >= text.length()) {
      return start;
    }
    char b = fold(text.charAt(start + 2));
    boolean two = (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l');
    return two ? start + 3 : start;
  }

  /** Simple case folding, as far as it reaches the letters of contractions: U+017F folds to s. */
  private static char fold(char c) {
    if (c == '\u017F') {
      return 's';
    }
    return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
  }

  private static int endOfLetters(String text, int at) {
    while (at < text.length()) {
      int c = text.codePointAt(at);
      if (!isLetter(c)) {
        break;
      }
      at += Character.charCount(c);
    }
    return at;
  }

  private static int endOfOthers(String text, int at) {
    while (at < text.length()) {
      int c = text.codePointAt(at);
      if (!isOther(c)) {
        break;
      }
      at += Character.charCount(c);
    }
    return at;
  }

  private static int endOfLineBreaks(String text, int at) {
    while (at < text.length() && isLineBreak(text.charAt(at))) {
      at++;
    }
    return at;
  }

  /**
   * Through the last line break of a run of spaces; where it has none, the whole run at the end of
   * the text, else all but the last space, which belongs to the next piece.
   */
  private static int endOfSpaces(String text, int start) {
    int end = start;
    int afterLineBreak = start;
    while (end < text.length() && isSpace(text.charAt(end))) {
      end++;
      if (isLineBreak(text.charAt(end - 1))) {
        afterLineBreak = end;
      }
    }
    if (afterLineBreak > start) {
      return afterLineBreak;
    }
    return end == text.length() || end - start == 1 ? end : end - 1;
  }

  private static boolean isLetter(int c) {
    return (LETTER >> Character.getType(c) & 1) != 0;
  }

  private static boolean isNumber(int c) {
    return (NUMBER >> Character.getType(c) & 1) != 0;
  }

  private static boolean isOther(int c) {
    return ((LETTER | NUMBER) >> Character.getType(c) & 1) == 0 && !isSpace(c);
  }

  private static boolean isLineBreak(int c) {
    return c == '\n' || c == '\r';
  }

  /** Unicode's White_Space property, which is not what Character.isWhitespace answers. */
  private static boolean isSpace(int c) {
    if (c < 0x80) {
      return c == ' ' || (c >= '\t' && c <= '\r');
    }
    return c == 0x85
        || c == 0xA0
        || c == 0x1680
        || (c >= 0x2000 && c <= 0x200A)
        || c == 0x2028
        || c == 0x2029
        || c == 0x202F
        || c == 0x205F
        || c == 0x3000;
  }
}
