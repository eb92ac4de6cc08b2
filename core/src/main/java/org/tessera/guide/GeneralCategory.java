package org.tessera.guide;

import java.util.Arrays;

/** Unicode's general categories under their two letters. */
final class GeneralCategory {
  /** By {@link Character#getType}. */
  private static final String[] NAMES = names();

  private GeneralCategory() {}

  static String of(int codePoint) {
    return NAMES[Character.getType(codePoint)];
  }

  /** Whether some category is, or starts with, this. */
  static boolean isKnown(String prefix) {
    return !prefix.isEmpty() && Arrays.stream(NAMES).anyMatch(name -> name.startsWith(prefix));
  }

  private static String[] names() {
    String[] names = new String[31];
    Arrays.fill(names, "");
    names[Character.UNASSIGNED] = "Cn";
    names[Character.UPPERCASE_LETTER] = "Lu";
    names[Character.LOWERCASE_LETTER] = "Ll";
    names[Character.TITLECASE_LETTER] = "Lt";
    names[Character.MODIFIER_LETTER] = "Lm";
    names[Character.OTHER_LETTER] = "Lo";
    names[Character.NON_SPACING_MARK] = "Mn";
    names[Character.ENCLOSING_MARK] = "Me";
    names[Character.COMBINING_SPACING_MARK] = "Mc";
    names[Character.DECIMAL_DIGIT_NUMBER] = "Nd";
    names[Character.LETTER_NUMBER] = "Nl";
    names[Character.OTHER_NUMBER] = "No";
    names[Character.SPACE_SEPARATOR] = "Zs";
    names[Character.LINE_SEPARATOR] = "Zl";
    names[Character.PARAGRAPH_SEPARATOR] = "Zp";
    names[Character.CONTROL] = "Cc";
    names[Character.FORMAT] = "Cf";
    names[Character.PRIVATE_USE] = "Co";
    names[Character.SURROGATE] = "Cs";
    names[Character.DASH_PUNCTUATION] = "Pd";
    names[Character.START_PUNCTUATION] = "Ps";
    names[Character.END_PUNCTUATION] = "Pe";
    names[Character.CONNECTOR_PUNCTUATION] = "Pc";
    names[Character.OTHER_PUNCTUATION] = "Po";
    names[Character.MATH_SYMBOL] = "Sm";
    names[Character.CURRENCY_SYMBOL] = "Sc";
    names[Character.MODIFIER_SYMBOL] = "Sk";
    names[Character.OTHER_SYMBOL] = "So";
    names[Character.INITIAL_QUOTE_PUNCTUATION] = "Pi";
    names[Character.FINAL_QUOTE_PUNCTUATION] = "Pf";
    return names;
  }
}
