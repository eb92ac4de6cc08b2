package org.tessera.plan;

/** What a user wrote, short and without control characters, for a message. */
final class Printable {
  private static final int MAX_CHARACTERS = 60;

  private Printable() {}

  static String of(String text) {
    String shown =
        text.length() > MAX_CHARACTERS ? text.substring(0, MAX_CHARACTERS) + "..." : text;
    return shown.replaceAll("\\p{Cntrl}", "?");
  }
}
