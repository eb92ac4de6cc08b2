package org.tessera.api;

import java.util.List;
import org.tessera.error.InvalidRequestException;

/**
 * What the text of an answer must be. All but {@link Text} hold from the first token to the last:
 * tokens that would break the format cannot be chosen, and the answer can end only where it is
 * whole. Where {@code max_new_tokens} or a stop string ends it earlier, it is cut, and the finish
 * reason tells of the former. Not with beam search.
 */
public sealed interface ResponseFormat {
  /** Any text. */
  record Text() implements ResponseFormat {}

  /** A JSON object. */
  record JsonObject() implements ResponseFormat {}

  /**
   * JSON that is valid under a JSON Schema (draft 2020-12). Keywords that are not supported are
   * refused by name.
   *
   * @param schema as JSON
   */
  record JsonSchema(String schema) implements ResponseFormat {}

  /**
   * A text that a regular expression matches as a whole: no references back, no looking around.
   * {@code \d}, {@code \w} and {@code \s} are of ASCII.
   */
  record Regex(String pattern) implements ResponseFormat {}

  /** One of these texts. */
  record Choice(List<String> options) implements ResponseFormat {
    public Choice {
      options = List.copyOf(options);
      if (options.isEmpty() || options.stream().anyMatch(String::isEmpty)) {
        throw new InvalidRequestException("choice needs at least one text, and none that is empty");
      }
    }
  }
}
