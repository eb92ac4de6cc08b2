package org.tessera.config;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.tessera.error.CheckpointException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * JSON as a checkpoint may hold it, read without trust: valid UTF-8, no duplicate keys, nothing
 * after the value, and limits on nesting, names, numbers and strings.
 */
public final class StrictJson {
  private static final int MAX_NESTING = 32;
  private static final int MAX_NAME_CHARS = 4096;
  private static final int MAX_NUMBER_CHARS = 100;
  private static final int MAX_STRING_CHARS = 1 << 20;
  private static final int MAX_TOKENS = 1 << 20;
  private static final int MAX_PRINTED_CHARS = 160;

  /** For trees, which hold the whole document. */
  private static final JsonMapper TREES =
      JsonMapper.builder(factory(MAX_TOKENS))
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private StrictJson() {}

  /**
   * A factory for streaming with at most {@code maxTokens} tokens. Its parsers intern and cache no
   * names: a hostile file must not leave anything behind in the process. Duplicates are the
   * caller's to find.
   */
  public static JsonFactory factory(long maxTokens) {
    return JsonFactory.builder()
        .disable(TokenStreamFactory.Feature.INTERN_PROPERTY_NAMES)
        .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxNestingDepth(MAX_NESTING)
                .maxNameLength(MAX_NAME_CHARS)
                .maxNumberLength(MAX_NUMBER_CHARS)
                .maxStringLength(MAX_STRING_CHARS)
                .maxTokenCount(maxTokens)
                .build())
        .build();
  }

  /** Characters of {@code in}, failing at the first byte that is not UTF-8. */
  public static Reader utf8(InputStream in) {
    return new InputStreamReader(
        in,
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT));
  }

  /**
   * The value that {@code content} is.
   *
   * @param file named in the message
   * @throws CheckpointException where it is not valid JSON or over a limit
   */
  public static JsonNode tree(String file, byte[] content) {
    try {
      return TREES.readTree(utf8(new ByteArrayInputStream(content)));
    } catch (JacksonException e) {
      throw refusal(file, e);
    }
  }

  /** What a parser's complaint means to the user. */
  public static CheckpointException refusal(String file, JacksonException e) {
    if (e.getCause() instanceof CharacterCodingException) {
      return new CheckpointException("%s is not valid UTF-8".formatted(file), e);
    }
    TokenStreamLocation location = e.getLocation();
    String place =
        location == null || location.getLineNr() < 1
            ? ""
            : " at line %d, column %d".formatted(location.getLineNr(), location.getColumnNr());
    String message = e.getOriginalMessage();
    // The parser's limits are named with the Java method that sets them.
    String reason = message == null ? "" : message.replaceAll(", from `[^`]*`", "");
    return new CheckpointException(
        "%s is not valid JSON%s: %s".formatted(file, place, printable(reason)), e);
  }

  /**
   * {@code text} fit for a one-line message: what does not print, or turns the direction of what
   * follows, is escaped, and the end is cut off where it is long.
   */
  public static String printable(String text) {
    StringBuilder printed = new StringBuilder();
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      if (printed.length() >= MAX_PRINTED_CHARS) {
        return printed.append('…').toString();
      }
      int codePoint = text.codePointAt(i);
      if (isPrintable(codePoint)) {
        printed.appendCodePoint(codePoint);
      } else {
        printed.append(String.format(Locale.ROOT, "\\u%04x", codePoint));
      }
    }
    return printed.toString();
  }

  private static boolean isPrintable(int codePoint) {
    return switch (Character.getType(codePoint)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      default -> true;
    };
  }
}
