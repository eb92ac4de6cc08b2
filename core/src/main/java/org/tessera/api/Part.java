package org.tessera.api;

/** One part of a message: text or a picture, in the order in which the user gave them. */
public sealed interface Part {
  /** Text as the user typed it. Control tokens in it stay text. */
  record Text(String text) implements Part {}

  /** A picture. */
  record Picture(Image image) implements Part {}
}
