package org.tessera.tools;

import org.tessera.error.InvalidRequestException;

/**
 * A function that the model may ask for.
 *
 * @param name letters, digits, {@code _} and {@code -}, at most 64
 * @param description what it does; may be empty
 * @param parameters JSON Schema of its arguments, an object
 */
public record Tool(String name, String description, String parameters) {
  public Tool {
    if (!name.matches("[A-Za-z0-9_-]{1,64}")) {
      throw new InvalidRequestException(
          "a function's name has 1 to 64 letters, digits, '_' and '-'");
    }
  }
}
