package org.tessera.server;

import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** JSON in and out. What comes in is read without trust. */
final class Json {
  private static final int MAX_NAME_CHARS = 256;
  private static final int MAX_NUMBER_CHARS = 64;
  private static final int MAX_TOKENS = 1 << 20;

  private static final JsonMapper WRITER = new JsonMapper();

  private final JsonMapper reader;

  Json(ServerLimits limits) {
    JsonFactory factory =
        JsonFactory.builder()
            // Names come from clients: none of them may stay behind in the process.
            .disable(TokenStreamFactory.Feature.INTERN_PROPERTY_NAMES)
            .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
            .streamReadConstraints(
                StreamReadConstraints.builder()
                    .maxDocumentLength(limits.maxBodyBytes())
                    .maxNestingDepth(limits.maxJsonDepth())
                    .maxNameLength(MAX_NAME_CHARS)
                    .maxNumberLength(MAX_NUMBER_CHARS)
                    .maxStringLength(limits.maxBodyBytes())
                    .maxTokenCount(MAX_TOKENS)
                    .build())
            .build();
    reader =
        JsonMapper.builder(factory)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();
  }

  /**
   * The object that a body is.
   *
   * @throws ApiException where it is none
   */
  ObjectNode object(byte[] body) {
    try {
      JsonNode node = reader.readTree(body);
      if (node instanceof ObjectNode object) {
        return object;
      }
    } catch (StreamConstraintsException e) {
      throw ApiException.invalid(
          null, "the body's JSON is nested too deep, or has too long names or numbers");
    } catch (JacksonException e) {
      // The parser's own words may quote the body.
      throw ApiException.invalid(null, "the body is not valid JSON" + place(e));
    }
    throw ApiException.invalid(null, "the body must be a JSON object");
  }

  static ObjectNode newObject() {
    return WRITER.createObjectNode();
  }

  static byte[] bytes(JsonNode node) {
    return WRITER.writeValueAsBytes(node);
  }

  /** An error in OpenAI's shape. */
  static ObjectNode error(ApiException e) {
    ObjectNode error = newObject();
    error.put("message", String.valueOf(e.getMessage()));
    error.put("type", e.type());
    error.put("param", e.param());
    error.put("code", e.code());
    return newObject().set("error", error);
  }

  private static String place(JacksonException e) {
    TokenStreamLocation location = e.getLocation();
    return location == null || location.getLineNr() < 1
        ? ""
        : " at line %d, column %d".formatted(location.getLineNr(), location.getColumnNr());
  }
}
